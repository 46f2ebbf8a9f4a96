from types import SimpleNamespace

import pytest
import torch
from torch import nn

from cifar_helpers import models
from cifar_helpers.data.batches import Batches
from cifar_helpers.train import dead_units

CONFIG = SimpleNamespace(precision="float32")


@pytest.fixture
def held(cifar):
    return Batches(cifar.test_images, cifar.test_labels, 50, shuffle=False, crop=0, flip=False)


@pytest.fixture
def model():
    torch.manual_seed(0)
    return models.build("resnet18", width=0.125, hidden=(16,), dropout=0.5)


def measured(model, held, config=CONFIG):
    return {row["layer"]: row for row in dead_units.dead_units(model, next(held.epoch(0)), held, config)}


def test_a_very_negative_shift_makes_a_channel_dead(model, held):
    norm = model.stages.stage2[0].bn1
    before = measured(model, held)["stages.stage2.0.relu1"]
    assert before.pop("off") == pytest.approx(0.5, abs=0.3)
    assert before == {"layer": "stages.stage2.0.relu1", "units": 16, "silent": 0}
    with torch.no_grad():
        norm.bias[:4] = -100
    assert measured(model, held)["stages.stage2.0.relu1"]["silent"] == 4 / 16
    assert measured(model, held)["stem.2"]["silent"] == 0


def test_a_unit_of_a_hidden_layer(model, held):
    with torch.no_grad():
        model.head[0].bias[:] = torch.tensor([-100.0, 100.0]).repeat(8)
    assert measured(model, held)["head.1"] == {"layer": "head.1", "units": 16, "silent": 0.5, "off": 0.5}


def test_one_image_that_lets_a_channel_through_is_enough(held):
    """Only one white pixel, in the first of two batches, is above the threshold; zero itself is silent."""
    held.bytes.view(-1, 32 * 32 * 3)[:] = 0
    held.bytes.view(-1, 32, 32, 3)[10, 5, 7] = 255
    network = nn.Sequential(nn.Conv2d(3, 2, 1), nn.ReLU())
    black, white = (value * held.scale[:3] for value in (-held.mean[:3], 255 - held.mean[:3]))
    with torch.no_grad():
        network[0].weight.zero_()
        network[0].weight[0, 0] = 1
        network[0].bias[:] = torch.tensor([-(black[0] + white[0]) / 2, 0])
    assert measured(network, held)["1"]["silent"] == 0.5  # the other channel is 0 everywhere


@pytest.mark.parametrize(("limit", "expected"), ((20, [50]), (50, [50]), (60, [50, 50]), (1000, [50, 50])))
def test_so_many_images_and_no_more_are_looked_at(model, held, monkeypatch, limit, expected):
    monkeypatch.setattr(dead_units, "IMAGES", limit)
    sizes = []
    model.register_forward_hook(lambda _, inputs, __: sizes.append(len(inputs[0])))
    measured(model, held)
    assert sizes == expected  # whole batches, of the hundred images of this test


@pytest.mark.parametrize("training", (True, False))
def test_nothing_is_changed(model, held, training):
    model.train(training)
    model.stages.stage1.eval()  # someone froze it
    modes = [module.training for module in model.modules()]
    state, random = {key: value.clone() for key, value in model.state_dict().items()}, torch.get_rng_state()
    measured(model, held)
    assert [module.training for module in model.modules()] == modes
    assert all(torch.equal(value, state[key]) for key, value in model.state_dict().items())
    assert torch.equal(torch.get_rng_state(), random)
    assert not any(module._forward_pre_hooks for module in model.modules())
    assert all(p.grad is None for p in model.parameters())


def test_running_statistics_and_not_the_batch_decide(model, held):
    with torch.no_grad():
        model.stem[1].running_mean[0] = 1e4  # a batch's own mean would undo it
    assert measured(model, held)["stem.2"]["silent"] == 1 / 8


def test_a_network_that_left_the_numbers_has_no_share(model, held):
    with torch.no_grad():
        model.stages.stage3[0].conv1.weight[0] = torch.nan
    shares = {layer: row["silent"] for layer, row in measured(model, held).items()}
    assert shares["stages.stage2.1.relu2"] == 0 and shares["stages.stage3.0.relu1"] != shares["stages.stage3.0.relu1"]


@pytest.mark.parametrize("activation", models.ACTIVATIONS)
def test_every_place_of_every_activation_is_a_row(held, activation):
    torch.manual_seed(0)
    model = models.build("vgg_a", width=0.125, activation=activation)
    rows = measured(model, held, SimpleNamespace(precision="bfloat16"))
    assert len(rows) == 10 and list(rows)[-1] == "head.3"  # eight convolutions, two fully connected layers
    assert [row["units"] for row in rows.values()] == [8, 16, 32, 32, 64, 64, 64, 64, 64, 64]
