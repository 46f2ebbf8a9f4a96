"""On which machine a run ran."""

import platform
from pathlib import Path

import torch

from cifar_helpers.train.device import matrix_units


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
    if units := matrix_units(device):
        name += f" with {units}"
    return f"{name}, {torch.get_num_threads()} threads"
