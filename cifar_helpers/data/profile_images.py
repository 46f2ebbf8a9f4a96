"""Which images a profile trains on."""

from .cifar10 import Cifar10, load
from .synthetic import synthetic


def dataset(profile: str) -> Cifar10:
    """The images of a profile: made up for smoke, CIFAR-10 for all others."""
    return synthetic() if profile == "smoke" else load()
