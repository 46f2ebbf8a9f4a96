"""Visualisation of trained networks: filters, feature maps, and attributions of a class score to the pixels.

The methods are captum's. This module gives the networks, their stages, and clear errors.
"""

import hashlib
import warnings
from collections.abc import Callable, Sequence

import numpy as np
import torch
from captum.attr import GuidedBackprop, IntegratedGradients, LayerAttribution, LayerGradCam, Occlusion
from torch import Tensor, nn

from cifar_helpers import data, experiments, models, train
from cifar_helpers.data.batches import Batches
from cifar_helpers.records import Run, cache
from cifar_helpers.train.evaluation import eval_mode

METHODS = ("Grad-CAM", "integrated gradients", "guided backpropagation", "occlusion")


def networks(profile: str | None = None) -> dict[str, Run]:
    """The records of the networks that are visualised, by the model's name: `run.model()` is the trained network.

    smoke and quick train what is missing; full leaves it out and names it. FileNotFoundError where full has none.
    """
    runs = experiments.recorded("grad_cam_networks", profile)
    if not runs:
        raise FileNotFoundError(
            "no network has a record with weights: python -m cifar_helpers train grad_cam_networks --profile full, "
            "or choose the profile quick"
        )
    return {run.config.model: run for run in runs}


def normalised(images: np.ndarray) -> Tensor:
    """Images (N, 32, 32, 3) of bytes, as a network takes them: (N, 3, 32, 32), normalised floats."""
    return torch.cat([part for part, _ in _batches(images).epoch()])


def probabilities(run: Run, images: np.ndarray) -> np.ndarray:
    """(N, 10): the softmax of a run's network for images (N, 32, 32, 3) of bytes; stored beside the run's weights."""

    def predictions():
        logits, _ = train.predict(run.model(), _batches(images), run.config.precision)
        return {"logits": logits.numpy()}

    shown = hashlib.sha256(images.tobytes()).hexdigest()[:8]
    logits = cache.arrays(run, "predictions", predictions, images=shown)["logits"]
    return torch.from_numpy(logits).softmax(1).numpy()


def _batches(images: np.ndarray) -> Batches:
    return Batches(images, np.zeros(len(images), int), 250, shuffle=False, crop=0, flip=False)


def stages(model: models.Network) -> dict[str, tuple[int, ...]]:
    """The shape (C, H, W) of what each stage gives for one image, in order; (C,) where that is no map."""
    maps = feature_maps(model, torch.zeros(1, 3, 32, 32, device=next(model.parameters()).device))
    return {name: tuple(values.shape[1:]) for name, values in maps.items()}


def stage(model: models.Network, name: str | None = None) -> nn.Module:
    """The stage called `name` ("stage1", ...), or the last one whose output has positions.

    ValueError lists the stages where there is none of the name, or no more than one position is left after it.
    """
    shapes = stages(model)
    good = [key for key, shape in shapes.items() if len(shape) == 3 and shape[1] * shape[2] > 1]
    if name is not None and name not in shapes:
        raise ValueError(f"there is no stage {name!r}; choose from {', '.join(good)}")
    if not good or name is not None and name not in good:
        raise ValueError(
            f"{name or 'the network'} has no positions left to draw a map of: its output is "
            f"{' x '.join(map(str, shapes[name or list(shapes)[-1]]))}; choose from "
            f"{', '.join(good) or 'none'}"
        )
    return models.stages(model)[name or good[-1]]


def first_filters(model: nn.Module) -> Tensor:
    """(filters, 3, k, k): the weights of the first convolution, which can be drawn as colours."""
    return next(module for module in model.modules() if isinstance(module, nn.Conv2d)).weight.detach().clone()


@torch.no_grad()
def feature_maps(model: models.Network, images: Tensor) -> dict[str, Tensor]:
    """What each stage gives for images (B, 3, 32, 32): stage -> (B, C, H, W)."""
    check_images(images)
    with eval_mode(model):
        maps, values = {}, model.stem(images)
        for name, part in models.stages(model).items():
            maps[name] = values = part(values)
    return maps


