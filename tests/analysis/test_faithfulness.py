import itertools
from copy import deepcopy

import numpy as np
import pandas as pd
import pytest
import torch
from torch import nn

from cifar_helpers import models
from cifar_helpers.analysis import faithfulness
from cifar_helpers.models.network import Shift
from cifar_helpers.train import cpu

AT = torch.tensor([0, 0.25, 0.5, 0.75, 1.0])  # of 2x2 pixels: one after the other


class Sum(nn.Module):
    """Two classes: the first one's logit is the weighted sum of all pixels of all channels, the second one's is 0."""

    def __init__(self, weights):
        super().__init__()
        self.weights = torch.as_tensor(weights).float()

    def forward(self, images):
        logit = (images.sum(1) * self.weights).sum((1, 2))
        return torch.stack([logit, torch.zeros_like(logit)], 1)


WEIGHTS = torch.tensor([[2.0, -1.0], [0.5, 1.0]])
IMAGES = torch.tensor([[1.0, 1.0], [3.0, -0.5]])[None, None].expand(1, 3, 2, 2) / 3  # channels sum to these numbers
CONTRIBUTIONS = torch.tensor([[[2.0, -1.0], [1.5, -0.5]]])
FIRST = torch.zeros(1, dtype=torch.int64)


@pytest.fixture(scope="module")
def network():
    torch.manual_seed(0)
    return models.build("resnet18", width=0.125).eval()


def test_deletion_by_contribution_is_what_the_hand_computes():
    found = faithfulness.curves(Sum(WEIGHTS), IMAGES, FIRST, {"map": CONTRIBUTIONS}, AT)["map"]["deletion"]
    left = torch.tensor([2.0, 0.0, -1.5, -1.0, 0.0])  # the sum, less 2, less 1.5, less -0.5, less -1
    assert torch.allclose(found, left.sigmoid()[None])


def test_no_order_deletes_faster_than_that_of_the_contributions():
    """All 24 orders of four pixels: at every share, the first ones of the right order are the best to delete."""
    orders = [torch.tensor(order).view(1, 2, 2).float() for order in itertools.permutations(range(4))]
    maps = {str(number): order for number, order in enumerate(orders)} | {"right": CONTRIBUTIONS}
    found = faithfulness.curves(Sum(WEIGHTS), IMAGES, FIRST, maps, AT)
    right = found.pop("right")["deletion"]
    assert all((right <= other["deletion"] + 1e-7).all() for other in found.values())
    assert len({tuple(other["deletion"][0].tolist()) for other in found.values()}) > 10  # they do differ


def test_the_second_class_falls_as_the_first_one_rises():
    first, second = (
        faithfulness.curves(Sum(WEIGHTS), IMAGES, FIRST + number, {"map": CONTRIBUTIONS}, AT)["map"]
        for number in (0, 1)
    )
    for kind in ("deletion", "insertion"):
        assert torch.allclose(first[kind], 1 - second[kind])


def test_insertion_starts_blurred_and_puts_the_first_pixels_in_first(monkeypatch):
    monkeypatch.setattr(faithfulness, "_blurred", lambda images: torch.full_like(images, 10 / 3))
    found = faithfulness.curves(Sum(WEIGHTS), IMAGES, FIRST, {"map": CONTRIBUTIONS}, AT)["map"]["insertion"]
    # every pixel starts at 10, worth 20, -10, 5 and 10; they become 2, -1, 1.5 and -0.5 in the order of the map
    assert torch.allclose(found, torch.tensor([25.0, 7.0, 3.5, -7.0, 2.0]).sigmoid()[None])


def test_running_statistics_decide_and_not_the_batch(network):
    images, classes, at = torch.randn(4, 3, 32, 32), torch.arange(4), faithfulness.shares(2)
    found = []
    for mode in (True, False):
        network.train(mode)
        found.append(faithfulness.curves(network, images, classes, faithfulness.baselines(images), at)["random"])
        assert network.training is mode
    assert torch.equal(found[0]["deletion"], found[1]["deletion"])


def test_blurring_keeps_the_mean_and_takes_the_detail():
    torch.manual_seed(0)
    images = torch.randn(2, 3, 32, 32)
    blurred = faithfulness._blurred(images)
    assert blurred.shape == images.shape and blurred.std() < 0.2
    assert torch.allclose(faithfulness._blurred(torch.full((1, 3, 32, 32), 0.7)), torch.tensor(0.7), atol=1e-5)


