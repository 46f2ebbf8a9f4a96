"""The device that a run takes."""

import torch


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
