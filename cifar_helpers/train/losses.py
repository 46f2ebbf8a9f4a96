"""The four losses of the report, on logits (B, 10) and integer labels (B,); each gives a mean, a scalar."""

from collections.abc import Callable

import torch
from torch.nn import functional

Loss = Callable[[torch.Tensor, torch.Tensor, float], torch.Tensor]


def one_hot(labels: torch.Tensor, classes: int, smoothing: float = 0.0) -> torch.Tensor:
    """Targets (B, classes) in [0, 1]: 1 - s + s/classes for the label, s/classes for each other class."""
    return functional.one_hot(labels, classes).float() * (1 - smoothing) + smoothing / classes


def cross_entropy(logits, labels, smoothing=0.0):
    """-sum_k y_k log softmax(z)_k, averaged over the batch."""
    return functional.cross_entropy(logits, labels, label_smoothing=smoothing)


def mse(logits, labels, smoothing=0.0):
    """sum_k (z_k - y_k)^2 / K, averaged over the batch; the logits are the prediction, without a softmax."""
    return functional.mse_loss(logits, one_hot(labels, logits.shape[1], smoothing))


def bce_with_logits(logits, labels, smoothing=0.0):
    """-sum_k [y_k log s(z_k) + (1 - y_k) log(1 - s(z_k))] / K with the logistic function s."""
    return functional.binary_cross_entropy_with_logits(logits, one_hot(labels, logits.shape[1], smoothing))


def multilabel_soft_margin(logits, labels, smoothing=0.0):
    """The same formula as `bce_with_logits` (torch gives it a second name)."""
    return functional.multilabel_soft_margin_loss(logits, one_hot(labels, logits.shape[1], smoothing))


LOSSES: dict[str, Loss] = {f.__name__: f for f in (cross_entropy, mse, bce_with_logits, multilabel_soft_margin)}
