"""Grad-CAM against a map worked out by hand, and what happens to wrong input."""

import numpy as np
import pytest
import torch
from torch import nn

from cifar_helpers import data, experiments, models, records
from cifar_helpers.analysis import grad_cam
from cifar_helpers.core import paths
from cifar_helpers.models.network import Network, Parts


def by_hand():
    """A network whose stage copies red and twice green, and whose head weighs them by 3 and -1 for class 4."""
    stage = nn.Conv2d(3, 2, 1, bias=False)
    network = Network(Parts(nn.Identity(), [stage, nn.AvgPool2d(32)], 2), (), 0.0, 10)
    with torch.no_grad():
        stage.weight.copy_(torch.tensor([[1.0, 0, 0], [0, 2.0, 0]]).view(2, 3, 1, 1))
        for p in network.head.parameters():
            p.zero_()
        network.head[-1].weight[4] = torch.tensor([3.0, -1.0])
    return network


@pytest.fixture
def images():
    return torch.randn(5, 3, 32, 32, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize("classes", [4, torch.tensor([4] * 5)])
def test_grad_cam_is_the_map_worked_out_by_hand(images, classes):
    # d score / d A_k is head weight / 1024 at each position, and so is its mean
    expected = ((3 * images[:, 0] - 1 * 2 * images[:, 1]) / 1024).clamp(min=0)
    torch.testing.assert_close(grad_cam.grad_cam(by_hand(), images, classes, "stage1", batch=2), expected)


def test_without_a_class_it_is_the_predicted_one(images):
    network = by_hand()
    predicted = network(images).argmax(1)
    assert set(predicted.tolist()) == {0, 4}  # a tie of zeros, or class 4
    torch.testing.assert_close(
        grad_cam.grad_cam(network, images, None, "stage1"), grad_cam.grad_cam(network, images, predicted, "stage1")
    )
    assert not grad_cam.grad_cam(network, images, 7, "stage1").any()  # nothing speaks for class 7


@pytest.mark.parametrize("name", models.NAMES)
def test_every_network_can_be_looked_into_and_is_left_as_it_was(images, name):
    torch.manual_seed(0)
    network = models.build(name, width=0.125).eval()
    before = {key: value.clone() for key, value in network.state_dict().items()}
    for stage in list(models.stages(network))[:3]:
        maps = [grad_cam.grad_cam(network, images, number, stage) for number in range(10)]
        assert all(values.shape == (5, 32, 32) and (values >= 0).all() for values in maps)
        assert any(values.any() for values in maps)  # of one class it may be 0 everywhere
    assert all(torch.equal(value, before[key]) for key, value in network.state_dict().items())
    assert all(p.grad is None for p in network.parameters())


def test_batches_change_nothing(images):
    network = models.build("densenet121", width=0.125)
    whole, parts = (grad_cam.grad_cam(network, images, batch=batch) for batch in (5, 2))
    torch.testing.assert_close(whole, parts)


def test_attributions_of_a_linear_network_are_weight_times_input(images):
    network = by_hand()
    maps = grad_cam.attributions(network, images, 4)
    assert list(maps) == list(grad_cam.METHODS)
    red, green = 3 * images[:, 0] / 1024, -2 * images[:, 1] / 1024
    torch.testing.assert_close(maps["integrated gradients"], red.abs() + green.abs())
    # the gradient itself, whatever the input
    torch.testing.assert_close(maps["guided backpropagation"], torch.full((5, 32, 32), 5 / 1024))
    # a corner pixel lies under one square only, whose place the mean colour takes
    square = (red + green)[:, :8, :8].sum((1, 2))
    torch.testing.assert_close(maps["occlusion"][:, 0, 0], square.clamp(min=0), atol=1e-5, rtol=1e-4)
    with pytest.raises(ValueError, match="unknown method 'lime'; choose from Grad-CAM"):
        grad_cam.attributions(network, images, 4, ["lime"])


def test_feature_maps_and_first_filters(images):
    network = models.build("resnet18", width=0.25)
    maps = grad_cam.feature_maps(network, images)
    assert {key: tuple(value.shape) for key, value in maps.items()} == {
        "stage1": (5, 16, 32, 32),
        "stage2": (5, 32, 16, 16),
        "stage3": (5, 64, 8, 8),
        "stage4": (5, 128, 4, 4),
    }
    assert torch.equal(grad_cam.first_filters(network), network.stem[0].weight)


@pytest.mark.parametrize(
    "wrong, words",
    [
        ({"stage": "stage9"}, "no stage 'stage9'; choose from stage1, stage2, stage3, stage4"),
        ({"classes": 10}, "there is no class 10; choose from 0 airplane, 1 automobile"),
        ({"classes": torch.tensor([1, 2])}, "one for each of the 5 images"),
        ({"classes": 1.5}, "one whole number"),
        ({"images": torch.zeros(3, 32, 32)}, r"images are a tensor \(B, 3, 32, 32\)"),
        ({"images": torch.zeros(1, 3, 28, 28)}, r"not \(1, 3, 28, 28\)"),
        ({"images": torch.zeros(1, 3, 32, 32, dtype=torch.uint8)}, "not torch.uint8"),
    ],
)
def test_wrong_input_is_told_what_there_is(images, wrong, words):
    network = models.build("resnet18", width=0.125)
    with pytest.raises(ValueError, match=words):
        grad_cam.grad_cam(network, **{"images": images} | wrong)


def test_a_stage_without_positions_is_told(images):
    with pytest.raises(ValueError, match="stage5 has no positions left .* choose from stage1, stage2, stage3, stage4"):
        grad_cam.grad_cam(models.build("vgg_a", width=0.125), images, 1, "stage5")


def test_on_full_what_is_missing_is_named_and_not_replaced(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(paths, "runs", lambda profile: tmp_path / profile)
    with pytest.raises(FileNotFoundError, match="no network .*: .* train grad_cam_networks --profile full"):
        grad_cam.networks("full")
    assert "not yet run (resnet18-muon, resnext50_32x4d-muon" in capsys.readouterr().out


def test_a_network_that_was_just_added_is_left_out_on_full_and_named(monkeypatch, capsys):
    monkeypatch.setattr("cifar_helpers.train.train", lambda *a, **k: pytest.fail("trained in the full profile"))
    monkeypatch.setattr("cifar_helpers.experiments.grad_cam.TABLE_1", (*experiments.TABLE_1, "plain18"))
    assert tuple(grad_cam.networks("full")) == experiments.TABLE_1[:5]
    assert "plain18-muon): python -m cifar_helpers train grad_cam_networks" in capsys.readouterr().out


def test_images_are_normalised_by_channel():
    pictures = np.random.default_rng(0).integers(0, 256, (300, 32, 32, 3), np.uint8)  # more than one batch
    expected = (torch.from_numpy(pictures) / 255 - torch.tensor(data.MEAN)) / torch.tensor(data.STD)
    torch.testing.assert_close(grad_cam.normalised(pictures), expected.permute(0, 3, 1, 2), rtol=1e-5, atol=1e-5)


def test_probabilities_are_those_of_the_network():
    run = records.get(experiments.grad_cam_networks("smoke")[0], profile="smoke", keep=["weights"])
    pictures = data.dataset("smoke").test_images[:6]
    with torch.no_grad():
        expected = run.model().eval()(grad_cam.normalised(pictures)).softmax(1).numpy()
    for _ in range(2):  # measured, then read
        assert np.allclose(grad_cam.probabilities(run, pictures), expected, atol=1e-4)
    assert np.allclose(
        grad_cam.probabilities(run, pictures[::-1].copy()), expected[::-1], atol=1e-4
    )  # as many, but others
