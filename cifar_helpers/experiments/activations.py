"""Notebook 03: one activation in every place of the network."""

from dataclasses import replace

from cifar_helpers import models
from cifar_helpers.experiments.baseline import ablation, ablation_keep, each_seed, ten_epochs
from cifar_helpers.experiments.registry import experiment
from cifar_helpers.train import Config


def _with_dead_units(config: Config) -> tuple[str, ...]:
    return (*ablation_keep(config), *(["dead_units"] if config.activation in ("relu", "leaky_relu") else []))


@experiment(keep=_with_dead_units)
def activations(profile: str, names=("relu", "relu6", "leaky_relu", "elu"), epochs: int = 0, seeds: int = 0):
    """One activation in every place of the network; dead units are counted for ReLU and LeakyReLU."""
    base = ten_epochs(profile, epochs)
    return each_seed([replace(base, activation=name) for name in names], profile, seeds)


@experiment(keep=ablation_keep)
def activations_others(
    profile: str,
    names=tuple(name for name in models.ACTIVATIONS if name not in ("relu6", "leaky_relu", "elu")),
    epochs: int = 0,
    seeds: int = 0,
) -> list[Config]:
    """All other activations, against ReLU, in half the epochs (rounded down)."""
    base = ablation(profile, epochs)
    base = replace(base, epochs=max(1, base.epochs // 2))
    names = dict.fromkeys(("relu", *names))
    return each_seed([replace(base, activation=name) for name in names], profile, seeds)
