"""By which code a run ran."""

import functools
import os
import subprocess
from pathlib import Path

from cifar_helpers.core import paths


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
