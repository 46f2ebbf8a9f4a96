"""The networks, for 32x32 images and ten classes. One function makes all of them: `build`."""

from torch import nn

from .activations import ACTIVATIONS, is_activation, replace_relus
from .densenet import densenet121
from .dla import dla
from .dpn import dpn26
from .fast_cnn import fast_cnn, fast_cnn_unwhitened
from .network import Network, initialise, replace_batch_norms
from .resnet import plain18, plain34, resnet18, resnet34, resnext50_32x4d
from .vgg import vgg_a, vgg_a_bn, vgg_a_bn_noise

FAMILIES = {
    "resnet18": resnet18,
    "resnet34": resnet34,
    "resnext50_32x4d": resnext50_32x4d,
    "dpn26": dpn26,
    "dla": dla,
    "densenet121": densenet121,
    "vgg_a": vgg_a,
    "vgg_a_bn": vgg_a_bn,
    "vgg_a_bn_noise": vgg_a_bn_noise,
    "plain18": plain18,
    "plain34": plain34,
    "fast_cnn": fast_cnn,
    "fast_cnn_unwhitened": fast_cnn_unwhitened,
}
NAMES = tuple(FAMILIES)
TITLES = {
    "resnet18": "ResNet18",
    "resnet34": "ResNet34",
    "resnext50_32x4d": "ResNeXt50_32x4d",
    "dpn26": "DPN26",
    "dla": "DLA",
    "densenet121": "DenseNet121",
    "vgg_a": "VGG-A",
    "vgg_a_bn": "VGG-A with batch norm",
    "vgg_a_bn_noise": "VGG-A with noisy batch norm",
    "plain18": "Plain18",
    "plain34": "Plain34",
    "fast_cnn": "FastCNN",
    "fast_cnn_unwhitened": "FastCNN, first layer learned",
}
__all__ = ["ACTIVATIONS", "NAMES", "TITLES", "Network", "build", "is_activation", "stages"]


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
