"""Notebook 04: losses at one rate and at their own, and regularisation."""

from dataclasses import replace
from typing import Any

from cifar_helpers import records
from cifar_helpers.experiments.baseline import RATES, ablation, ablation_keep, each_seed, rates, with_logits
from cifar_helpers.experiments.choices import best_rates
from cifar_helpers.experiments.registry import experiment
from cifar_helpers.train import Config
from cifar_helpers.train.losses import LOSSES


@experiment(keep=with_logits)
def losses(profile: str, names=tuple(LOSSES), epochs: int = 0, seeds: int = 0) -> list[Config]:
    """All losses at one learning rate, as in the original."""
    base = ablation(profile, epochs)
    return each_seed([replace(base, loss=name) for name in names], profile, seeds)


@experiment
def loss_rates(profile: str, names=("cross_entropy", "mse", "bce_with_logits"), epochs: int = 0) -> list[Config]:
    """The learning rate of each loss, on the validation split.

    Ten times higher for those but cross-entropy: they are means over the ten classes, so their gradients are smaller.
    """
    base = ablation(profile, epochs)
    tried = {name: RATES["sgd"] if name == "cross_entropy" else (*RATES["sgd"], 3.0, 10.0) for name in names}
    return [config for name in names for config in rates(replace(base, loss=name), tried[name], profile)]


@experiment(keep=with_logits)
def losses_tuned(profile: str, names=("cross_entropy", "mse", "bce_with_logits"), epochs: int = 0, seeds: int = 0):
    """Each loss at the learning rate that did best in `loss_rates`."""
    base = ablation(profile, epochs)
    best = best_rates(loss_rates(profile, names, epochs), "loss", "loss_rates", profile)
    return each_seed([replace(base, loss=name, learning_rate=best[name]) for name in names], profile, seeds)


@experiment(keep=ablation_keep)
def regularisation(profile: str, epochs: int = 0, seeds: int = 0) -> list[Config]:
    """One regularisation at a time on top of cross-entropy; dropout acts after a hidden layer."""
    base = ablation(profile, epochs)
    none = replace(base, weight_decay=0.0)
    return each_seed(
        [
            none,
            base,
            replace(none, l1=1e-5),
            replace(none, label_smoothing=0.1),
            replace(none, hidden=(256,)),
            replace(none, hidden=(256,), dropout=0.5),
        ],
        profile,
        seeds,
    )


STRENGTHS: dict[str, list[dict[str, Any]]] = {  # of each regularisation, tried on validation images
    "L2": [dict(weight_decay=value) for value in (5e-4, 2e-3, 5e-3, 1e-2, 2e-2)],
    "L1": [dict(l1=value) for value in (1e-5, 1e-4)],
    "label smoothing": [dict(label_smoothing=value) for value in (0.1, 0.2)],
    "dropout": [dict(hidden=(256,), dropout=value) for value in (0.3, 0.5)],
    "Cutout": [dict(cutout=value) for value in (8, 16)],
    "crop and flip": [dict(crop=4, flip=True)],
}


def overfitted(profile: str, epochs: int = 0) -> Config:
    """A network that learns its training images by heart: 5,000 images without augmentation or regularisation."""
    full = profile == "full"
    base = ablation(profile, epochs or (30 if full else 2 * ablation(profile).epochs))
    return replace(base, images=5000 if full else base.images, crop=0, flip=False, weight_decay=0.0)


@experiment
def overfitting_strengths(profile: str, epochs: int = 0) -> list[Config]:
    """How strong each regularisation should be, on the validation split."""
    base = replace(overfitted(profile, epochs), evaluate="validation")
    return [base, *(replace(base, **change) for changes in STRENGTHS.values() for change in changes)]


def best_strengths(profile: str, epochs: int = 0) -> dict[str, dict[str, Any]]:
    """The strength of each regularisation with the highest validation accuracy in `overfitting_strengths`."""
    base = replace(overfitted(profile, epochs), evaluate="validation")

    def accuracy(change: dict[str, Any]) -> float:
        run = records.find(replace(base, **change), profile)
        if run is None:
            raise ValueError(
                "the strengths are chosen from overfitting_strengths, which lacks a record: "
                f"python -m cifar_helpers train overfitting_strengths --profile {profile}"
            )
        return run.record["validation_accuracy"]

    return {name: max(changes, key=accuracy) for name, changes in STRENGTHS.items()}


@experiment
def overfitting(profile: str, epochs: int = 0, seeds: int = 0) -> list[Config]:
    """5,000 images, 30 epochs: no regularisation, each one alone at its own strength, and several together."""
    base, best = overfitted(profile, epochs), best_strengths(profile, epochs)
    together = best["L2"] | best["label smoothing"] | best["Cutout"] | best["crop and flip"]
    options = [{}, dict(hidden=(256,)), *best.values(), together]  # the hidden layer alone: what dropout acts on
    return each_seed([replace(base, **change) for change in options], profile, seeds)
