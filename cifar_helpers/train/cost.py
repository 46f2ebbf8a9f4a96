"""What a training costs: wall and CPU seconds, memory, multiply-adds."""

import contextlib
import time
from pathlib import Path

import torch
import torchinfo
from torch import nn

PFLOP = 6 / 1e15  # of a multiply-add in the forward pass: two operations, and twice as many in the backward pass


class Stopwatch:
    """Wall and CPU seconds (of all threads of this process) inside its `with` blocks, summed."""

    def __init__(self):
        self.wall = self.cpu = 0.0

    def __enter__(self) -> "Stopwatch":
        self.wall -= time.perf_counter()
        self.cpu -= time.process_time()
        return self

    def __exit__(self, *_) -> None:
        self.wall += time.perf_counter()
        self.cpu += time.process_time()


def multiply_adds(model: nn.Module, side: int = 32) -> int:
    """Of one image (3, side, side) through the network, forward only, as torchinfo counts them: exact, layer by layer.

    Each weight of a convolution counts once per position of its output, any other parameter once. Training takes about
    three times as many.
    """
    device = next(model.parameters()).device
    images = torch.zeros(1, 3, side, side, device=device)
    return int(torchinfo.summary(model, input_data=images, device=device, verbose=0).total_mult_adds)


def forward_passes(model: nn.Module, epochs: int) -> int:
    """Multiply-adds of so many epochs of all 50,000 training images through the network, at 32x32 pixels."""
    return epochs * 50_000 * multiply_adds(model)


def multiply_adds_of_training(model: nn.Module, config, epochs: int, images: int) -> int:
    """Of the forward passes of all training images: so many epochs of so many images each, the first ones small."""
    small = min(epochs, config.small_epochs)
    passes = {config.small_side: small, 32: epochs - small} if config.small_side != 32 else {32: epochs}
    return sum(images * number * multiply_adds(model, side) for side, number in passes.items() if number)


def reset_peak_memory(device: str) -> None:
    """Forget the peaks of earlier runs; memory that this process still holds from them counts on."""
    if device.startswith("cuda"):
        torch.cuda.reset_peak_memory_stats(device)
    elif (file := Path("/proc/self/clear_refs")).exists():
        with contextlib.suppress(OSError):  # some containers forbid it; then earlier runs count
            file.write_text("5")


def peak_memory_mb(device: str) -> float:
    """The largest memory (MB) since the reset: of the process on a CPU, of torch's allocator on a GPU."""
    if device.startswith("cuda"):
        return torch.cuda.max_memory_allocated(device) / 1e6
    if (status := Path("/proc/self/status")).exists():
        return next(int(line.split()[1]) for line in status.open() if line.startswith("VmHWM")) * 1024 / 1e6
    import resource  # not on Windows

    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6  # bytes on macOS
