"""Config: every choice that changes a result, and nothing else. Outputs are requested separately (outputs.py)."""

import dataclasses
import json
import math
from collections.abc import Callable
from dataclasses import dataclass

from cifar_helpers import models
from cifar_helpers.core.text import short_hash
from cifar_helpers.train import fields, losses, optimizers, schedules

PRECISIONS = ("float32", "bfloat16")
DATASETS = ("cifar10", "synthetic")
EVALUATIONS = ("test", "validation")


@dataclass(frozen=True)
class Config:
    """Everything that changes a result. Rates are those of torch's optimizers; sizes are in pixels or images.

    Fields may be added: a field at its default is left out of the hash, so old records are still found.

    Raises: ValueError says which field is wrong and what it can be.
    """

    model: str  # a name in models.NAMES
    activation: str = "relu"  # a name in models.ACTIVATIONS, in every place of the network
    hidden: tuple[int, ...] = ()  # units of each fully connected layer before the classifier
    dropout: float = 0.0  # share of hidden units that are zeroed, 0 to below 1
    width: float = 1.0  # factor of every layer's number of filters
    batch_norm: bool = True  # False puts a learned shift per channel in the place of each
    loss: str = "cross_entropy"  # a name in losses.LOSSES
    label_smoothing: float = 0.0  # share of the target that is spread over all classes
    optimizer: str = "sgd"  # a name in optimizers.ALL
    learning_rate: float = 0.1  # the highest of one_cycle, the first of the other schedules
    momentum: float = 0.9  # of sgd (Nesterov), muon and rmsprop
    head_rate: float = 0.0  # rate of the last layer; 0 for learning_rate
    bias_rate: float = 0.0  # the same for the parameters of norms and other biases before the last layer
    muon_scale_tall: bool = True  # a tall matrix's step times sqrt(rows / columns), as torch has it
    muon_per_group: bool = False  # a grouped convolution is a matrix per group, not one across its groups
    weight_decay: float = 5e-4  # L2, through the optimizer
    l1: float = 0.0  # factor of the sum of |w| over weight matrices and filters
    schedule: str | Callable[[float], float] = "one_cycle"  # a name in schedules.SCHEDULES, or a function of progress
    warmup: float = 0.0  # share of the run
    epochs: int = 30  # passes over the training images
    batch_size: int = 128  # images
    data: str = "cifar10"  # or "synthetic"
    images: int | None = None  # a fixed, class-balanced subset of the training images; None for all
    test_images: int | None = None  # the same for the images that are evaluated on
    evaluate: str = "test"  # "validation" holds 5,000 training images out and never reads the test set
    crop: int = 4  # padding of the random crop, in pixels
    flip: bool = True  # each image mirrored at random
    alternate: bool = False  # each image flipped in every second epoch, instead of at random
    reflect: bool = False  # the crop's padding: the mirrored border instead of the mean colour
    cutout: int = 0  # side of the square in pixels, 0 for none
    small_side: int = 32  # images are scaled down to so many pixels a side ...
    small_share: float = 0.0  # ... in the first epochs, this share of the run
    precision: str = "bfloat16"  # of convolutions and matrix products, by autocast; weights stay float32
    seed: int = 0  # of weights, shuffle, augmentation and dropout

    def __post_init__(self):
        choices = {
            "model": models.NAMES,
            "activation": models.ACTIVATIONS,
            "loss": tuple(losses.LOSSES),
            "optimizer": optimizers.ALL,
            "precision": PRECISIONS,
            "data": DATASETS,
            "evaluate": EVALUATIONS,
        }
        fields.settle(self)
        for field, names in choices.items():
            if getattr(self, field) not in names:
                raise ValueError(f"unknown {field} {getattr(self, field)!r}; choose from {', '.join(names)}")
        object.__setattr__(self, "schedule", schedules.settled(self.schedule))

    def to_dict(self) -> dict:
        """JSON-serialisable fields; a custom schedule by its label."""
        fields = {f.name: getattr(self, f.name) for f in dataclasses.fields(self)}
        return fields | {"hidden": list(self.hidden), "schedule": schedules.label(self.schedule)}

    def changes(self) -> dict:
        """The fields that are not at their default, as `to_dict` has them."""
        usual = {f.name: f.default for f in dataclasses.fields(self)} | {"hidden": []}
        return {name: value for name, value in self.to_dict().items() if value != usual[name]}

    @property
    def hash(self) -> str:
        """Eight hexadecimal digits over the fields that are not at their default."""
        return short_hash(json.dumps(self.changes(), sort_keys=True))

    @property
    def small_epochs(self) -> int:
        """The number of first epochs whose images are scaled down."""
        return math.ceil(self.small_share * self.epochs)

    @property
    def name(self) -> str:
        """The network, what sets the run apart for a reader, the seed: `resnet18-leaky_relu-seed1`."""
        named = {"activation": self.activation, "loss": self.loss, "optimizer": self.optimizer}
        return "-".join([self.model, *(v for f, v in named.items() if v != getattr(Config, f)), f"seed{self.seed}"])

    @property
    def key(self) -> str:
        """The name and the hash: of the record's folder, and of whatever else belongs to this training alone."""
        return f"{self.name}-{self.hash}"
