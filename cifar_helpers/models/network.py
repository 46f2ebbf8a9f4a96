"""What all networks share: the way from an image to ten scores, and the scaling of their filters."""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from cifar_helpers.core.registry import place, register, same
from cifar_helpers.core.text import short_hash


class Parts(NamedTuple):
    """What a family describes and `Network` joins."""

    stem: nn.Module
    stages: Sequence[nn.Module]
    features: int  # channels that leave the last stage (and the tail)
    tail: nn.Module = nn.Identity()
    head_scale: float = 1.0  # of the classifier's first weights
    hidden: tuple[int, ...] = ()  # fully connected layers that belong to the architecture (VGG)


FAMILIES: dict[str, Callable[[float], Parts]] = {}
TITLES: dict[str, str] = {}


def family(title: str) -> Callable:
    """Register a function of the width as a network, under its name; `title` is what readers see.

    Raises: ValueError for a name or a title that another network has.
    """

    def registered(parts: Callable[[float], Parts]) -> Callable[[float], Parts]:
        for name, other in FAMILIES.items():
            if TITLES[name] == title and name != getattr(parts, "__name__", name) and not same(other, parts):
                raise ValueError(
                    f"two networks have the title {title!r}: {place(other)} and {place(parts)}. Tables and figures "
                    "tell networks apart by their titles, so give one of them another"
                )
        register(FAMILIES, parts, "network")
        TITLES[parts.__name__] = title
        return parts

    return registered


def fingerprint(network: nn.Module) -> str:
    """Eight hexadecimal digits over the names and shapes of a network's parameters and buffers."""
    shapes = [f"{name}{tuple(tensor.shape)}" for name, tensor in network.state_dict().items()]
    return short_hash("\n".join(shapes))


class Network(nn.Module):
    """stem -> stages (stage1, stage2, ...) -> tail -> mean over positions -> head.

    Images (B, 3, 32, 32), normalised, to scores (B, classes) before any softmax. Every network has this shape,
    so a hook finds the stages of each in the same place: `network.stages.stage1`.
    """

    def __init__(self, parts: Parts, hidden: tuple[int, ...], dropout: float, classes: int):
        super().__init__()
        self.stem = parts.stem
        self.stages = nn.Sequential()
        for number, stage in enumerate(parts.stages, start=1):
            self.stages.add_module(f"stage{number}", stage)
        self.tail = parts.tail
        self.head = head(parts.features, parts.hidden + hidden, dropout, classes)
        classifier = self.head[-1]
        assert isinstance(classifier, nn.Linear)
        classifier.weight.data.mul_(parts.head_scale)

    def forward(self, images: Tensor) -> Tensor:
        maps = self.tail(self.stages(self.stem(images)))
        return self.head(F.adaptive_avg_pool2d(maps, 1).flatten(1))


def head(features: int, hidden: tuple[int, ...], dropout: float, classes: int) -> nn.Sequential:
    """One linear classifier, after a linear layer, an activation and dropout for each entry of `hidden`."""
    layers: list[nn.Module] = []
    for size in hidden:
        layers += [nn.Linear(features, size), nn.ReLU()]
        if dropout > 0:
            layers.append(nn.Dropout(dropout))
        features = size
    return nn.Sequential(*layers, nn.Linear(features, classes))


def scaled(channels: int, width: float, multiple: int = 8) -> int:
    """`channels` times `width`, rounded to a multiple that groups can divide, at least one multiple."""
    return max(1, round(channels * width / multiple)) * multiple


def conv_norm(inputs: int, outputs: int, size: int, stride: int = 1, groups: int = 1) -> nn.Sequential:
    """A convolution that keeps the image's size at stride 1, and its batch norm (which makes a bias useless)."""
    conv = nn.Conv2d(inputs, outputs, size, stride, padding=size // 2, groups=groups, bias=False)
    return nn.Sequential(conv, nn.BatchNorm2d(outputs))


class Shift(nn.Module):
    """A learned shift of each channel, 0 at the start: what is left of a batch norm without norm and scale."""

    def __init__(self, channels: int):
        super().__init__()
        self.bias = nn.Parameter(torch.zeros(channels))

    def reset_parameters(self) -> None:
        nn.init.zeros_(self.bias)

    def forward(self, x: Tensor) -> Tensor:
        return x + self.bias[:, None, None].to(x.dtype)  # autocast's bfloat16 stays bfloat16


def replace_batch_norms(network: nn.Module) -> None:
    """Put a shift in the place of each BatchNorm2d: it acts as the bias of the convolution before it."""
    for module in network.modules():
        for name, child in module.named_children():
            if isinstance(child, nn.BatchNorm2d):
                setattr(module, name, Shift(child.num_features))


def initialise(network: nn.Module) -> None:
    """He's normal initialisation (arXiv 1502.01852) of every convolution, one rule for all networks.

    Linear layers and batch norms keep PyTorch's defaults, and convolutions that are made in another way keep their own.
    """
    for module in network.modules():
        if isinstance(module, nn.Conv2d) and type(module).__init__ is nn.Conv2d.__init__:
            nn.init.kaiming_normal_(module.weight, nonlinearity="relu")
            if module.bias is not None:
                nn.init.zeros_(module.bias)
