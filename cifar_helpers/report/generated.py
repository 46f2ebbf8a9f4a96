"""The files that notebooks write for the report: report/generated/ and figures/, each named by its notebook.

Each .tex file begins with its profile, so that nobody takes made-up numbers for real ones.
"""

import re

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
