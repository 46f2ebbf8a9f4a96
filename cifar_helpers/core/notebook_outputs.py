"""What a notebook wrote for the report, by the number in the files' names, and the checksums of it."""

import os
from pathlib import Path

from cifar_helpers.core import files, paths

SUMS = ".sha256"  # NOTEBOOK.sha256 in report/generated/: the checksums of what that notebook wrote


def of_notebook(notebook: str, profile: str) -> dict[Path, tuple[int, int]]:
    """The files in figures/ and generated/ that bear the number of a notebook, each with what changes if it is written.

    That is the inode and the time of change: a file that is replaced gets another inode.
    """
    folders = (paths.figures(profile), paths.generated(profile))
    patterns = (f"{notebook[:2]}_*", f".{notebook[:2]}_*")  # the second: temporary files of a run that was killed
    found = [file for folder in folders for pattern in patterns for file in folder.glob(pattern)]
    found = [file for file in found if file.suffix != SUMS]
    return {file: (file.stat().st_ino, file.stat().st_mtime_ns) for file in found}


def remove_unwritten(notebook: str, profile: str, before: dict[Path, tuple[int, int]]) -> list[Path]:
    """Remove what a notebook that has just run does not write any more; `before` is of_notebook() before its run."""
    unwritten = [file for file, state in of_notebook(notebook, profile).items() if before.get(file) == state]
    for file in unwritten:
        file.unlink()
    return unwritten


def write_checksums(notebook: str, profile: str) -> None:
    """Write the checksums of a notebook's files beside them: `sha256sum -c` in report/generated/ checks them too."""
    folder = paths.generated(profile)
    digests = {os.path.relpath(file, folder): digest(file) for file in sorted(of_notebook(notebook, profile))}
    files.write(folder / f"{notebook}{SUMS}", "".join(f"{value}  {name}\n" for name, value in digests.items()))


def check(profile: str) -> None:
    """Check the files that notebooks wrote against their checksums, those of a notebook that has any.

    Raises:
        ValueError: one was changed, cut, added or removed, or its checksum was; it is named with the command that
            writes it again.
    """
    folder = paths.generated(profile)
    for sums in sorted(folder.glob(f"*{SUMS}")):
        lines = sums.read_text(encoding="utf-8", errors="replace").splitlines()
        parts = [line.partition("  ") for line in lines]
        expected = {os.path.normpath(folder / name): value for value, _, name in parts if name}
        files_there = [file for file in of_notebook(sums.stem, profile) if not file.name.startswith(".")]
        there = {os.path.normpath(file): digest(file) for file in files_there}
        if wrong := sorted(dict(expected.items() ^ there.items())):
            raise ValueError(
                f"{wrong[0]} is not as its notebook wrote it; write it again: "
                f"python -m cifar_helpers notebook {sums.stem} --profile {profile}"
            )


def digest(file: Path) -> str:
    """The SHA-256 of a file, in hexadecimal digits."""
    return files.checksum(file).partition("  ")[0]
