"""Measurements by depth: receptive fields, linear probes of the class, inputs that excite a channel."""

from collections.abc import Sequence

import numpy as np
import torch
import torch.nn.functional as F
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler
from threadpoolctl import threadpool_limits
from torch import Tensor, nn
from torch.optim.swa_utils import update_bn
from torchvision.transforms.v2.functional import gaussian_blur

from cifar_helpers import models, train
from cifar_helpers.analysis.grad_cam import check_images, feature_maps, stage
from cifar_helpers.data import MEAN, STD
from cifar_helpers.records import Run
from cifar_helpers.train.evaluation import eval_mode

CUTOFF = 0.25  # cycles per pixel, half of what 32 pixels can hold: detail is what lies above
L2 = (0.01, 0.1, 1.0)  # strengths that a linear probe chooses from
BATCH = 50  # images at once


def untrained(run: Run, images: Tensor) -> models.Network:
    """The network that the run started from: its first weights, from its seed.

    The running statistics of its batch norms are those of `images` (B, 3, 32, 32): the network has no others yet.
    """
    config = run.config
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(config.seed)
        model = train.network(config)
    update_bn(images.split(250), model)
    return model.eval()


def up_to(model: models.Network, name: str) -> nn.Module:
    """The part of a network from the image to the output of a stage; ValueError as `grad_cam.stage`."""
    parts = list(model.stages)
    return nn.Sequential(model.stem, *parts[: parts.index(stage(model, name)) + 1])


