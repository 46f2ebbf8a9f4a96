"""Directions, and surfaces whose shape is known."""

import numpy as np
import pytest
import torch
from torch import nn

from cifar_helpers import models
from cifar_helpers.analysis import loss_surface


def test_each_filter_of_a_direction_has_the_norm_of_the_weights():
    torch.manual_seed(0)
    model = models.build("vgg_a_bn", width=0.125)
    nn.init.zeros_(model.stages.stage1[0].weight[0])  # a dead filter does not move
    drawn = loss_surface.direction(list(model.parameters()), torch.Generator().manual_seed(0))
    for (name, weight), step in zip(model.named_parameters(), drawn, strict=True):
        if weight.dim() > 1:
            torch.testing.assert_close(step.flatten(1).norm(dim=1), weight.detach().flatten(1).norm(dim=1), msg=name)
        else:
            assert not step.any(), name


class Paraboloid(nn.Module):
    """Logits whose cross-entropy is known: (|w|^2, 0) for an image of class 0."""

    def __init__(self, side=200):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(1, side**2))

    def forward(self, images):
        height = self.weight.square().sum() / self.weight.numel()
        return torch.stack([-height, torch.zeros(())]).expand(len(images), 2)


def test_surface_of_a_paraboloid():
    """In many dimensions random directions are at right angles: |w + a d1 + b d2|^2 = |w|^2 (1 + a^2 + b^2)."""
    found = loss_surface.surface(Paraboloid(), torch.zeros(1, 3, 32, 32), torch.tensor([0]), points=5, extent=2.0)
    a, b = np.meshgrid(found.coordinates, found.coordinates)
    assert found.coordinates.tolist() == [-2, -1, 0, 1, 2]
    np.testing.assert_allclose(found.losses, np.log1p(np.exp(1 + a**2 + b**2)), atol=0.15)
    assert found.losses[2, 2] == pytest.approx(np.log1p(np.e))


def test_axes_are_not_swapped():
    """losses[j, i] belongs to coordinates[i] along the first direction."""
    torch.manual_seed(0)
    model, images, labels = models.build("vgg_a", width=0.125), torch.randn(4, 3, 32, 32), torch.arange(4)
    found = loss_surface.surface(model, images, labels, points=3)
    first = loss_surface.direction(list(model.parameters()), torch.Generator().manual_seed(0))
    with torch.no_grad():
        for weight, step in zip(model.parameters(), first):
            weight += step
        assert found.losses[1, 2] == pytest.approx(nn.functional.cross_entropy(model.eval()(images), labels).item())


def test_surface_leaves_the_model_alone_and_repeats():
    torch.manual_seed(0)
    model, images, labels = models.build("vgg_a_bn", width=0.125).train(), torch.randn(4, 3, 32, 32), torch.arange(4)
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    first = loss_surface.surface(model, images, labels, points=3)
    assert model.training and all(torch.equal(t, before[name]) for name, t in model.state_dict().items())
    assert np.array_equal(first.losses, loss_surface.surface(model, images, labels, points=3).losses)
    assert not np.array_equal(first.losses, loss_surface.surface(model, images, labels, points=3, seed=1).losses)
    centre = nn.functional.cross_entropy(model.eval()(images), labels)  # running statistics, not the batch's
    assert first.losses[1, 1] == pytest.approx(centre.item())


def test_the_statistics_of_the_images_instead_of_the_running_ones():
    torch.manual_seed(0)
    model, images, labels = models.build("vgg_a_bn", width=0.125).eval(), torch.randn(4, 3, 32, 32), torch.arange(4)
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    found = loss_surface.surface(model, images, labels, points=3, batch_statistics=True)
    assert not any(layer.training for layer in model.modules())
    assert all(torch.equal(tensor, before[name]) for name, tensor in model.state_dict().items())
    first = loss_surface.direction(list(model.parameters()), torch.Generator().manual_seed(0))
    with torch.no_grad():
        assert found.losses[1, 1] == pytest.approx(nn.functional.cross_entropy(model.train()(images), labels).item())
        for weight, step in zip(model.parameters(), first):
            weight += step
        assert found.losses[1, 2] == pytest.approx(nn.functional.cross_entropy(model(images), labels).item())
    assert not np.allclose(found.losses, loss_surface.surface(model.eval(), images, labels, points=3).losses)


def test_what_leaves_the_numbers_is_infinite():
    model = models.build("vgg_a", width=0.125)
    with torch.no_grad():
        model.head[-1].bias[0] = float("nan")
    assert np.isinf(loss_surface.surface(model, torch.zeros(2, 3, 32, 32), torch.tensor([0, 1]), points=3).losses).all()


@pytest.mark.parametrize("points", (1, 4))
def test_points_must_have_a_middle(points):
    with pytest.raises(ValueError, match="odd"):
        loss_surface.surface(Paraboloid(2), torch.zeros(1, 3, 32, 32), torch.tensor([0]), points=points)
