"""CIFAR-10 as verified arrays, where it comes from, and its batches on the device."""

from .cifar10 import CLASSES, MEAN, STD, Cifar10, load
from .download import DataError, cache_folder
from .profile_images import dataset
from .splits import split, subset
from .synthetic import synthetic
