"""VGG-A (arXiv 1409.1556) with and without batch norm, as arXiv 1805.11604 compares them on CIFAR-10.

torchvision's layers; five poolings take 32x32 to 1x1, so the fully connected layers are 512 wide, not 4096.
"""

from torch import nn
from torchvision.models import vgg

from .network import Parts, scaled


def parts(width: float, batch_norm: bool) -> Parts:
    stages, inputs, filters = [], 3, []
    for entry in vgg.cfgs["A"]:
        if entry != "M":
            filters.append(scaled(entry, width))
            continue
        layers = []
        for outputs in filters:
            layers.append(nn.Conv2d(inputs, outputs, 3, padding=1))
            layers += [nn.BatchNorm2d(outputs), nn.ReLU()] if batch_norm else [nn.ReLU()]
            inputs = outputs
        stages.append(nn.Sequential(*layers, nn.MaxPool2d(2)))
        filters = []
    return Parts(nn.Identity(), stages, inputs, hidden=(inputs, inputs))


def vgg_a(width: float) -> Parts:
    return parts(width, batch_norm=False)


def vgg_a_bn(width: float) -> Parts:
    return parts(width, batch_norm=True)
