import os
import subprocess
import sys

import pytest

from cifar_helpers.train import cpu

COUNT = """
import resource
from cifar_helpers.train import cpu
import torch

{keep}
for _ in range(20):
    torch.ones(16 << 20)  # 64 MiB
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt)
"""


def faults(keep: str) -> int:
    # pages that are cleared by the kernel; huge ones would hide the difference
    environment = os.environ | {"THP_MEM_ALLOC_ENABLE": "0"}
    code = COUNT.format(keep=keep)
    return int(
        subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True, env=environment).stdout
    )


def test_freed_memory_is_used_again():
    if not cpu.keep_freed():
        pytest.skip("no glibc here")
    pages = 20 * 64 * 256  # of 4 KiB, when each block is taken anew
    assert faults("") - faults("cpu.keep_freed()") > pages / 2
