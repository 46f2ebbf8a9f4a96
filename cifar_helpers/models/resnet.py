"""ResNet and the plain networks it is compared with (arXiv 1512.03385), ResNeXt (arXiv 1611.05431).

Residual blocks are torchvision's. For 32x32 images the stem is one 3x3 convolution with no pooling after it,
so the first stage sees all 32x32 positions and the last one 4x4.
"""

from collections.abc import Callable
from functools import partial

from torch import Tensor, nn
from torchvision.models import resnet

from .network import Parts, conv_norm, family, scaled


class BasicBlock(resnet.BasicBlock):
    """torchvision's block of two 3x3 convolutions, with a separate activation module in each place."""

    def __init__(self, *args, **options):
        super().__init__(*args, **options)
        del self.relu  # torchvision calls one module in both places: PReLU would share its slope between them
        self.relu1, self.relu2 = nn.ReLU(), nn.ReLU()

    def forward(self, x: Tensor) -> Tensor:
        shortcut = x if self.downsample is None else self.downsample(x)
        out = self.relu1(self.bn1(self.conv1(x)))
        return self.relu2(self.bn2(self.conv2(out)) + shortcut)


class Bottleneck(resnet.Bottleneck):
    """torchvision's 1x1, (grouped) 3x3, 1x1 block, with a separate activation module in each place."""

    def __init__(self, *args, **options):
        super().__init__(*args, **options)
        del self.relu
        self.relu1, self.relu2, self.relu3 = nn.ReLU(), nn.ReLU(), nn.ReLU()

    def forward(self, x: Tensor) -> Tensor:
        shortcut = x if self.downsample is None else self.downsample(x)
        out = self.relu1(self.bn1(self.conv1(x)))
        out = self.relu2(self.bn2(self.conv2(out)))
        return self.relu3(self.bn3(self.conv3(out)) + shortcut)


def residual(block: type[BasicBlock | Bottleneck], inputs: int, planes: int, stride: int = 1, **options) -> nn.Module:
    """One block whose shortcut is the identity where shapes allow it, else a 1x1 convolution and its norm."""
    outputs = planes * block.expansion
    shortcut = None if stride == 1 and inputs == outputs else conv_norm(inputs, outputs, 1, stride)
    return block(inputs, planes, stride, shortcut, **options)


def plain(inputs: int, planes: int, stride: int = 1) -> nn.Sequential:
    """The BasicBlock without its shortcut (and so without the shortcut's convolution)."""
    first, second = conv_norm(inputs, planes, 3, stride), conv_norm(planes, planes, 3)
    return nn.Sequential(*first, nn.ReLU(), *second, nn.ReLU())


def parts(
    make: Callable[..., nn.Module], depths: tuple[int, ...], width: float, multiple: int = 8, expansion: int = 1
) -> Parts:
    """Four stages of `depths` blocks; each stage but the first halves the image and doubles the filters.

    make(inputs, planes, stride) is one block, of `planes` times `expansion` channels at its output.
    """
    inputs = scaled(64, width, multiple)
    stem = nn.Sequential(*conv_norm(3, inputs, 3), nn.ReLU())
    stages = []
    for number, depth in enumerate(depths):
        planes = scaled(64 * 2**number, width, multiple)
        blocks = [make(inputs, planes, 1 if number == 0 else 2)]
        inputs = planes * expansion
        blocks += [make(inputs, planes, 1) for _ in range(depth - 1)]
        stages.append(nn.Sequential(*blocks))
    return Parts(stem, stages, inputs)


@family("ResNet18")
def resnet18(width: float) -> Parts:
    return parts(partial(residual, BasicBlock), (2, 2, 2, 2), width)


@family("ResNet34")
def resnet34(width: float) -> Parts:
    return parts(partial(residual, BasicBlock), (3, 4, 6, 3), width)


@family("Plain18")
def plain18(width: float) -> Parts:
    return parts(plain, (2, 2, 2, 2), width)


@family("Plain34")
def plain34(width: float) -> Parts:
    return parts(plain, (3, 4, 6, 3), width)


@family("ResNeXt50_32x4d")
def resnext50_32x4d(width: float) -> Parts:
    # 64 planes are 32 groups of 4 filters: a multiple of 16 planes keeps the filters of a group whole.
    make = partial(residual, Bottleneck, groups=32, base_width=4)
    return parts(make, (3, 4, 6, 3), width, multiple=16, expansion=Bottleneck.expansion)
