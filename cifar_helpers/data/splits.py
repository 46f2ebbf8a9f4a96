"""Fixed choices of images, with equal classes."""

import numpy as np


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


VALIDATION_IMAGES = 5000  # of the 50,000 training images


def split(labels: np.ndarray, validation: int = VALIDATION_IMAGES, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
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
    chosen = subset(labels, validation, seed)
    return np.setdiff1d(np.arange(len(labels)), chosen), chosen
