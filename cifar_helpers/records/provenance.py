"""Where a run ran, and by which code."""

import platform
import subprocess
from pathlib import Path

import torch

from cifar_helpers.core import paths
from cifar_helpers.train import cpu


def device_name(device: str) -> str:
    """`NVIDIA H100 …` or `AMD EPYC, 2 threads`; `Intel(R) Xeon(R) Processor with AMX, 2 threads`.

    Whether AMX is switched on makes machines of one name several times as fast or slow.
    """
    if device.startswith("cuda"):
        return torch.cuda.get_device_name(device)
    name = platform.processor() or platform.machine()
    if (info := Path("/proc/cpuinfo")).exists():
        found = [line.split(":", 1)[1].strip() for line in info.read_text().splitlines() if "model name" in line]
        name = found[0] if found else name
    units = f" with {cpu.matrix_units()}" if cpu.matrix_units() else ""
    return f"{name}{units}, {torch.get_num_threads()} threads"


def matrix_units(device: str) -> str | None:
    """The CPU's units for products of matrices, "AMX"; None without them, or where a GPU trains."""
    return cpu.matrix_units() if device == "cpu" else None


def revision() -> str | None:
    """The git revision of the code, `+` behind it where files differ from it; None outside a checkout."""
    git = ["git", "-C", str(paths.ROOT)]
    try:
        head = subprocess.run([*git, "rev-parse", "--short", "HEAD"], capture_output=True, text=True, check=True)
        changed = subprocess.run(
            [*git, "status", "--porcelain", "--", "cifar_helpers"], capture_output=True, text=True, check=True
        )
    except (OSError, subprocess.CalledProcessError):
        return None
    return head.stdout.strip() + ("+" if changed.stdout.strip() else "")
