"""A small network that trains fast: the layout of arXiv 2404.00498 (airbench94), in this package's parts.

A frozen first layer that whitens 2x2 patches, then three groups of two 3x3 convolutions; the classifier sees the
largest value of each channel. Written for the activation "gelu".
"""

import torch
from torch import Tensor, nn

from .network import Parts, family, scaled


class WhiteningConv(nn.Conv2d):
    """2x2 patches of 3 channels to 24 features without correlation: each eigenvector of the patches' covariance
    over the root of its eigenvalue, and its negative, so that an activation loses nothing. Never trained.
    """

    def __init__(self):
        super().__init__(3, 24, 2, bias=False)
        self.weight.requires_grad = False

    @torch.no_grad()
    def fit(self, images: Tensor, floor: float = 5e-4) -> None:
        """Set the filters from normalised images (N, 3, H, W); `floor` is added to each eigenvalue."""
        patches = nn.functional.unfold(images.float().contiguous(), 2).transpose(1, 2).reshape(-1, 12)
        values, vectors = torch.linalg.eigh(patches.T @ patches / len(patches))
        filters = (vectors / (values + floor).sqrt()).T.reshape(12, 3, 2, 2)
        self.weight.copy_(torch.cat((filters, -filters)))


class IdentityConv(nn.Conv2d):
    """A 3x3 convolution whose first filters pass their channel on at the start, as a shortcut would."""

    def __init__(self, inputs: int, outputs: int):
        super().__init__(inputs, outputs, 3, padding=1, bias=False)
        nn.init.dirac_(self.weight.data[:inputs])


def norm(channels: int) -> nn.BatchNorm2d:
    """Batch norm without a scale, whose running statistics forget fast since there are few steps."""
    layer = nn.BatchNorm2d(channels, momentum=0.4)
    layer.weight.requires_grad = False
    return layer


def group(inputs: int, outputs: int) -> nn.Sequential:
    """Two convolutions; the first is pooled to half the side before its norm."""
    return nn.Sequential(
        IdentityConv(inputs, outputs),
        nn.MaxPool2d(2),
        norm(outputs),
        nn.ReLU(),
        IdentityConv(outputs, outputs),
        norm(outputs),
        nn.ReLU(),
    )


def parts(first: nn.Conv2d, width: float) -> Parts:
    channels = [scaled(filters, width) for filters in (64, 256, 256)]
    stages = [group(inputs, outputs) for inputs, outputs in zip((first.out_channels, *channels), channels)]
    return Parts(nn.Sequential(first, nn.ReLU()), stages, channels[-1], tail=nn.AdaptiveMaxPool2d(1), head_scale=1 / 9)


@family("FastCNN")
def fast_cnn(width: float) -> Parts:
    return parts(WhiteningConv(), width)


@family("FastCNN, first layer learned")
def fast_cnn_unwhitened(width: float) -> Parts:
    """The same with a first layer that is learned like any other."""
    return parts(nn.Conv2d(3, 24, 2, bias=False), width)
