"""CIFAR-10 as verified arrays."""

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from cifar_helpers.core import paths
from cifar_helpers.data import download
from cifar_helpers.data.download import DataError

CLASSES = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")
# per channel, over all pixels of the 50,000 training images, as shares of 255 (notebook 01_data computes them)
MEAN = (0.49140, 0.48216, 0.44653)
STD = (0.24703, 0.24349, 0.26159)


@dataclass(frozen=True, eq=False)
class Cifar10:
    """Images (N, 32, 32, 3) uint8, RGB, 0..255; labels (N,) uint8, indices into `classes`."""

    train_images: np.ndarray
    train_labels: np.ndarray
    test_images: np.ndarray
    test_labels: np.ndarray
    classes: tuple[str, ...] = CLASSES
    synthetic: bool = False  # made up: nothing that is computed from it may pass for a result


def load(folder: str | os.PathLike | None = None) -> Cifar10:
    """The 60,000 images, verified by SHA-256; fetched once, then read from the cache without a network.

    Looks in `folder` (else in the folder that CIFAR_DATA names) for the official archive, the official folder or
    our cache file, then in the user's cache, then fetches (download.py has the order). The folder may be the official
    one itself. DataError if all fail.
    """
    named = folder or os.environ.get("CIFAR_DATA")
    arrays: dict[str, Any] = download.fetch(_folder(named) if named else None)
    return Cifar10(**arrays)


def _folder(named: str | os.PathLike) -> Path:
    path = paths.named_folder(named)
    if path.exists() and not path.is_dir():
        raise DataError(f"CIFAR_DATA is to name a folder; {path} is a file. Name the folder that holds it.")
    if not path.exists() and not os.path.isabs(os.path.expanduser(named)):
        # made here, it might be a second one: a notebook's working directory is not the one of who started it
        raise DataError(f"CIFAR_DATA is {named}, but there is no folder {path}. Make it, or give an absolute path.")
    return path
