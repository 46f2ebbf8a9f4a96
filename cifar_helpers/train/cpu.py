"""What makes training on CPUs faster, and nothing else knows of: private torch calls, convolutions of other classes.

Memory: make glibc keep freed memory.

Convolutions in bfloat16 with AMX, Intel's unit that multiplies matrices: oneDNN works along the rows of an image when
it computes the gradient of a convolution's weights: rows of 3 to 7 pixels leave most of such a unit idle. The gradient
is a sum over all images and places, so images may as well stand side by side in one row, with a column of zeros between
them. And a 1x1 convolution is a linear layer at each place, which as one product of two matrices knows no rows at all
(benchmarks/convolutions.txt).

Without units for bfloat16, oneDNN emulates it, six to ten times slower than float32 with AVX2 alone. There, operands
that were rounded to bfloat16 are multiplied in float32: the same products, in another order of sums
(benchmarks/bfloat16.txt). The same holds for the products inside Muon's step, which torch always computes in bfloat16:
in float32 they are twelve to thirty times as fast (benchmarks/muon.txt).

A fault of oneDNN is gone around: the gradient of the weights of a 1x1 convolution with a stride and fewer than 16 input
channels, in channels_last, on a CPU with AVX-512. Where the threads' shares of the batch are unequal, oneDNN writes
beyond its buffer ("double free or corruption", or a segmentation fault). ResNet18's first shortcut with a stride is
such a convolution at width 0.125.
"""

import contextlib
import ctypes
import functools
import math
import platform
import sys
from collections.abc import Iterator
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable
from torch.nn import functional
from torch.optim import _muon

WIDEST = 7  # pixels: wider images gain nothing
WIDEST_1X1 = 8
ROW = 32  # pixels of a row that keeps the unit busy
FEWEST = 16  # input channels from which on oneDNN is right about strided 1x1 convolutions


M_TRIM_THRESHOLD, M_MMAP_THRESHOLD = -1, -3  # of <malloc.h>
LARGEST = 2**31 - 1  # bytes: what mallopt's int can say


def prepare(model: nn.Module, precision: str) -> None:
    """Make training on this CPU safe and fast; the model is changed in place: same weights, names and hooks."""
    keep_freed()
    subsample_first(model)
    if precision != "bfloat16":
        return
    if available():
        speed_up(model)
    elif emulated():
        in_float32(model)


def keep_freed() -> bool:
    """Have glibc keep what is freed, instead of giving large blocks back to the system; False where there is no glibc.

    A training step on a CPU frees and takes the same gigabytes again and again, and the system clears every page of
    them each time: a tenth of a step's time and more (measured by benchmarks/allocator.py).
    """
    if not sys.platform.startswith("linux"):
        return False
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    return bool(mallopt and mallopt(M_MMAP_THRESHOLD, LARGEST) and mallopt(M_TRIM_THRESHOLD, LARGEST))


def available() -> bool:
    """Whether this machine's CPU has AMX."""
    return torch.cpu._is_amx_tile_supported()


def emulated() -> bool:
    """Whether this CPU is slower in bfloat16 than in float32.

    So on x86 without AMX and without AMD's AVX-512 BF16; Intel's reaches half of float32's rate. Other processors have
    not been measured.
    """
    if platform.machine() not in ("x86_64", "AMD64") or available():
        return False
    return not torch.cpu._is_avx512_bf16_supported() or _intel()


def _intel() -> bool:
    info = Path("/proc/cpuinfo")
    return "Intel" in (info.read_text() if info.exists() else platform.processor())


def per_row(images: int, width: int) -> int:
    """How many of `images` images of that width stand in a row: a divisor of their number, 1 where none fits."""
    least = math.ceil(ROW / (width + 1))
    return next((count for count in range(least, 2 * least + 1) if images % count == 0), 1)


