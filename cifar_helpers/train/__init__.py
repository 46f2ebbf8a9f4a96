"""One loop for every network, loss, optimizer and schedule: Config says what, train() does it."""

from .loop import (
    DATASETS,
    EVALUATIONS,
    PRECISIONS,
    Config,
    Result,
    autocast,
    batches_for,
    default_device,
    downscale,
    evaluate,
    network,
    predict,
    resolve_device,
    train,
)
from .optimizers import OPTIMIZERS, optimizers_for

__all__ = [
    "DATASETS",
    "EVALUATIONS",
    "OPTIMIZERS",
    "PRECISIONS",
    "Config",
    "Result",
    "autocast",
    "batches_for",
    "default_device",
    "downscale",
    "evaluate",
    "network",
    "optimizers_for",
    "predict",
    "resolve_device",
    "train",
]
