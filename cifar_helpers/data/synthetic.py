"""Made-up images for tests: learnt in seconds, and marked as synthetic."""

import numpy as np

from cifar_helpers.data.cifar10 import Cifar10


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
