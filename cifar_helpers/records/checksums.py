"""The checksums of a record's files, in the file SHA256SUMS beside them."""

from pathlib import Path

from cifar_helpers.core import files

SUMS = "SHA256SUMS"  # of a record's other files, as the command sha256sum writes and checks them


class DamagedRecord(ValueError):
    """A file of a record is not what was written; the message says which, and what to do."""

    def __init__(self, file: Path, why: str | Exception):
        super().__init__(
            f"{file.name} of the record {file.parent} is damaged ({why}): restore the folder (git restore, where it is "
            "committed), or remove it and train again"
        )


def checked(file: Path) -> Path:
    """The file, if the record's checksums hold or there are none; else DamagedRecord."""
    if not file.exists():
        raise DamagedRecord(file, "it is missing")
    if file.with_name(SUMS).exists() and not checksum_ok(file):
        raise DamagedRecord(file, f"its checksum is not the one in {SUMS}")
    return file


def checksum_ok(file: Path) -> bool:
    """Whether the checksum of a record's file is among those written beside it."""
    sums = file.with_name(SUMS)
    return sums.exists() and files.checksum(file) in sums.read_text(errors="replace").splitlines()


def write_checksums(folder: Path) -> None:
    """Write the checksums of a record's files beside them: `sha256sum -c SHA256SUMS` checks them too."""
    _write(folder, [files.checksum(file) for file in sorted(folder.iterdir()) if not file.name.endswith(SUMS)])


def update_checksum(file: Path) -> None:
    """Add or replace the checksum of one file of a record; those of the others stay as they are, damaged or not."""
    sums = file.with_name(SUMS)
    if not sums.exists():  # written before checksums existed
        return write_checksums(file.parent)
    lines = [line for line in sums.read_text(errors="replace").splitlines() if not line.endswith(f"  {file.name}")]
    _write(file.parent, [*lines, files.checksum(file)])


def replace_files(folder: Path, ready: list[Path]) -> None:
    """Move new files into a record, in this order, over older ones of their names: at each moment all checksums hold.

    While they are moved, SHA256SUMS holds the lines of both.
    """
    names = {file.name for file in ready}
    old = (folder / SUMS).read_text(errors="replace").splitlines() if (folder / SUMS).exists() else []
    if not old:  # written before checksums existed
        old = [files.checksum(file) for file in sorted(folder.iterdir())]
    new = [files.checksum(file) for file in ready]
    _write(folder, old + new)
    for file in ready:
        file.replace(folder / file.name)
    _write(folder, [line for line in old if line.partition("  ")[2] not in names] + new)


def _write(folder: Path, lines: list[str]) -> None:
    temporary = folder / f".{SUMS}"
    temporary.write_text("".join(f"{line}\n" for line in lines), newline="\n")
    temporary.replace(folder / SUMS)