def grad_cam(
    model: models.Network,
    images: Tensor,
    classes: int | Sequence[int] | Tensor | None = None,
    stage: str | None = None,
    batch: int = 125,
) -> Tensor:
    """(B, 32, 32), at least 0: where what a stage saw raises the score of a class. Not normalised.

    With the stage's channels A_k (H x W positions) and the class's score y before any softmax,
        alpha_k = 1 / (H W) sum_ij dy / dA_k_ij,    map = max(0, sum_k alpha_k A_k),
    upsampled bilinearly (Selvaraju et al. 2017, arXiv 1610.02391, equations 1 and 2).

    images (B, 3, 32, 32), normalised floats; classes: one for all images, one for each (B,), or None for the predicted
    ones; stage: None for the last one that has positions; batch: images at once. ValueError names what there is where
    a class or stage does not exist or the images have another shape.
    """
    classes = targets(model, images, classes, batch)
    method = LayerGradCam(model, _stage(model, stage))
    with eval_mode(model):
        maps = [
            method.attribute(part, target=wanted, relu_attributions=True).detach()
            for part, wanted in zip(images.split(batch), classes.split(batch))
        ]
    return LayerAttribution.interpolate(torch.cat(maps), tuple(images.shape[2:]), "bilinear")[:, 0]


def attributions(
    model: models.Network,
    images: Tensor,
    classes: int | Sequence[int] | Tensor | None = None,
    methods: Sequence[str] = METHODS,
    batch: int = 125,
) -> dict[str, Tensor]:
    """Method -> (B, 32, 32), at least 0: Grad-CAM at the last stage beside others of captum, for the same classes.

    Integrated gradients (arXiv 1703.01365; from the mean colour, 16 steps) and guided backpropagation (arXiv
    1412.6806): absolute values, summed over the colours. Occlusion (arXiv 1311.2901): how much the score falls when a
    square of 8 pixels has the mean colour, averaged over the squares that cover a pixel; a rise counts as 0.
    images and classes as in `grad_cam`. The others' signs are dropped because they are compared as "how much".
    """
    if unknown := [name for name in methods if name not in METHODS]:
        raise ValueError(f"unknown method {unknown[0]!r}; choose from {', '.join(METHODS)}")
    classes = targets(model, images, classes, batch)

    attribute: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
        "integrated gradients": lambda part, wanted: IntegratedGradients(model).attribute(
            part, target=wanted, n_steps=16, internal_batch_size=batch
        ),
        "guided backpropagation": lambda part, wanted: GuidedBackprop(model).attribute(part, target=wanted),
        "occlusion": lambda part, wanted: Occlusion(model).attribute(
            part, target=wanted, sliding_window_shapes=(3, 8, 8), strides=(3, 4, 4)
        ),
    }
    found = {}
    for name in methods:
        if name == "Grad-CAM":
            found[name] = grad_cam(model, images, classes, batch=batch)
            continue
        with eval_mode(model), warnings.catch_warnings():
            warnings.filterwarnings("ignore", "Setting backward hooks", UserWarning)
            pairs = zip(images.split(batch), classes.split(batch))
            parts = [attribute[name](part.clone().requires_grad_(), wanted).detach() for part, wanted in pairs]
        values = torch.cat(parts).to(images.dtype)
        found[name] = values.mean(1).clamp(min=0) if name == "occlusion" else values.abs().sum(1)
    return found


def targets(model: nn.Module, images: Tensor, classes: int | Sequence[int] | Tensor | None, batch: int) -> Tensor:
    """(B,) int64: the classes that were asked for; None stands for the predicted ones. ValueError if there is none."""
    check_images(images)
    if classes is None:
        with torch.no_grad(), eval_mode(model):
            return torch.cat([model(part).argmax(1) for part in images.split(batch)])
    asked = torch.as_tensor(classes, device=images.device)
    if asked.is_floating_point() or asked.dim() > 1 or asked.dim() == 1 and len(asked) != len(images):
        raise ValueError(
            f"classes is one whole number or one for each of the {len(images)} images, not {asked.dtype} "
            f"of {tuple(asked.shape)}"
        )
    if (outside := (asked < 0) | (asked >= len(data.CLASSES))).any():
        raise ValueError(
            f"there is no class {asked[outside].flatten()[0]}; choose from "
            f"{', '.join(f'{number} {name}' for number, name in enumerate(data.CLASSES))}"
        )
    return asked.long().expand(len(images))


def check_images(images: Tensor) -> None:
    """ValueError unless images are floats of shape (B, 3, 32, 32), one or more."""
    if not isinstance(images, Tensor) or images.dim() != 4 or images.shape[1:] != (3, 32, 32) or not len(images):
        raise ValueError(f"images are a tensor (B, 3, 32, 32), not {tuple(getattr(images, 'shape', ()))}")
    if not images.is_floating_point():
        raise ValueError(f"images are normalised floats, not {images.dtype}")


_stage = stage  # `grad_cam` and `attributions` have an argument of that name
