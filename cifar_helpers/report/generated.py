"""The files that notebooks write for the report: report/generated/ and figures/, each named by its notebook.

Each .tex file begins with its profile, so that nobody takes made-up numbers for real ones.
"""

import re
from pathlib import Path

from cifar_helpers.core import files, paths
from cifar_helpers.report.latex import escape


def check_name(name: str) -> None:
    """ValueError where a name does not begin with its notebook's two digits: `03_activation_curves`."""
    if not re.fullmatch("[0-9]{2}_[A-Za-z0-9_]+", name):
        raise ValueError(
            f"{name!r} cannot name a file of the report: the notebook's two digits, then what it holds, in letters, "
            "digits and _, such as 03_activation_curves"
        )


def write(name: str, text: str, profile: str) -> None:
    """Write generated/<name>.tex."""
    files.write(paths.generated(profile) / f"{name}.tex", f"% profile: {profile}\n{text.rstrip()}\n")


def write_caption(kind: str, name: str, caption: str, profile: str) -> None:
    """Put a figure or table (`kind`) with this caption into the report's appendix."""
    write(f"{name}.{kind}", rf"\result{kind}{{{name}}}{{{escape(caption)}}}", profile)


def of_notebook(notebook: str, profile: str) -> dict[Path, tuple[int, int]]:
    """The files in figures/ and generated/ that bear the number of a notebook, each with what changes if it is written.

    That is the inode and the time of change: a file that is replaced gets another inode.
    """
    folders = (paths.figures(profile), paths.generated(profile))
    patterns = (f"{notebook[:2]}_*", f".{notebook[:2]}_*")  # the second: temporary files of a run that was killed
    found = [file for folder in folders for pattern in patterns for file in folder.glob(pattern)]
    return {file: (file.stat().st_ino, file.stat().st_mtime_ns) for file in found}


def remove_unwritten(notebook: str, profile: str, before: dict[Path, tuple[int, int]]) -> list[Path]:
    """Remove what a notebook that has just run does not write any more; `before` is of_notebook() before its run."""
    unwritten = [file for file, state in of_notebook(notebook, profile).items() if before.get(file) == state]
    for file in unwritten:
        file.unlink()
    return unwritten
