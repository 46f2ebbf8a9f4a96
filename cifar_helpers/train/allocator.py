"""The memory that a process has freed stays with it."""

import ctypes
import sys

M_TRIM_THRESHOLD, M_MMAP_THRESHOLD = -1, -3  # of <malloc.h>
LARGEST = 2**31 - 1  # bytes: what mallopt's int can say


def keep_freed() -> bool:
    """Have glibc keep what is freed, instead of giving large blocks back to the system; False where there is no glibc.

    A training step on a CPU frees and takes the same gigabytes again and again, and the system clears every page of
    them each time: a tenth of a step's time and more (benchmarks/allocator.txt).
    """
    if not sys.platform.startswith("linux"):
        return False
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    return bool(mallopt and mallopt(M_MMAP_THRESHOLD, LARGEST) and mallopt(M_TRIM_THRESHOLD, LARGEST))
