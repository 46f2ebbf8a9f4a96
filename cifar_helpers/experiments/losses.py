"""Notebook 04: losses at one rate and at their own, and regularisation."""

from dataclasses import replace
from typing import Any

from cifar_helpers.experiments.baseline import RATES, ablation, each_seed, rates, ten_epochs, with_logits
from cifar_helpers.experiments.choices import best_rates, validation_accuracy
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

    Up to ten times higher for those but cross-entropy: they are means over the ten classes, so their gradients are
    smaller. The squared error falls off steeply on both sides of its best rate, so on full it has a finer grid.
    """
    base = ablation(profile, epochs)
    tried = {name: RATES["sgd"] if name == "cross_entropy" else (*RATES["sgd"], 3.0, 10.0) for name in names}
    if "mse" in names and profile == "full":
        tried["mse"] = tuple(sorted((*tried["mse"], 0.5, 0.7, 1.5, 2.0)))
    return [config for name in names for config in rates(replace(base, loss=name), tried[name], profile)]


TEN_EPOCH_LOSS_RATES = {  # around the best of `loss_rates`, most of them lower, as a longer training prefers
    "cross_entropy": RATES["sgd"],
    "mse": (0.3, 0.5, 0.7),
    "bce_with_logits": (0.3, 0.5, 1.0),
}


@experiment
def ten_epoch_loss_rates(profile: str, names=tuple(TEN_EPOCH_LOSS_RATES)) -> list[Config]:
    """The learning rate of each loss in ten epochs, on the validation split; smaller profiles have `loss_rates`."""
    if profile != "full":
        return loss_rates(profile, names)
    base = ten_epochs(profile)
    tried = {name: TEN_EPOCH_LOSS_RATES.get(name, RATES["sgd"]) for name in names}
    return [config for name in names for config in rates(replace(base, loss=name), tried[name], profile)]


@experiment(keep=with_logits)
def losses_tuned(profile: str, names=("cross_entropy", "mse", "bce_with_logits"), epochs: int = 0, seeds: int = 0):
    """Each loss at the learning rate that did best in `loss_rates`."""
    base = ablation(profile, epochs)
    best = best_rates(loss_rates(profile, names, epochs), "loss", "loss_rates", profile)
    return each_seed([replace(base, loss=name, learning_rate=best[name]) for name in names], profile, seeds)


@experiment(keep=with_logits)
def ten_epoch_losses(profile: str, names=tuple(TEN_EPOCH_LOSS_RATES), seeds: int = 0) -> list[Config]:
    """Each loss for ten epochs, at the rate that did best in `ten_epoch_loss_rates`; smaller profiles: `losses_tuned`.

    Cross-entropy's runs are the baseline's.
    """
    if profile != "full":
        return losses_tuned(profile, names, seeds=seeds)
    best = best_rates(ten_epoch_loss_rates(profile, names), "loss", "ten_epoch_loss_rates", profile)
    configs = [replace(ten_epochs(profile), loss=name, learning_rate=best[name]) for name in names]
    return each_seed(configs, profile, seeds)


STRENGTHS: dict[str, list[dict[str, Any]]] = {  # of each regularisation, tried on validation images
    "L2": [dict(weight_decay=value) for value in (5e-4, 2e-3, 5e-3, 1e-2, 2e-2)],
    "L1": [dict(l1=value) for value in (1e-5, 1e-4)],
    "label smoothing": [dict(label_smoothing=value) for value in (0.1, 0.2)],
    "dropout": [dict(hidden=(256,), dropout=value) for value in (0.3, 0.5)],
    "Cutout": [dict(cutout=value) for value in (8, 16)],
    "crop and flip": [dict(crop=4, flip=True)],
}


def strength(change: dict[str, Any]) -> str:
    """The strength of one of STRENGTHS, as text: "0.01"; "" where it is a change of the network only."""
    return ", ".join(f"{value:g}" for field, value in change.items() if field not in ("hidden", "flip"))


def strengths_tried() -> str:
    """All of STRENGTHS, as text: "L2 0.0005, 0.002; Cutout 8, 16"."""
    return "; ".join(f"{name} {', '.join(map(strength, changes))}" for name, changes in STRENGTHS.items())


def overfitted(profile: str, epochs: int = 0) -> Config:
    """A network that learns its training images by heart: 5,000 images without augmentation or regularisation."""
    full = profile == "full"
    base = ablation(profile, epochs or (30 if full else 2 * ablation(profile).epochs))
    return replace(base, images=5000 if full else base.images, crop=0, flip=False, weight_decay=0.0)


@experiment
def overfitting_strengths(profile: str) -> list[Config]:
    """How strong each regularisation should be, on the validation split."""
    base = replace(overfitted(profile), evaluate="validation")
    return [base, *(replace(base, **change) for changes in STRENGTHS.values() for change in changes)]


def best_strengths(profile: str) -> dict[str, dict[str, Any]]:
    """The strength of each regularisation with the highest validation accuracy in `overfitting_strengths`.

    Smaller profiles, whose accuracies are a matter of luck, take the first.
    """
    base = replace(overfitted(profile), evaluate="validation")

    def accuracy(change: dict[str, Any]) -> float:
        return validation_accuracy(replace(base, **change), "overfitting_strengths", profile)

    return {name: max(tried, key=accuracy) if profile == "full" else tried[0] for name, tried in STRENGTHS.items()}


def regularisations(profile: str) -> dict[str, dict[str, Any]]:
    """What is compared in `overfitting`, by its title: none first; the hidden layer is what dropout acts on."""
    best = best_strengths(profile)
    together = best["L2"] | best["label smoothing"] | best["Cutout"] | best["crop and flip"]
    dropout = {"hidden layer": dict(hidden=(256,)), "hidden layer, dropout": best.pop("dropout")}
    return {"none": {}} | best | dropout | {"L2, smoothing, Cutout, crop, flip": together}


@experiment
def overfitting(profile: str, epochs: int = 0, seeds: int = 0) -> list[Config]:
    """No regularisation, each one alone at its best strength, and several together, where a network overfits."""
    base = overfitted(profile, epochs)
    return each_seed([replace(base, **change) for change in regularisations(profile).values()], profile, seeds)
