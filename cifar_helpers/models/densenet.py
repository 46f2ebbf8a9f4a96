"""DenseNet-BC (arXiv 1608.06993), from torchvision's dense blocks and transitions.

For 32x32 images: one 3x3 convolution as the stem, with no pooling and no norm (the first layer begins with one).
"""

from torch import nn
from torchvision.models import densenet

from .network import Parts, family, scaled

DEPTHS = (6, 12, 24, 16)


@family("DenseNet121")
def densenet121(width: float) -> Parts:
    growth, channels = scaled(32, width), scaled(64, width)
    stem = nn.Conv2d(3, channels, 3, padding=1, bias=False)
    stages = []
    for number, depth in enumerate(DEPTHS):
        stage = nn.Sequential()
        if number:  # halves the channels and the image
            stage.add_module("transition", densenet._Transition(channels, channels // 2))
            channels //= 2
        stage.add_module("block", densenet._DenseBlock(depth, channels, bn_size=4, growth_rate=growth, drop_rate=0))
        channels += depth * growth
        stages.append(stage)
    tail = nn.Sequential(nn.BatchNorm2d(channels), nn.ReLU())  # torchvision's calls F.relu here
    return Parts(stem, stages, channels, tail)
