"""The answers of a network over batches, and how good they are."""

import contextlib
from collections.abc import Iterator

import torch
from torch import nn

from cifar_helpers.data.batches import Batches
from cifar_helpers.train.losses import LOSSES


def autocast(device_type: str, precision: str):
    """Convolutions and matrix products inside in the config's precision; weights stay float32."""
    return torch.autocast(device_type, dtype=torch.bfloat16, enabled=precision == "bfloat16")


@contextlib.contextmanager
def eval_mode(model: nn.Module) -> Iterator[None]:
    """Evaluation mode inside; afterwards each module has its own mode again."""
    modes = [(module, module.training) for module in model.modules()]
    try:
        model.eval()
        yield
    finally:
        for module, training in modes:
            module.training = training


@torch.inference_mode()
def predict(model: nn.Module, batches: Batches, precision: str = "float32") -> tuple[torch.Tensor, torch.Tensor]:
    """(logits (N, classes) float32, labels (N,) int64) of the model in evaluation mode over batches of one epoch."""
    model.eval()
    logits, labels = [], []
    for images, batch_labels in batches.epoch(0):
        with autocast(images.device.type, precision):
            logits.append(model(images).float())
        labels.append(batch_labels)
    return torch.cat(logits), torch.cat(labels)


def evaluate(model: nn.Module, batches: Batches, loss: str = "cross_entropy", precision: str = "float32"):
    """(mean loss, accuracy in percent) of the model in evaluation mode over batches of one epoch."""
    logits, labels = predict(model, batches, precision)
    correct = (logits.argmax(1) == labels).double().mean()
    return LOSSES[loss](logits, labels, 0.0).item(), 100 * correct.item()
