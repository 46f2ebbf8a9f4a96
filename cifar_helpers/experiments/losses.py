"""Notebook 04: losses at one rate and at their own, and regularisation."""

from dataclasses import replace

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
