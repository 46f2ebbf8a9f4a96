"""Does a map show what a network looks at? Insertion and deletion curves, and a sanity check on random weights.

A map is a number per pixel, large where the pixel is said to matter; any method can make it.
"""

import copy
from collections.abc import Iterator

import numpy as np
import pandas as pd
import torch
from scipy import stats
from torch import Tensor, nn
from torchvision.transforms.v2.functional import gaussian_blur

from cifar_helpers.models.network import Network, initialise
from cifar_helpers.train.evaluation import autocast, eval_mode

BLUR = 11, 5.0  # pixels of the kernel, and its sigma: those of Petsiuk et al., though their images are 224 wide


def shares(steps: int) -> Tensor:
    """(steps + 1,) from 0 to 1: so much of an image is changed at each point of a curve.

    Squares of equal steps, which lie closest at the start, where the curves bend.
    """
    if steps < 1:
        raise ValueError(f"a curve has at least one step, not {steps}")
    return torch.linspace(0, 1, steps + 1) ** 2


def baselines(images: Tensor) -> dict[str, Tensor]:
    """Two maps (B, H, W) that know nothing of a network: "random", and "centred blob" (an isotropic Gaussian)."""
    count, _, height, width = images.shape
    y, x = (torch.arange(side) - (side - 1) / 2 for side in (height, width))
    blob = torch.exp(-(y[:, None] ** 2 + x**2) / (2 * (height / 4) ** 2))
    # a constant map orders no pixels, so pixel_order breaks all ties at random
    return {"random": torch.zeros(count, height, width), "centred blob": blob.expand(count, -1, -1)}


def pixel_order(maps: Tensor, seed: int = 0) -> Tensor:
    """Maps (B, H, W) to (B, H * W) int64: the pixels of each by falling value; ties are broken at random, by `seed`.

    NaN comes last.
    """
    values = maps.detach().cpu().flatten(1).nan_to_num(nan=-torch.inf, posinf=torch.inf, neginf=-torch.inf)
    shuffled = torch.rand(values.shape, generator=torch.Generator().manual_seed(seed)).argsort(1)
    return shuffled.gather(1, values.gather(1, shuffled).argsort(dim=1, descending=True, stable=True))


@torch.no_grad()
def curves(
    model: nn.Module,
    images: Tensor,
    classes: Tensor,
    maps: dict[str, Tensor],
    at: Tensor,
    batch: int = 250,
    seed: int = 0,
    precision: str = "float32",
) -> dict[str, dict[str, Tensor]]:
    """Probability (0 to 1) of each image's class while its pixels are changed in the order of each map.

    images (B, 3, H, W) normalised, classes (B,), maps: name -> (B, H, W), at: the changed shares, 0 first and 1 last.
    Gives name -> {"deletion", "insertion"} -> (B, len(at)). Deletion: the pixels that matter most come first to be
    replaced by the mean colour of the training set (0, as images are normalised). Insertion: they come first to be
    put into a blurred copy of the image. Petsiuk et al. 2018, arXiv 1806.07421. The precision is one of
    `train.PRECISIONS`; ties in a map are broken at random, by `seed`.
    """
    if images.dim() != 4 or classes.shape != images.shape[:1]:
        raise ValueError(f"images are (B, 3, H, W) and classes (B,), not {tuple(images.shape)}, {tuple(classes.shape)}")
    for name, values in maps.items():
        if values.shape != (len(images), *images.shape[2:]):
            raise ValueError(
                f"the map {name!r} is to have the shape {(len(images), *images.shape[2:])} of the images, "
                f"not {tuple(values.shape)}"
            )
    if len(at) < 2 or at[0] != 0 or at[-1] != 1 or (at.diff() <= 0).any():
        raise ValueError(f"the changed shares rise from 0 to 1, not {at.tolist()}")

    def probability(pictures: Tensor) -> Tensor:
        parts = zip(pictures.split(batch), classes.split(batch))
        with eval_mode(model), autocast(images.device.type, precision):
            logits = [(model(part).float(), wanted) for part, wanted in parts]
        return torch.cat([each.softmax(1).gather(1, wanted[:, None])[:, 0] for each, wanted in logits])

    kinds = {"deletion": (images, torch.zeros_like(images)), "insertion": (_blurred(images), images)}
    # the ends do not depend on the order, and the whole image is one of both kinds
    whole, mean, blurred = (probability(end) for end in (images, kinds["deletion"][1], kinds["insertion"][0]))
    ends = {"deletion": (whole, mean), "insertion": (blurred, whole)}
    counts = (at[1:-1] * images[0, 0].numel()).round()

    def curve(kind: str, place: Tensor) -> Tensor:
        (before, after), (first, last) = kinds[kind], ends[kind]
        inner = [probability(torch.where(place < count, after, before)) for count in counts]
        return torch.stack([first, *inner, last], 1)

    places = {
        name: pixel_order(values, seed).argsort(1).view(-1, 1, *images.shape[2:]).to(images.device)
        for name, values in maps.items()
    }
    return {name: {kind: curve(kind, place) for kind in kinds} for name, place in places.items()}


