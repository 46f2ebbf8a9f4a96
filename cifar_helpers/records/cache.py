"""Cache slow measurements on a trained network beside its weights."""

import json
import warnings
from collections.abc import Callable
from pathlib import Path

import numpy as np

from cifar_helpers.core import files, paths
from cifar_helpers.core.text import short_hash
from cifar_helpers.records import Run, checksums

Arrays = dict[str, np.ndarray]


def arrays(run: Run, name: str, measure: Callable[[], Arrays], **asked: int | str) -> Arrays:
    """What `measure()` gives: read from the run's record where it was kept for the same weights and question.

    asked: whatever else the arrays depend on. Else it is measured, and kept without any rounding as NAME-HASH.npz, of
    the weights and of what was asked. A file that is not as it was written is measured again; where none can be
    written, a warning says what to do, and nothing is lost but the time. What the code of `measure` does is not in
    the hash: who changes it removes the files.
    """
    question = json.dumps(asked, sort_keys=True) + files.checksum(run.weights)
    file = run.folder / f"{name}-{short_hash(question)}.npz"
    waiting = f"{file.name} of {run.folder.name} is being measured by another process; waiting for it"
    locks = paths.CHECKPOINTS / f"{run.record['profile']}-{run.folder.name}"
    with files.lock(locks.with_name(f"{locks.name}-{file.stem}.lock"), waiting):
        if file.exists() and checksums.checksum_ok(file):
            with np.load(file) as found:
                return dict(found)
        measured = measure()
        try:
            with files.lock(locks.with_name(f"{locks.name}-sums.lock")):  # SHA256SUMS is one for all files of the run
                _write(file, measured)
        except OSError as error:
            warnings.warn(str(files.unwritten(f"{file}", error, "run this again to keep it")), stacklevel=2)
        return measured


def _write(file: Path, measured: Arrays) -> None:
    temporary = file.with_name(f".{file.name}")  # one name for all: a killed writer's is replaced
    try:
        with temporary.open("wb") as opened:
            np.savez_compressed(opened, **measured)  # type: ignore[arg-type]  # numpy's own flags are keywords too
        temporary.replace(file)
    finally:
        temporary.unlink(missing_ok=True)
    checksums.update_checksum(file)
