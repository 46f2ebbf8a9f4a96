"""Deep Layer Aggregation (arXiv 1707.06484): trees of residual blocks whose roots merge all that is below them."""

import torch
from torch import Tensor, nn

from .network import Parts, conv_norm, family, scaled
from .resnet import BasicBlock, residual

CHANNELS = (16, 16, 32)  # of the stem's three convolutions
TREES = ((64, 1, 1), (128, 2, 2), (256, 2, 2), (512, 1, 2))  # (channels, depth, stride) of each stage


class Tree(nn.Module):
    """(B, inputs, H, W) to (B, channels, H / stride, W / stride).

    Depth 1: two blocks in a row, and a root (1x1 convolution, norm, activation) that merges the outputs of both.
    Depth 2: a tree of depth 1 comes before the two blocks, and the root merges its output as well, and that of
    a block that sees the input alone: shallow and deep features meet in one node.
    """

    def __init__(self, inputs: int, channels: int, depth: int, stride: int):
        super().__init__()
        deep = depth == 2
        self.input = residual(BasicBlock, inputs, channels, stride) if deep else None
        self.subtree = Tree(inputs, channels, 1, stride) if deep else None
        self.left = residual(BasicBlock, channels if deep else inputs, channels, 1 if deep else stride)
        self.right = residual(BasicBlock, channels, channels)
        self.root = nn.Sequential(*conv_norm((4 if deep else 2) * channels, channels, 1), nn.ReLU())

    def forward(self, x: Tensor) -> Tensor:
        below = []
        if self.input is not None and self.subtree is not None:  # there are both or none
            below.append(self.input(x))
            x = self.subtree(x)
            below.append(x)
        left = self.left(x)
        return self.root(torch.cat([*below, left, self.right(left)], dim=1))


@family("DLA")
def dla(width: float) -> Parts:
    stem, stages, inputs = nn.Sequential(), [], 3
    for channels in CHANNELS:
        stem.extend([*conv_norm(inputs, scaled(channels, width), 3), nn.ReLU()])
        inputs = scaled(channels, width)
    for channels, depth, stride in TREES:
        stages.append(Tree(inputs, scaled(channels, width), depth, stride))
        inputs = scaled(channels, width)
    return Parts(stem, stages, inputs)