def test_all_curves_of_an_image_share_their_ends(network):
    images, classes = torch.randn(5, 3, 32, 32), torch.arange(5)
    at = faithfulness.shares(4)
    found = faithfulness.curves(network, images, classes, faithfulness.baselines(images), at, batch=2)
    with torch.no_grad():
        whole = network(images).softmax(1)[range(5), classes]
        mean = network(torch.zeros(1, 3, 32, 32)).softmax(1)[0, classes]
    for curves in found.values():
        assert curves["deletion"].shape == curves["insertion"].shape == (5, 5)
        assert torch.allclose(curves["deletion"][:, 0], whole, atol=1e-5)
        assert torch.allclose(curves["deletion"][:, -1], mean, atol=1e-5)
        assert torch.allclose(curves["insertion"][:, -1], whole, atol=1e-5)
    assert torch.equal(found["random"]["insertion"][:, 0], found["centred blob"]["insertion"][:, 0])
    assert not torch.allclose(found["random"]["insertion"][:, 2], found["centred blob"]["insertion"][:, 2])


def test_batches_do_not_matter(network):
    images, classes = torch.randn(5, 3, 32, 32), torch.arange(5)
    one, other = (
        faithfulness.curves(
            network, images, classes, faithfulness.baselines(images), faithfulness.shares(3), batch=batch
        )["random"]["deletion"]
        for batch in (1, 100)
    )
    assert torch.allclose(one, other, atol=1e-5)


def test_half_the_bits_are_nearly_as_good():
    torch.manual_seed(0)
    model = nn.Sequential(nn.Conv2d(3, 10, 3), nn.AdaptiveAvgPool2d(1), nn.Flatten())
    images, classes = torch.randn(5, 3, 32, 32), torch.arange(5)
    exact, rough = (
        faithfulness.curves(
            model, images, classes, faithfulness.baselines(images), faithfulness.shares(3), precision=name
        )["random"]["deletion"]
        for name in ("float32", "bfloat16")
    )
    assert rough.dtype == torch.float32 and torch.allclose(exact, rough, atol=2e-3) and not torch.equal(exact, rough)


def test_order_of_a_map_and_of_its_ties():
    maps = torch.tensor([[[3.0, 9.0], [5.0, 7.0]]])
    assert faithfulness.pixel_order(maps).tolist() == [[1, 3, 2, 0]]
    flat = torch.zeros(400, 2, 2)
    drawn = faithfulness.pixel_order(flat)
    assert torch.equal(drawn, faithfulness.pixel_order(flat))
    assert not torch.equal(drawn, faithfulness.pixel_order(flat, seed=1))
    assert torch.equal(drawn.sort(1).values, torch.arange(4).expand(400, 4))
    first = torch.bincount(drawn[:, 0], minlength=4)
    assert first.min() > 60  # 100 is to be expected
    flat[:, 1, 1] = 1
    assert (faithfulness.pixel_order(flat)[:, 0] == 3).all()


def test_what_is_no_number_comes_last():
    assert faithfulness.pixel_order(torch.tensor([[[torch.nan, 1.0], [-5.0, 2.0]]])).tolist() == [[3, 1, 2, 0]]


def test_the_blob_is_highest_in_the_middle_and_round():
    blob = faithfulness.baselines(torch.zeros(2, 3, 32, 32))["centred blob"][1]
    assert blob[15:17, 15:17].min() == blob.max() and blob[0, 0] == blob.min()
    assert torch.allclose(blob, blob.T) and torch.allclose(blob, blob.flip(0))


def test_shares_rise_from_none_to_all_closest_at_the_start():
    at = faithfulness.shares(4)
    assert at.tolist() == [0, 1 / 16, 1 / 4, 9 / 16, 1]
    with pytest.raises(ValueError, match="at least one step, not 0"):
        faithfulness.shares(0)


@pytest.mark.parametrize(
    ("change", "message"),
    (
        ({"classes": FIRST.repeat(2)}, r"classes \(B,\), not \(1, 3, 2, 2\), \(2,\)"),
        ({"images": IMAGES[0]}, "images are"),
        ({"maps": {"wrong": torch.zeros(1, 4, 4)}}, r"'wrong' is to have the shape \(1, 2, 2\)"),
        ({"at": torch.tensor([0, 0.5, 0.9])}, "rise from 0 to 1"),
        ({"at": torch.tensor([0, 0.5, 0.5, 1.0])}, "rise from 0 to 1"),
    ),
)
def test_bad_input_is_told(change, message):
    arguments = {"model": Sum(WEIGHTS), "images": IMAGES, "classes": FIRST, "maps": {"map": CONTRIBUTIONS}, "at": AT}
    with pytest.raises(ValueError, match=message):
        faithfulness.curves(**arguments | change)


@pytest.mark.parametrize("name", ("resnet18", "dpn26", "dla", "densenet121"))
def test_the_cascade_draws_one_part_after_the_other(name):
    torch.manual_seed(0)
    model = models.build(name, width=0.125).train()
    with torch.no_grad():  # as if it were trained: norms hold something to lose
        for parameter in model.parameters():
            parameter.add_(0.01)
    before = {key: value.clone() for key, value in model.state_dict().items()}
    random = torch.get_rng_state()
    steps = dict(faithfulness.randomize_layers(model))
    assert list(steps) == [
        "none",
        "head",
        *(["tail"] if name == "densenet121" else []),
        "stage4",
        "stage3",
        "stage2",
        "stage1",
        "stem",
    ]
    drawn = []
    for step, copy in steps.items():
        drawn += [] if step == "none" else [f"stages.{step}." if step.startswith("stage") else f"{step}."]
        assert not copy.training
        for key, value in copy.named_parameters():
            assert torch.equal(value, before[key]) != key.startswith(tuple(drawn)), (step, key)
        for key, value in copy.named_buffers():
            if key.endswith("running_mean"):
                assert torch.equal(value, before[key])
    assert model.training and torch.equal(torch.get_rng_state(), random)
    assert all(torch.equal(value, before[key]) for key, value in model.state_dict().items())


