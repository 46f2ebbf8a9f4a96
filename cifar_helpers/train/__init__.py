"""One loop for every network, loss, optimizer and schedule: Config says what, train() does it."""

from .config import DATASETS, EVALUATIONS, PRECISIONS, Config
from .device import default_device, resolve_device
from .evaluation import autocast, evaluate, predict
from .loop import Result, batches_for, downscale, network, train
from .optimizers import OPTIMIZERS, optimizers_for
from .outputs import OUTPUTS

__all__ = [
    "DATASETS",
    "EVALUATIONS",
    "OPTIMIZERS",
    "OUTPUTS",
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
