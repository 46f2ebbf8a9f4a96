"""Dead units: the channels that an activation never lets through."""

import torch
from torch import Tensor, nn

from cifar_helpers.data.batches import Batches
from cifar_helpers.models import is_activation

IMAGES = 1000  # evaluated images that are counted on: whole batches, until there are this many


@torch.no_grad()
def dead_units(model: nn.Module, batch: tuple[Tensor, Tensor], held: Batches, config) -> list[dict]:
    """Per activation layer, in the network's order: layer (its name), units (channels), silent and off (shares).

    off is the share (0 to 1) of all inputs, over channels, positions and images, that are at most 0.

    A channel is dead (share 0 to 1 in the column silent) where the input is at most 0 at every position of every image:
    ReLU lets nothing of it through, and no gradient back. LeakyReLU has such channels too, and gives them a gradient.
    NaN where an input is NaN. In evaluation mode, with batch norm's running statistics and the
    config's precision; `batch` is not used. Modes, buffers and random numbers stay unchanged.
    """
    layers = {name: module for name, module in model.named_modules() if is_activation(module)}
    largest: dict[str, Tensor] = {}
    off: dict[str, list[Tensor]] = {}

    def look(name: str, inputs: Tensor) -> None:
        highest = inputs.transpose(0, 1).flatten(1).amax(1)  # of each channel (or unit of a hidden layer)
        largest[name] = torch.maximum(largest[name], highest) if name in largest else highest
        off.setdefault(name, []).append((inputs <= 0).flatten(1).double().mean(1))  # of each image

    hooks = [
        module.register_forward_pre_hook(lambda _, inputs, name=name: look(name, inputs[0]))
        for name, module in layers.items()
    ]
    modes = [(module, module.training) for module in model.modules()]
    try:
        model.eval()
        seen = 0
        for images, _ in held.epoch(0):
            with torch.autocast(images.device.type, dtype=torch.bfloat16, enabled=config.precision == "bfloat16"):
                model(images)
            seen += len(images)
            if seen >= IMAGES:
                break
    finally:
        for hook in hooks:
            hook.remove()
        for module, training in modes:
            module.training = training
    return [
        {"layer": name, "units": len(highest), "silent": _share(highest), "off": torch.cat(off[name]).mean().item()}
        for name, highest in largest.items()
    ]


def _share(highest: Tensor) -> float:
    """The share of channels whose highest input is at most 0; NaN where one is NaN."""
    return (highest <= 0).double().masked_fill(highest.isnan(), torch.nan).mean().item()
