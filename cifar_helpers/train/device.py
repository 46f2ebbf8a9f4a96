"""The device that a run takes."""

import torch

from cifar_helpers.train import cpu


def default_device() -> str:
    """A GPU where there is one."""
    return "cuda" if torch.cuda.is_available() else "cpu"


def resolve_device(device: str | None) -> str:
    """The device of that name, or where none is named the default; ValueError where this machine lacks it."""
    gpus = ["cuda", *(f"cuda:{number}" for number in range(torch.cuda.device_count()))]
    names = ["cpu", *(gpus if torch.cuda.is_available() else [])]
    if device and device not in names:
        raise ValueError(f"this machine has no device {device!r} that torch can use; choose from {', '.join(names)}")
    return device or default_device()


def matrix_units(device: str) -> str | None:
    """The CPU's units for products of matrices, "AMX"; None without them, or where a GPU trains."""
    return "AMX" if device == "cpu" and cpu.available() else None
