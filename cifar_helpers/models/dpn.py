"""Dual Path Networks (arXiv 1707.01629): a residual path that is added to, and a dense path that grows."""

import torch
from torch import Tensor, nn

from .network import Parts, conv_norm, family, scaled

GROUPS = 32
# (filters of the bottleneck, channels of the residual path, channels that a block adds to the dense path)
STAGES = ((96, 256, 16), (192, 512, 32), (384, 1024, 24), (768, 2048, 128))
BLOCKS = 2  # per stage: 4 stages of 2 blocks of 3 convolutions, the stem and the classifier make 26


class DualPathBlock(nn.Module):
    """(B, inputs, H, W) to (B, residual + dense + growth, H / stride, W / stride).

    The first `residual` channels are the residual path, the others (`dense` of them at the input) the dense path.
    With `project`, a 1x1 convolution first makes both paths from an input that has another shape.
    """

    def __init__(self, inputs: int, filters: int, residual: int, growth: int, stride: int, project: bool):
        super().__init__()
        dense = growth if project else inputs - residual
        self.paths = (residual, dense)
        self.update = (residual, growth)
        self.outputs = residual + dense + growth
        self.project = conv_norm(inputs, residual + growth, 1, stride) if project else nn.Identity()
        self.bottleneck = nn.Sequential(
            *conv_norm(inputs, filters, 1),
            nn.ReLU(),
            *conv_norm(filters, filters, 3, stride, groups=GROUPS),
            nn.ReLU(),
            *conv_norm(filters, residual + growth, 1),
        )
        self.relu = nn.ReLU()

    def forward(self, x: Tensor) -> Tensor:
        # split, not slices: the gradient of a slice is a zero tensor in NCHW order, which sends the batch norms
        # before it down a path that is several times slower than the channels_last one. That of split is a cat.
        kept, dense = self.project(x).split(self.paths, dim=1)
        added, new = self.bottleneck(x).split(self.update, dim=1)
        return self.relu(torch.cat([kept + added, dense, new], dim=1))


@family("DPN26")
def dpn26(width: float) -> Parts:
    inputs = scaled(64, width)
    stem = nn.Sequential(*conv_norm(3, inputs, 3), nn.ReLU())
    stages = []
    for number, (filters, residual, growth) in enumerate(STAGES):
        sizes = scaled(filters, width, GROUPS), scaled(residual, width), scaled(growth, width)
        blocks = []
        for index in range(BLOCKS):
            first = index == 0
            blocks.append(DualPathBlock(inputs, *sizes, stride=2 if first and number else 1, project=first))
            inputs = blocks[-1].outputs
        stages.append(nn.Sequential(*blocks))
    return Parts(stem, stages, inputs)
