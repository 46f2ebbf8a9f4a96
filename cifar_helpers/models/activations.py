"""The activations, and the function that puts one of them into every place of a network."""

from collections.abc import Callable
from functools import partial
from typing import Any

from torch import nn

MAKERS: dict[str, Callable[[], nn.Module]] = {
    "relu": nn.ReLU,
    "relu6": nn.ReLU6,
    "leaky_relu": nn.LeakyReLU,  # slope 0.01 for negative input
    "elu": nn.ELU,
    "selu": nn.SELU,
    "prelu": nn.PReLU,  # one learned slope per place, 0.25 at the start
    "softplus": nn.Softplus,
    "sigmoid": nn.Sigmoid,
    "softmax": partial(nn.Softmax, dim=1),  # over the channels of each position
    "tanh": nn.Tanh,
    "hardtanh": nn.Hardtanh,
    "gelu": nn.GELU,
    "silu": nn.SiLU,  # one more line makes one more row in notebook 03 and in the report
}
ACTIVATIONS = tuple(MAKERS)


def is_activation(module: nn.Module) -> bool:
    """Whether a module of a network is one of the activations."""
    classes: list[Any] = [getattr(maker, "func", maker) for maker in MAKERS.values()]  # a partial's is its func
    return isinstance(module, tuple(classes))


def replace_relus(network: nn.Module, activation: str) -> None:
    """Put a fresh `activation` in the place of each nn.ReLU of `network`.

    The networks are written with nn.ReLU as the place holder and with no functional activation. "relu" is
    replaced too: torchvision's work in place, which changes what a hook on the layer before has stored.
    """
    for module in network.modules():
        for name, child in module.named_children():
            if isinstance(child, nn.ReLU):
                setattr(module, name, MAKERS[activation]())
