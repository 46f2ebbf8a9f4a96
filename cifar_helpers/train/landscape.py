"""What batch norm does to the loss: the measurements of Santurkar et al. (NeurIPS 2018, arXiv 1805.11604).

At a step of training, with its weights w, its batch and the gradient g of its loss L, walk along -g and look:
    loss variation              L(w - a g),                                smallest and largest over the step sizes a
    gradient predictiveness     |grad L(w - a g) - g|,                     smallest and largest over a
    effective beta-smoothness   |grad L(w - a g) - g| / |a g|,             largest over a
One gradient per step size serves all three. `landscape` and `shift` are measurements: train(keep=["landscape:50"]).
"""

import contextlib
from collections.abc import Callable, Iterator, Sequence

import numpy as np
import pandas as pd
import torch
from torch import nn

from cifar_helpers import models
from cifar_helpers.data.batches import Batches
from cifar_helpers.train import losses
from cifar_helpers.train.evaluation import eval_mode

# Step sizes as multiples of the learning rate: the paper's range for VGG, [1/2, 4] (its appendix A.2.2). It does not
# say how finely; steps of 1/2 are ours.
FACTORS = np.arange(1, 9) / 2
PROBE = 200  # validation or test images on which `shift` measures the layers


@contextlib.contextmanager
def preserve_state(model: nn.Module) -> Iterator[None]:
    """Evaluation mode inside; on exit weights, buffers, modes and the state of the random numbers are as before."""
    tensors = [*model.parameters(), *model.buffers()]
    saved = [tensor.detach().clone() for tensor in tensors]
    with torch.random.fork_rng(_gpus(tensors)), eval_mode(model):
        try:
            yield
        finally:
            with torch.no_grad():
                for tensor, value in zip(tensors, saved):
                    tensor.copy_(value)


def line_scan(
    loss_of: Callable[[], torch.Tensor], parameters: Sequence[torch.Tensor], step_sizes: Sequence[float]
) -> pd.DataFrame:
    """Walk from where the parameters are along the negative gradient, each step size from the start.

    loss_of() is the loss (a scalar) at the parameters' present values; each call gets the same random numbers, so
    dropout and noise stay as they are. A row per point, the start (step size 0) first: step_size, loss, moved
    (the length of the way), gradient_change (the l2 distance of the gradient there from the one at the start) and
    smoothness, their ratio (NaN at the start). The parameters are as before afterwards.
    """
    gpus = _gpus(parameters)

    def look():
        with torch.random.fork_rng(gpus):
            loss = loss_of()
        return loss.detach(), torch.autograd.grad(loss, parameters)

    start = [p.detach().clone() for p in parameters]
    loss, gradient = look()
    rows = [(0.0, loss, torch.zeros(()), torch.zeros(()))]
    try:
        for size in step_sizes:
            with torch.no_grad():
                for p, weight, slope in zip(parameters, start, gradient):
                    p.copy_(weight - size * slope)
            loss, there = look()
            rows.append((float(size), loss, _distance(parameters, start), _distance(there, gradient)))
    finally:
        with torch.no_grad():
            for p, weight in zip(parameters, start):
                p.copy_(weight)
    points = pd.DataFrame(
        [[float(value) for value in row] for row in rows], columns=["step_size", "loss", "moved", "gradient_change"]
    )
    return points.assign(smoothness=points["gradient_change"] / points["moved"])


def landscape(model: nn.Module, batch: tuple, evaluation: Batches, config) -> list[dict]:
    """The three measurements at this step: one row of loss, loss_low, loss_high, change_low, change_high, smoothness.

    The step sizes are FACTORS times the config's learning rate. The loss is that of the training step, batch norm
    with the batch's own statistics, but in float32 also where training uses bfloat16, whose rounding would count as a
    change of the gradient. NaN counts as infinite.
    """
    images, labels = batch
    criterion = losses.LOSSES[config.loss]
    with preserve_state(model):
        model.train()
        points = line_scan(
            lambda: criterion(model(images), labels, config.label_smoothing),
            _trained(model),
            config.learning_rate * FACTORS,
        )
    points["smoothness"] = points["smoothness"].mask(points["moved"] == 0, 0.0)  # where the gradient is zero
    points = points.fillna(np.inf)
    ahead = points.iloc[1:]
    row = {
        "loss": points["loss"].iloc[0],
        "loss_low": ahead["loss"].min(),
        "loss_high": ahead["loss"].max(),
        "change_low": ahead["gradient_change"].min(),
        "change_high": ahead["gradient_change"].max(),
        "smoothness": ahead["smoothness"].max(),
    }
    return [{name: float(value) for name, value in row.items()}]  # a checkpoint holds no numpy scalars


def shift(model: models.Network, batch: tuple, evaluation: Batches, config) -> list[dict]:
    """How far one step moves the distribution of each later stage's input: a row per stage of layer, shift.

    Each channel of the input to stages 2, 3, ... has a mean m_c and a standard deviation s_c over the positions of
    PROBE evaluation images, in training mode (so with the noise, where a network has some). They are taken before and
    after the step w - a g of plain gradient descent on the batch, a the learning rate: the step of training itself
    for SGD without momentum and weight decay. With dm_c and ds_c their changes,
        shift = sqrt(mean_c(dm_c^2 + ds_c^2) / mean_c(s_c^2)),
    the 2-Wasserstein distance of Gaussians with these moments in units of the spread.
    """
    images, labels = batch
    probe = next(evaluation.epoch(0))[0][:PROBE]
    parameters = _trained(model)
    with preserve_state(model):
        model.train()
        before = _moments(model, probe)
        loss = losses.LOSSES[config.loss](model(images), labels, config.label_smoothing)
        with torch.no_grad():
            for p, slope in zip(parameters, torch.autograd.grad(loss, parameters)):
                p.sub_(config.learning_rate * slope)
        after = _moments(model, probe)
    rows = []
    for layer, (mean, sd) in before.items():
        moved = (after[layer][0] - mean).square() + (after[layer][1] - sd).square()
        distance, spread = moved.mean().sqrt(), sd.square().mean().sqrt()
        # a dead layer has no spread and does not move
        rows.append({"layer": layer, "shift": float(distance / spread) if distance != 0 else 0.0})
    return rows


def _moments(model: models.Network, images: torch.Tensor) -> dict[str, tuple[torch.Tensor, torch.Tensor]]:
    """(mean, standard deviation) of each channel of the inputs to stages 2, 3, ..."""
    found = {}
    with torch.no_grad():
        values = model.stem(images)
        for name, stage in models.stages(model).items():
            found[name] = values.mean((0, 2, 3)), values.std((0, 2, 3))
            values = stage(values)
    return dict(list(found.items())[1:])


def _trained(model: nn.Module) -> list[nn.Parameter]:
    return [p for p in model.parameters() if p.requires_grad]


def _distance(one: Sequence[torch.Tensor], other: Sequence[torch.Tensor]) -> torch.Tensor:
    norms = [torch.linalg.vector_norm(a.detach() - b, dtype=torch.float64) for a, b in zip(one, other)]
    return torch.linalg.vector_norm(torch.stack(norms))


def _gpus(tensors: Sequence[torch.Tensor]) -> list[torch.device]:
    return list({tensor.device for tensor in tensors if tensor.is_cuda})
