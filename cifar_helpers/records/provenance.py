"""Where a run ran, and by which code."""

import functools
import os
import platform
import subprocess
from pathlib import Path

import torch

from cifar_helpers.core import paths
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
    units = f" with {matrix_units(device)}" if matrix_units(device) else ""
    return f"{name}{units}, {torch.get_num_threads()} threads"


@functools.cache
def revision() -> str | None:
    """The git revision of the code, `+` behind it where files differ from it.

    None outside a checkout, and where the checkout around it is another project's. It is the one of the first call in
    this process: what is committed later, during a training, is not the code that runs.
    """

    def git(*arguments: str) -> str:
        command = ["git", "-C", str(paths.ROOT), *arguments]
        return subprocess.run(command, env=environment, capture_output=True, text=True, check=True).stdout.strip()

    # GIT_DIR and its kin name another repository, in a git hook say
    environment = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
    try:
        if Path(git("rev-parse", "--show-toplevel")).resolve() != paths.ROOT.resolve():
            return None
        # also where the user's own settings leave out new files
        changed = git("status", "--porcelain", "--untracked-files=all", "--", "cifar_helpers")
        return git("rev-parse", "--short", "HEAD") + ("+" if changed else "")
    except (OSError, subprocess.CalledProcessError):
        return None
