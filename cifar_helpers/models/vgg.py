"""VGG-A (arXiv 1409.1556) with and without batch norm, as arXiv 1805.11604 compares them on CIFAR-10.

torchvision's layers; five poolings take 32x32 to 1x1, so the fully connected layers are 512 wide, not 4096.
"""

import torch
from torch import Tensor, nn
from torchvision.models import vgg

from .network import Parts, family, scaled


class ShiftingNoise(nn.Module):
    """While training, y = s x + m with noise whose own distribution changes at every step; else y = x.

    Per channel and step a mean u ~ U(-0.5, 0.5) and a scale v ~ U(1, 1.25); then, per image and channel,
    m ~ U(u - 0.1, u + 0.1) and s ~ N(v, 0.1). Maps (B, C, H, W). Algorithm and constants: appendix of
    arXiv 1805.11604; that all positions of a map share a draw, as they share a mean in batch norm, is our reading.
    """

    def forward(self, maps: Tensor) -> Tensor:
        if not self.training:
            return maps
        images, channels = maps.shape[:2]

        def uniform(low: float, high: float, count: int) -> Tensor:
            return torch.empty(count, channels, 1, 1, device=maps.device).uniform_(low, high)

        shift = uniform(-0.5, 0.5, 1) + uniform(-0.1, 0.1, images)
        scale = uniform(1, 1.25, 1) + 0.1 * torch.randn(images, channels, 1, 1, device=maps.device)
        return maps * scale.to(maps.dtype) + shift.to(maps.dtype)


def parts(width: float, batch_norm: bool, noise: bool = False) -> Parts:
    stages, inputs, filters = [], 3, []
    for entry in vgg.cfgs["A"]:
        if entry != "M":
            filters.append(scaled(entry, width))
            continue
        layers: list[nn.Module] = []
        for outputs in filters:
            layers.append(nn.Conv2d(inputs, outputs, 3, padding=1))
            layers += [nn.BatchNorm2d(outputs)] if batch_norm else []
            layers += [ShiftingNoise()] if noise else []
            layers.append(nn.ReLU())
            inputs = outputs
        stages.append(nn.Sequential(*layers, nn.MaxPool2d(2)))
        filters = []
    return Parts(nn.Identity(), stages, inputs, hidden=(inputs, inputs))


@family("VGG-A")
def vgg_a(width: float) -> Parts:
    return parts(width, batch_norm=False)


@family("VGG-A with batch norm")
def vgg_a_bn(width: float) -> Parts:
    return parts(width, batch_norm=True)


@family("VGG-A with noisy batch norm")
def vgg_a_bn_noise(width: float) -> Parts:
    """The paper's control: batch norm's stable activations are made unstable again."""
    return parts(width, batch_norm=True, noise=True)
