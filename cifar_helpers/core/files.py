"""Files that two processes want at once, files that are whole or not there, folders that are full or read-only."""

import contextlib
import errno
import hashlib
import os
import sys
from collections.abc import Iterator
from pathlib import Path

from filelock import FileLock, Timeout

# disk full, quota reached, no permission, read-only, medium damaged, file too large
UNWRITABLE = (errno.ENOSPC, errno.EDQUOT, errno.EACCES, errno.EPERM, errno.EROFS, errno.EIO, errno.EFBIG)


@contextlib.contextmanager
def lock(path: Path, waiting: str = "") -> Iterator[None]:
    """Hold a lock; a process that has to wait for another one says `waiting`.

    OSError says what to do where the file system gives no locks, as some network drives do.
    """
    file_lock = FileLock(folder(path.parent) / path.name)
    try:
        try:
            file_lock.acquire(timeout=0)
        except Timeout:
            print(waiting, end="\n" * bool(waiting), file=sys.stderr, flush=True)
            file_lock.acquire()
    except (OSError, NotImplementedError) as error:
        raise OSError(
            f"the file {path} could not be locked ({error}): move its folder to a disk of this machine, or ask for "
            "locks on this one, and give the same command again"
        ) from error
    try:
        yield
    finally:
        file_lock.release()


def folder(path: Path) -> Path:
    """The folder, made where it is missing; OSError says what to do where nothing can be written into it."""
    try:
        path.mkdir(parents=True, exist_ok=True)
        if not os.access(path, os.W_OK):
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
    except OSError as error:
        raise unwritten(f"the folder {path}", error) from error
    return path


@contextlib.contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """A temporary path beside `path`, of the same suffix; what is written there takes the place of `path` at the end.

    So the file is there whole or as it was, whatever happens in between. OSError says what to do on a full disk.
    """
    temporary = folder(path.parent) / f".{path.stem}.{os.getpid()}{path.suffix}"
    try:
        yield temporary
        temporary.replace(path)
    except OSError as error:
        if error.errno not in UNWRITABLE:  # of what was written, as a file that it reads and that is not there
            raise
        raise unwritten(f"the file {path}", error) from error
    finally:
        temporary.unlink(missing_ok=True)


def write(path: Path, text: str) -> None:
    """Write a text file, UTF-8 with LF on every system, whole or not at all."""
    with replacing(path) as temporary:
        temporary.write_text(text, encoding="utf-8", newline="\n")


def checksum(file: Path) -> str:
    """The file's line as `sha256sum` writes it and `sha256sum -c` checks it."""
    with file.open("rb") as opened:
        return f"{hashlib.file_digest(opened, 'sha256').hexdigest()}  {file.name}"


def unwritten(what: str, error: Exception, then: str = "give the same command again") -> OSError:
    """What to raise where a file could not be written: which one, why, and what to do about it."""
    if isinstance(error, OSError) and error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
        remedy = "allow writing there, or work in a copy of the repository,"
    else:
        remedy = "free some disk space"
    return OSError(f"{what} could not be written ({error}): {remedy} and {then}")
