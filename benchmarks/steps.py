"""A training step to be timed, on made-up images: what two benchmarks share."""

import time
from collections.abc import Callable

import torch
from torch import nn

from cifar_helpers import models, train


def step_of(
    name: str,
    batch: int,
    side: int = 32,
    width: float = 1.0,
    change: Callable[[nn.Module], None] | None = None,
    precision: str = "bfloat16",
) -> Callable[[], float]:
    """A function that takes a step forward and backward and gives its milliseconds.

    `change` turns the network's convolutions into others, in place. The same weights and images for all.
    """
    torch.manual_seed(0)
    model = models.build(name, width=width).to(memory_format=torch.channels_last)
    if change:
        change(model)
    images = torch.randn(batch, 3, side, side).to(memory_format=torch.channels_last)
    labels = torch.arange(batch) % 10

    def step() -> float:
        started = time.perf_counter()
        with train.autocast("cpu", precision):
            scores = model(images)
        model.zero_grad()
        torch.nn.functional.cross_entropy(scores.float(), labels).backward()
        return 1000 * (time.perf_counter() - started)

    for _ in range(2):  # these set up oneDNN's kernels
        step()
    return step