def test_new_convolutions_start_as_those_of_a_new_network(network):
    *_, (_, drawn) = faithfulness.randomize_layers(network)
    for (name, new), fresh in zip(drawn.named_modules(), models.build("resnet18", width=0.125).modules()):
        if isinstance(new, nn.Conv2d):
            deviations = [layer.weight.std().item() for layer in (new, fresh)]
            error = fresh.weight.numel() ** -0.5  # of their difference, as a share of it: 0.09 for the smallest
            assert deviations[0] == pytest.approx(deviations[1], rel=4 * error), name
    again, other = ([*faithfulness.randomize_layers(network, seed)][-1][1] for seed in (0, 1))
    assert torch.equal(again.head[0].weight, drawn.head[0].weight)
    assert not torch.equal(other.head[0].weight, drawn.head[0].weight)


def test_running_statistics_start_anew_where_weights_do(network):
    with torch.no_grad():
        network.stem[1].running_mean += 5
    try:
        steps = dict(faithfulness.randomize_layers(network))
        assert (steps["stage1"].stem[1].running_mean > 4).all() and not steps["stem"].stem[1].running_mean.any()
    finally:
        network.stem[1].running_mean -= 5


def test_the_same_maps_are_alike_and_reversed_ones_are_not():
    torch.manual_seed(0)
    maps = torch.rand(6, 8, 8)
    assert np.allclose(faithfulness.similarity(maps, maps).diagonal(), 1)
    assert np.allclose(faithfulness.similarity(maps, 3 * maps**3 + 1).diagonal(), 1)  # only the ranks count
    assert np.allclose(faithfulness.similarity(maps, -maps).diagonal(), -1)
    both = faithfulness.same_and_other(maps, maps)
    assert abs(both["other"]).max() < 0.2
    excess = faithfulness.excess(pd.concat({"none": both, "half": both / 2}, axis=1))
    assert list(excess) == ["none", "half"] and np.allclose(excess["none"], 1 - both["other"])
    assert np.allclose(excess["half"], excess["none"] / 2)


def test_each_row_is_one_map_against_each_other():
    from scipy import stats

    torch.manual_seed(0)
    first, second = torch.rand(2, 4, 4), torch.rand(3, 4, 4)
    found = faithfulness.similarity(first, second)
    assert found.shape == (2, 3)
    assert found[1, 2] == pytest.approx(stats.spearmanr(first[1].flatten(), second[2].flatten()).statistic)
    assert faithfulness.similarity(first[:1], second[:1]) == pytest.approx(found[:1, :1])
    both, table = faithfulness.same_and_other(first, second[:2]), found[:, :2]
    assert both["same"].tolist() == pytest.approx(table.diagonal().tolist())
    assert both["other"].tolist() == pytest.approx([table[0, 1], table[1, 0]])  # each map with the other image's
    for wrong in (second, first[:1]):
        with pytest.raises(ValueError, match="maps of the same images"):
            faithfulness.same_and_other(first, wrong)


@pytest.mark.filterwarnings("error")
def test_an_empty_map_does_not_count():
    maps = torch.rand(3, 4, 4)
    maps[0] = 0
    assert np.isnan(faithfulness.similarity(maps, maps)[:, 0]).all()
    both = faithfulness.same_and_other(maps, maps)
    assert both.isna().all(axis=1).tolist() == [True, False, False]
    assert both.loc[1, "other"] == pytest.approx(faithfulness.similarity(maps, maps)[1, 2])


@pytest.mark.parametrize("change", (cpu.speed_up, cpu.in_float32))
def test_what_a_cpu_makes_of_a_network_is_randomised_alike(change):
    torch.manual_seed(0)
    plain = models.build("resnet18", width=0.25).eval()
    changed = deepcopy(plain)
    change(changed)
    one, other = ([*faithfulness.randomize_layers(model)][-1][1].state_dict() for model in (plain, changed))
    assert all(torch.equal(one[name], other[name]) for name in one)


def test_shifts_in_the_place_of_batch_norms_are_set_back():
    network = models.build("resnet18", width=0.125, batch_norm=False)
    for module in network.modules():
        if isinstance(module, Shift):
            nn.init.constant_(module.bias, 7)
    *_, (_, random) = faithfulness.randomize_layers(network)
    assert not any(module.bias.any() for module in random.modules() if isinstance(module, Shift))
