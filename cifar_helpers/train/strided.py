"""A way around a fault of oneDNN, with which torch computes convolutions on Intel's and AMD's processors.

The gradient of the weights of a 1x1 convolution with a stride, fewer than 16 input channels, in channels_last, on a CPU
with AVX-512: where the threads' shares of the batch are unequal, oneDNN writes beyond its buffer ("double free or
corruption", or a segmentation fault). ResNet18's first shortcut with a stride is such a one at width 0.125.
"""

import functools

import torch
from torch import Tensor, nn
from torch.nn import functional

FEWEST = 16  # input channels from which on oneDNN is right


def subsample_first(model: nn.Module) -> None:
    """Where the threads' shares are unequal, have such convolutions drop the places between their strides first.

    In place: the same products and sums, the same weights, names and hooks.
    """
    for module in model.modules():
        if (
            isinstance(module, nn.Conv2d)
            and (module.kernel_size, module.padding, module.groups) == ((1, 1), (0, 0), 1)
            and module.stride != (1, 1)
            and module.in_channels < FEWEST
        ):
            # an attribute of the module, so that it holds whatever class the convolution gets for its speed
            module._conv_forward = functools.partial(_convolve, stride=module.stride)  # type: ignore[method-assign]


def _convolve(images: Tensor, weight: Tensor, bias: Tensor | None, stride: tuple[int, ...]) -> Tensor:
    """The convolution of images (N, C, H, W) with 1x1 filters; torch's own, to the bit, where the shares are equal."""
    if len(images) % torch.get_num_threads() == 0:
        return functional.conv2d(images, weight, bias, stride)
    return functional.conv2d(images[:, :, :: stride[0], :: stride[1]], weight, bias)