def _blurred(images: Tensor) -> Tensor:
    size, sigma = BLUR
    largest = 2 * min(images.shape[2:]) - 1  # the border is mirrored, and no side can be mirrored beyond itself
    return gaussian_blur(images, [min(size, largest)] * 2, [sigma] * 2)


def randomize_layers(model: Network, seed: int = 0) -> Iterator[tuple[str, Network]]:
    """The network as it is, then copies of it, re-initialised from the head down: (the last part, the copy).

    The parts in order: "none", "head", the tail if it has weights, the last stage to the first, "stem". Each copy is
    re-initialised down to its part, running statistics included, and is in evaluation mode. The model itself and
    torch's random state do not change. Adebayo et al. 2018, arXiv 1810.03292.
    """
    parts = ["head", "tail", *(f"stages.{name}" for name, _ in reversed(list(model.stages.named_children()))), "stem"]
    current = copy.deepcopy(model).eval()
    yield "none", copy.deepcopy(current)
    for number, name in enumerate(parts):
        part = current.get_submodule(name)
        if not list(part.parameters()):
            continue
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(1000 * seed + number)
            for module in part.modules():
                if reset := getattr(module, "reset_parameters", None):
                    reset()
            initialise(part)  # convolutions start as they do in `models.build`
        yield name.removeprefix("stages."), copy.deepcopy(current)


def similarity(maps: Tensor, others: Tensor) -> np.ndarray:
    """(B, C): Spearman's rank correlation of each map of (B, H, W) with each of (C, H, W), over the pixels.

    NaN where a map has one value only: it orders no pixels.
    """
    ranks = [stats.rankdata(values.detach().cpu().flatten(1).numpy(), axis=1) for values in (maps, others)]
    with np.errstate(invalid="ignore", divide="ignore"):
        together = np.corrcoef(*ranks)
    return together[: len(maps), len(maps) :]


def same_and_other(maps: Tensor, others: Tensor) -> pd.DataFrame:
    """A row for each image (B,): the similarity of its map to its own of `others`, and its mean over other images'.

    Two sets of maps (B, H, W) of the same images, B at least 2. The column `other` is what maps have in common that
    does not come from the image, such as a bright middle. Maps of one value do not count (NaN).
    """
    if len(maps) != len(others) or len(maps) < 2:
        raise ValueError(f"two sets of maps of the same images, two or more, not {len(maps)} and {len(others)}")
    table = similarity(maps, others)
    apart = pd.DataFrame(table).mask(np.eye(len(table), dtype=bool))
    return pd.DataFrame({"same": table.diagonal(), "other": apart.mean(axis=1)})


def excess(alike: pd.DataFrame) -> pd.DataFrame:
    """`same` minus `other`, for tables of `same_and_other` side by side: columns (part, "same") and (part, "other")."""
    return alike.xs("same", axis=1, level=1) - alike.xs("other", axis=1, level=1)