def side_by_side(maps: Tensor, count: int) -> Tensor:
    """Maps (N, C, H, W) as rows of `count` maps, each with a column of zeros after it: (N/count, C, H, count (W + 1)).

    Both are in channels_last.
    """
    number, channels, height, width = maps.shape
    rows = maps.new_zeros(number // count, height, count, width + 1, channels)
    rows[:, :, :, :width] = maps.permute(0, 2, 3, 1).unflatten(0, (-1, count)).transpose(1, 2)
    return rows.flatten(2, 3).permute(0, 3, 1, 2)


class _Convolution(torch.autograd.Function):
    """conv2d of 3x3 filters, padding 1, whose backward pass computes the weights' gradient side by side."""

    @staticmethod
    def forward(ctx, images: Tensor, weight: Tensor) -> Tensor:
        ctx.save_for_backward(images, weight)
        return functional.conv2d(images, weight, padding=1)

    @staticmethod
    @once_differentiable
    def backward(ctx, gradient: Tensor) -> tuple[Tensor | None, Tensor | None]:
        images, weight = ctx.saved_tensors
        for_images = for_weight = None
        if ctx.needs_input_grad[0]:
            for_images = _gradients(gradient, images, weight, (True, False, False))[0]
        if ctx.needs_input_grad[1]:
            count = per_row(len(images), images.shape[-1])
            rows = side_by_side(gradient, count), side_by_side(images, count)
            for_weight = _gradients(*rows, weight, (False, True, False))[1]
        return for_images, for_weight


def _gradients(gradient: Tensor, images: Tensor, weight: Tensor, wanted: tuple[bool, bool, bool]):
    """torch's own gradients for (images, weight, bias) of a convolution with stride and padding 1."""
    one = (1, 1)
    return torch.ops.aten.convolution_backward(gradient, images, weight, None, one, one, one, False, (0, 0), 1, wanted)


class Conv2d(nn.Conv2d):
    """nn.Conv2d, computed in the faster way where there is one: small images, bfloat16 by autocast, training."""

    def forward(self, images: Tensor) -> Tensor:
        training = self.training and torch.is_grad_enabled() and torch.is_autocast_enabled("cpu")
        if not training or images.dim() != 4:
            return super().forward(images)
        number, width = len(images), images.shape[-1]
        if self.kernel_size == (1, 1) and width <= WIDEST_1X1:
            places = images.permute(0, 2, 3, 1)  # of channels_last, so that no byte moves
            return functional.linear(places, self.weight.flatten(1)).permute(0, 3, 1, 2)
        if self.kernel_size == (3, 3) and width <= WIDEST and per_row(number, width) > 1:
            kind = torch.get_autocast_dtype("cpu")
            with torch.autocast("cpu", enabled=False):
                return _Convolution.apply(images.to(kind), self.weight.to(kind))
        return super().forward(images)


def speed_up(model: nn.Module) -> None:
    """Turn the model's 1x1 and 3x3 convolutions of stride 1 into the faster ones, in place: same weights, names, hooks.

    The sums are taken in another order, so the gradients differ by bfloat16's rounding.
    """
    for module in model.modules():
        if (
            isinstance(module, nn.Conv2d)
            and type(module).forward is nn.Conv2d.forward
            and (module.bias, module.padding_mode) == (None, "zeros")
            and module.kernel_size in ((1, 1), (3, 3))
            and module.padding in (tuple(k // 2 for k in module.kernel_size), "same")
            and (module.stride, module.dilation, module.groups) == ((1, 1), (1, 1), 1)
        ):
            module.__class__ = Conv2d


class Float32Conv2d(nn.Conv2d):
    """nn.Conv2d that under autocast rounds to bfloat16 what torch would round, and multiplies and sums in float32."""

    def forward(self, images: Tensor) -> Tensor:
        if not torch.is_autocast_enabled("cpu"):
            return super().forward(images)
        kind = torch.get_autocast_dtype("cpu")
        with torch.autocast("cpu", enabled=False):
            bias = None if self.bias is None else self.bias.to(kind).float()
            return self._conv_forward(images.to(kind).float(), self.weight.to(kind).float(), bias).to(kind)


def in_float32(model: nn.Module) -> None:
    """Turn the model's convolutions into Float32Conv2d, in place: same weights, names, hooks."""
    for module in model.modules():
        if isinstance(module, nn.Conv2d) and type(module).forward is nn.Conv2d.forward:
            module.__class__ = Float32Conv2d


@contextlib.contextmanager
def muon_in_float32(device: torch.device) -> Iterator[None]:
    """While it is open, torch's Muon multiplies in float32 what it rounds to bfloat16, on a CPU that emulates it."""
    torchs = _muon._zeropower_via_newtonschulz
    if device.type == "cpu" and emulated():
        _muon._zeropower_via_newtonschulz = _newton_schulz
    try:
        yield
    finally:
        _muon._zeropower_via_newtonschulz = torchs


def _newton_schulz(grad: Tensor, ns_coefficients: tuple[float, float, float], ns_steps: int, eps: float) -> Tensor:
    """torch.optim's function of (rows, columns), step by step, with results as bfloat16 has them."""

    def rounded(values: Tensor) -> Tensor:
        return values.bfloat16().float()

    a, b, c = ns_coefficients
    tall = len(grad) > grad.shape[1]
    matrix = rounded(grad.T if tall else grad)
    matrix = rounded(matrix / rounded(matrix.norm()).clamp(min=eps))
    for _ in range(ns_steps):
        gram = rounded(matrix @ matrix.T)
        update = rounded(torch.addmm(gram, gram, gram, beta=b, alpha=c))
        matrix = rounded(torch.addmm(matrix, update, matrix, beta=a))
    return matrix.T if tall else matrix


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