def unit_gradients(model: models.Network, images: Tensor, name: str) -> Tensor:
    """(B, 3, 32, 32): gradients of the stage's central unit f (a number per channel) with respect to each image.

    Of sum_k v_k f_k with random signs v, drawn for each image: the expectation of the squared gradient is then the sum
    of the squared gradients of all channels, for the price of one.
    """
    check_images(images)
    part, random = up_to(model, name), torch.Generator().manual_seed(0)
    gradients = []
    with eval_mode(part):
        for some in images.split(BATCH):
            some = some.clone().requires_grad_()
            maps = part(some)
            units = maps[:, :, maps.shape[2] // 2, maps.shape[3] // 2]
            signs = 2 * torch.randint(2, units.shape, generator=random) - 1
            gradients += torch.autograd.grad((units * signs.to(units)).sum(), some)
    return torch.cat(gradients)


def receptive_field(gradients: Tensor) -> np.ndarray:
    """(B, 32, 32): energy of each pixel, the squared gradient summed over colours (Luo et al., arXiv 1701.04128)."""
    return gradients.double().square().sum(1).numpy()


def receptive_radius(energy: np.ndarray, share: float = 0.5) -> float:
    """Pixels from the centre of mass within which an energy map (H, W) has `share` of its sum; NaN for an empty map.

    Half of the energy of a map that is the same all over 32x32 pixels lies within 12.8.
    """
    total = energy.sum()
    if not (np.isfinite(total) and total > 0):
        return np.nan
    y, x = np.indices(energy.shape)
    distance = np.hypot(y - (y * energy).sum() / total, x - (x * energy).sum() / total).ravel()
    order = distance.argsort(kind="stable")
    return float(np.interp(share, np.cumsum(energy.ravel()[order]) / total, distance[order]))


def extent(energy: np.ndarray) -> int:
    """Side of the smallest square that holds all pixels with any energy: the theoretical field, inside the image."""
    rows, columns = np.nonzero(energy)
    return int(max(np.ptp(rows), np.ptp(columns))) + 1 if len(rows) else 0


def frequencies(side: int = 32) -> np.ndarray:
    """(side, side): cycles per pixel, 0 to 0.71, at each place of a spectrum."""
    steps = np.fft.fftfreq(side)
    return np.hypot(steps[:, None], steps)


def pooled_features(model: models.Network, images: Tensor) -> dict[str, Tensor]:
    """Stage -> (B, C) float64: the mean of each channel over its positions, for images (B, 3, 32, 32)."""
    parts = [
        {name: maps.mean((2, 3), dtype=torch.float64) for name, maps in feature_maps(model, some).items()}
        for some in images.split(BATCH)
    ]
    return {name: torch.cat([part[name] for part in parts]) for name in parts[0]}


def linear_probe(features: Tensor, labels: Tensor, strengths: Sequence[float] = L2) -> Pipeline:
    """A linear classifier of features (B, C) into classes (B,): logistic regression on standardised features.

    It minimises the mean cross-entropy plus l2 / 2 |weights|^2, where l2 is the one of `strengths` with the highest
    accuracy on the last fifth when fitted to the rest; then it is fitted to all. The images must be in no order. Its
    methods are scikit-learn's: `predict(features)` and `score(features, labels)`. Alain and Bengio 2016, arXiv
    1610.01644. float64 features: in float32, rounding decides where the fit ends.
    """

    def fit(l2: float, count: int) -> Pipeline:
        # converged, so that how sums are rounded decides no prediction
        classifier = LogisticRegression(C=1 / (l2 * count), tol=1e-7, max_iter=2000)
        return make_pipeline(StandardScaler(), classifier).fit(features[:count], labels[:count])

    count = len(labels) - len(labels) // 5
    with threadpool_limits(1):  # such small matrices are slower in several threads, up to a hundred times if others run
        best = max(strengths, key=lambda l2: fit(l2, count).score(features[count:], labels[count:]))
        return fit(best, len(labels))


def low_pass(images: Tensor) -> Tensor:
    """Images (B, C, H, W) without frequencies above CUTOFF cycles per pixel."""
    keep = torch.as_tensor(frequencies(images.shape[-1]) <= CUTOFF)
    return torch.fft.ifft2(torch.fft.fft2(images) * keep).real.to(images.dtype)


def shuffle_patches(images: Tensor, side: int = 8, seed: int = 0) -> Tensor:
    """Images (B, C, H, W) cut into squares of `side` pixels that change places at random, anew for each image."""
    count, channels, height, width = images.shape
    if height % side or width % side:
        raise ValueError(f"{height}x{width} pixels cannot be cut into squares of {side}")
    pieces = F.unfold(images, side, stride=side)  # (B, C side side, pieces)
    order = torch.rand(count, pieces.shape[2], generator=torch.Generator().manual_seed(seed)).argsort(1)
    return F.fold(pieces.gather(2, order[:, None].expand_as(pieces)), (height, width), side, stride=side)


@torch.no_grad()
def peaks(model: models.Network, images: Tensor, name: str) -> tuple[Tensor, Tensor, Tensor]:
    """Of each channel of a stage for images (B, 3, 32, 32): largest value (B, C), its row and column (pixels), mean."""
    check_images(images)
    part, found = up_to(model, name), []
    with eval_mode(part):
        for some in images.split(BATCH):
            maps = part(some)
            high, place = maps.flatten(2).max(2)
            found.append((high, place, maps.mean((2, 3))))
    high, place, mean = (torch.cat(parts) for parts in zip(*found))
    row, column = place // maps.shape[3], place % maps.shape[3]
    pixels = torch.stack([row * 32 / maps.shape[2], column * 32 / maps.shape[3]], -1)
    return high, pixels, mean


def activation_maximization(
    model: models.Network,
    name: str,
    channels: Sequence[int],
    steps: int = 64,
    rate: float = 0.1,
    decay: float = 0.01,
    jitter: int = 2,
    blur: float = 0.5,
    seed: int = 0,
) -> Tensor:
    """(len(channels), 3, 32, 32), normalised: an input for each channel of a stage, made to raise its mean value.

    Gradient ascent from faint noise, in steps of the same size `rate` whatever the channel's gradient is. What makes
    the result readable: the image is pulled to the mean colour (`decay`, which is L2) and blurred a little (sigma
    `blur`) after every fourth step (Yosinski et al. 2015, arXiv 1506.06579), and moved by up to `jitter` pixels before
    each step (DeepDream, Mordvintsev et al. 2015); 0 switches each of these off. The result stays within the colours
    that a pixel can have.
    """
    part, random = up_to(model, name), torch.Generator().manual_seed(seed)
    low, high = ((edge - torch.tensor(MEAN)) / torch.tensor(STD) for edge in (0, 1))
    images = 0.1 * torch.randn(len(channels), 3, 32, 32, generator=random)
    chosen = torch.as_tensor(channels)[:, None, None, None]
    with eval_mode(part):
        for step in range(steps):
            moves = torch.randint(-jitter, jitter + 1, (2,), generator=random).tolist()
            moved = images.roll(moves, (2, 3)).requires_grad_()
            maps = part(moved)
            values = maps.gather(1, chosen.expand(-1, 1, *maps.shape[2:]))
            (gradient,) = torch.autograd.grad(values.mean((1, 2, 3)).sum(), moved)
            gradient = gradient.roll([-move for move in moves], (2, 3))
            size = gradient.square().mean((1, 2, 3), keepdim=True).sqrt()
            images = (1 - decay) * images + rate * gradient / size.clamp(min=1e-12)
            if blur and step % 4 == 3:
                images = gaussian_blur(images, [3, 3], [blur, blur])
            images = images.clamp(low[:, None, None], high[:, None, None])
    return images
