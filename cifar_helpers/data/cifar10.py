"""CIFAR-10 as verified arrays, made-up images for tests, and fixed splits with equal classes."""

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from cifar_helpers.data import download
from cifar_helpers.data.download import DataError  # noqa: F401, what load() raises

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


def cache_folder() -> Path:
    """The user's cache folder of this package."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "cifar_helpers"


def load(folder: str | os.PathLike | None = None) -> Cifar10:
    """The 60,000 images, verified by SHA-256; fetched once, then read from the cache without a network.

    Looks in `folder` (else in the folder that CIFAR_DATA names) for the official archive, the official folder or
    our cache file, then in the user's cache, then fetches (sources.py has the order). DataError if all fail.
    """
    folder = folder or os.environ.get("CIFAR_DATA")
    folders = [Path(folder).expanduser()] if folder else []
    if folders and folders[0].exists() and not folders[0].is_dir():
        raise DataError(f"CIFAR_DATA is to name a folder; {folder} is a file. Name the folder that holds it.")
    arrays: dict[str, Any] = download.fetch(list(dict.fromkeys([*folders, cache_folder()])))
    return Cifar10(**arrays)


def synthetic(seed: int = 0, train: int = 2000, test: int = 500) -> Cifar10:
    """Ten classes that a small network learns in seconds: each its own colours, stripe direction and width.

    Marked as synthetic. `train` and `test` are rounded down to equal classes; at least 10 images each.
    """
    if min(train, test) < 10:
        raise ValueError(f"train and test must be at least 10 (one image of each class), not {train} and {test}")
    random = np.random.default_rng(seed)
    # the looks of the classes do not depend on the seed: a network learnt on one seed knows the images of another
    hues = 2 * np.pi * (np.arange(10) / 10)[:, None] + np.array([0, 2, 4]) * np.pi / 3
    y, x = np.mgrid[:32, :32]

    def images(count: int) -> tuple[np.ndarray, np.ndarray]:
        labels = random.permutation(np.repeat(np.arange(10, dtype=np.uint8), count // 10))
        angle = np.pi * (labels % 5) / 5 + random.normal(0, 0.08, len(labels))
        across = np.cos(angle)[:, None, None] * x + np.sin(angle)[:, None, None] * y
        wave = across / (1.0 + labels // 5)[:, None, None]
        wave = np.sin(wave + random.uniform(0, 2 * np.pi, (len(labels), 1, 1)))
        colour = 70 * np.cos(hues[labels])[:, None, None] * random.uniform(0.4, 1, (len(labels), 1, 1, 1))
        noise = random.normal(0, 20, (len(labels), 32, 32, 3))
        return (120 + colour + 35 * wave[..., None] + noise).clip(0, 255).astype(np.uint8), labels

    return Cifar10(*images(train), *images(test), synthetic=True)


def subset(labels: np.ndarray, count: int, seed: int = 0) -> np.ndarray:
    """Sorted indices of `count` images, as equal in class as `count` allows; the same ones for the same seed."""
    labels = np.asarray(labels)
    if not 0 < count <= len(labels):
        raise ValueError(f"count must be from 1 to the {len(labels)} labels, not {count}")
    random = np.random.default_rng(seed)
    shuffled = random.permutation(len(labels))
    # rank of each image within its own class: taking the lowest ranks takes the classes in turn
    rank = np.empty(len(labels), dtype=np.int64)
    for name in np.unique(labels):
        own = shuffled[labels[shuffled] == name]
        rank[own] = np.arange(len(own))
    order = shuffled[np.argsort(rank[shuffled], kind="stable")]
    return np.sort(order[:count])


def split(labels: np.ndarray, validation: int = 5000, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Sorted (train, validation) indices: validation has equal classes, train is the rest.

    For choosing between networks or settings; the test set is for reporting only.
    """
    labels = np.asarray(labels)
    classes, counts = np.unique(labels, return_counts=True)
    if validation < 1 or validation % len(classes) or validation // len(classes) >= counts.min():
        raise ValueError(
            f"validation must be a multiple of the {len(classes)} classes and leave some of each "
            f"class for training (at most {len(classes) * (counts.min() - 1)}), not {validation}"
        )
    held = subset(labels, validation, seed)
    return np.setdiff1d(np.arange(len(labels)), held), held


def dataset(profile: str) -> Cifar10:
    """The images of a profile: made up for smoke, CIFAR-10 for all others."""
    return synthetic() if profile == "smoke" else load()
