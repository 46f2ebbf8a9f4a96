"""Where each profile's results lie: `full` in the repository itself, every other under build/<profile>/."""

import os
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
CHECKPOINTS = ROOT / "build" / "checkpoints"
aside: Path | None = None  # of a notebook that does not write for the report: the folder of its figures and tables


def named_folder(name: str | os.PathLike) -> Path:
    """A folder that a user names, as an absolute path; ValueError where it begins with a home that is not known."""
    path = Path(os.path.expanduser(name))
    if str(path).startswith("~"):
        raise ValueError(f"the folder {name} cannot be found, since no home directory is known: give an absolute path")
    return path.absolute()


def base(profile: str) -> Path:
    """The folder that holds runs/, notebooks/, figures/ and report/ of a profile.

    Smaller profiles have their own folder, so they never overwrite the full results.
    """
    return ROOT if profile == "full" else ROOT / "build" / profile


def runs(profile: str) -> Path:
    return base(profile) / "runs"


def notebooks(profile: str) -> Path:
    return base(profile) / "notebooks"


def set_aside(name: str) -> Path:
    """Have this process write its figures and tables into build/<name>, not over the report's; that folder.

    Records are not moved: their configs tell them apart.
    """
    global aside
    aside = ROOT / "build" / name
    return aside


def figures(profile: str) -> Path:
    return (aside or base(profile)) / "figures"


def report(profile: str) -> Path:
    return (aside or base(profile)) / "report"


def generated(profile: str) -> Path:
    return report(profile) / "generated"
