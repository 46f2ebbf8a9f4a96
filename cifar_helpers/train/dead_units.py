"""Dead units: the channels that an activation never lets through."""

import contextlib

import torch
from torch import Tensor, nn

from cifar_helpers.data.batches import Batches
from cifar_helpers.models import is_activation
from cifar_helpers.train.evaluation import autocast, eval_mode

IMAGES = 1000  # evaluated images that are counted on: whole batches, until there are this many


@torch.no_grad()
def dead_units(model: nn.Module, batch: tuple[Tensor, Tensor], evaluation: Batches, config) -> list[dict]:
    """Per activation layer, in the network's order: layer (its name), units (channels), silent and off (shares 0 to 1).

    silent: the channels whose input is at most 0 at every position of every image. They are dead: ReLU lets nothing of
    them through, and no gradient back. LeakyReLU has such channels too, and gives them a gradient. off: of all inputs,
    over channels, positions and images, those that are at most 0. NaN where an input is NaN. In evaluation mode, with
    batch norm's running statistics and the config's precision; `batch` is not used, and nothing is changed.
    """
    layers = {name: module for name, module in model.named_modules() if is_activation(module)}
    largest: dict[str, Tensor] = {}
    off: dict[str, list[Tensor]] = {}

    def look(name: str, inputs: Tensor) -> None:
        highest = inputs.transpose(0, 1).flatten(1).amax(1)  # of each channel (or unit of a hidden layer)
        largest[name] = torch.maximum(largest[name], highest) if name in largest else highest
        off.setdefault(name, []).append((inputs <= 0).flatten(1).double().mean(1))  # of each image

    with contextlib.ExitStack() as hooks, eval_mode(model):
        for name, module in layers.items():
            hook = module.register_forward_pre_hook(lambda _, inputs, name=name: look(name, inputs[0]))
            hooks.enter_context(hook)
        seen = 0
        for images, _ in evaluation.epoch(0):
            with autocast(images.device.type, config.precision):
                model(images)
            seen += len(images)
            if seen >= IMAGES:
                break
    return [
        {"layer": name, "units": len(highest), "silent": _share(highest), "off": torch.cat(off[name]).mean().item()}
        for name, highest in largest.items()
    ]


def _share(highest: Tensor) -> float:
    """The share of channels whose highest input is at most 0; NaN where one is NaN."""
    return (highest <= 0).double().masked_fill(highest.isnan(), torch.nan).mean().item()
