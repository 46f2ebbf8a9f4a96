"""The networks, for 32x32 images and ten classes. One function makes all of them: `build`."""

import importlib
import pkgutil

from torch import nn

from .activations import ACTIVATIONS, is_activation, replace_relus
from .network import FAMILIES, TITLES, Network, fingerprint, initialise, replace_batch_norms

for found in pkgutil.iter_modules(__path__):  # every file of this folder may hold networks, see network.family
    importlib.import_module(f"{__name__}.{found.name}")

NAMES = FAMILIES.keys()


def build(
    name: str,
    activation: str = "relu",
    hidden: tuple[int, ...] = (),
    dropout: float = 0.0,
    width: float = 1.0,
    classes: int = 10,
    batch_norm: bool = True,
) -> Network:
    """A network with fresh weights (drawn from torch's global generator), float32, on the CPU.

    name: one of NAMES. activation: one of ACTIVATIONS, in every place of the network.
    hidden: sizes of fully connected layers before the classifier, each with the activation after it.
    dropout: share of units, 0 to below 1, that are zeroed after each hidden layer while training.
    width: scales the number of filters of every layer (rounded to what the groups can divide), 1 = the paper's.
    batch_norm: False puts a learned shift per channel in the place of each BatchNorm2d.
    """
    if name not in NAMES:
        raise ValueError(f"unknown model {name!r}; choose one of: {', '.join(NAMES)}")
    if activation not in ACTIVATIONS:
        raise ValueError(f"unknown activation {activation!r}; choose one of: {', '.join(ACTIVATIONS)}")
    if not 0 <= dropout < 1:
        raise ValueError(f"dropout is a share from 0 to below 1, not {dropout}")
    if dropout and not hidden:
        raise ValueError("dropout acts between hidden layers and there are none: give hidden=(256, 128), say")
    if not all(isinstance(size, int) and size > 0 for size in hidden):
        raise ValueError(f"hidden holds the sizes of the layers, positive whole numbers, not {hidden}")
    if not width > 0:
        raise ValueError(f"width scales the number of filters and is above 0, not {width}")
    network = Network(FAMILIES[name](width), tuple(hidden), dropout, classes)
    replace_relus(network, activation)
    if not batch_norm:
        replace_batch_norms(network)
    initialise(network)
    return network


def stages(network: Network) -> dict[str, nn.Module]:
    """The stages by name, in order (stage1, ...): each works at one image size, 32, 16, 8, 4 (VGG-A: 16 to 1)."""
    return dict(network.stages.named_children())
