"""The loss around trained weights in two random directions, filter-normalised (Li et al. 2018, arXiv 1712.09913)."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import nn
from torch.func import functional_call

from cifar_helpers.train import losses
from cifar_helpers.train.evaluation import eval_mode


@dataclass(frozen=True)
class Surface:
    """losses[j, i] is the loss at w + coordinates[i] d1 + coordinates[j] d2; infinite also where it is NaN."""

    coordinates: np.ndarray  # (points,) in units of the filters' norms, 0 in the middle
    losses: np.ndarray  # (points, points)


def direction(parameters: Sequence[torch.Tensor], generator: torch.Generator) -> list[torch.Tensor]:
    """A random direction in which each filter (each row of a matrix) has the norm of that filter of the weights.

    Biases and batch norm's scales and shifts (all that has one dimension) stay where they are: zero.
    """
    drawn = []
    for weight in parameters:
        noise = torch.randn(weight.shape, generator=generator).to(weight)
        if weight.dim() <= 1:
            drawn.append(torch.zeros_like(weight))
            continue
        others = tuple(range(1, weight.dim()))
        norms = [torch.linalg.vector_norm(tensor.detach(), dim=others, keepdim=True) for tensor in (weight, noise)]
        drawn.append(noise * norms[0] / norms[1].clamp_min(1e-10))
    return drawn


def surface(
    model: nn.Module,
    images: torch.Tensor,
    labels: torch.Tensor,
    *,
    loss: str = "cross_entropy",
    points: int = 13,
    extent: float = 1.0,
    seed: int = 0,
    batch_statistics: bool = False,
) -> Surface:
    """Loss of the model on images (N, 3, 32, 32), normalised, and labels (N,), over a square around its weights.

    points: along each side, an odd number, so that the weights themselves are one of them. extent: half a side; 1
    changes each filter by as much as its own norm. Batch norm normalises with the running statistics of the trained
    network, which do not move with the weights, as in the paper's code (dir_type weights, ignore biasbn); with
    batch_statistics it takes those of the images at each point, as in training. Dropout and noise are off in both.
    """
    if points < 3 or points % 2 == 0:
        raise ValueError(
            f"points must be odd, so that the trained weights are in the middle, and at least 3, not {points}"
        )
    generator, weights = torch.Generator().manual_seed(seed), dict(model.named_parameters())
    along, across = (dict(zip(weights, direction(list(weights.values()), generator))) for _ in range(2))
    coordinates = np.linspace(-extent, extent, points)
    found = np.empty((points, points))
    with eval_mode(model), torch.no_grad():
        for layer in model.modules():
            if batch_statistics and isinstance(layer, nn.BatchNorm2d):
                layer.train()
        for j, b in enumerate(coordinates):
            for i, a in enumerate(coordinates):
                moved = {name: weight + a * along[name] + b * across[name] for name, weight in weights.items()}
                moved |= {name: buffer.clone() for name, buffer in model.named_buffers()}  # a forward pass changes them
                found[j, i] = losses.LOSSES[loss](functional_call(model, moved, (images,)), labels, 0.0)
    return Surface(coordinates, np.where(np.isfinite(found), found, np.inf))
