"""CIFAR-10 as verified arrays, where it comes from, and its batches on the device."""

from .cifar10 import CLASSES, MEAN, STD, Cifar10, cache_folder, dataset, load, split, subset, synthetic
from .download import DataError

__all__ = [
    "CLASSES",
    "MEAN",
    "STD",
    "Cifar10",
    "DataError",
    "cache_folder",
    "dataset",
    "load",
    "split",
    "subset",
    "synthetic",
]
