"""One loop for every network, loss, optimizer and schedule: Config says what, train() does it."""

from .config import DATASETS, EVALUATIONS, PRECISIONS, Config
from .device import default_device, resolve_device
from .evaluation import autocast, evaluate, predict
from .loop import Result, batches_for, downscale, network, train
from .optimizers import OPTIMIZERS, optimizers_for
from .outputs import OUTPUTS
