"""Notebook 03: one activation in every place of the network."""

from dataclasses import replace

from cifar_helpers import models
from cifar_helpers.experiments.baseline import ablation, ablation_keep, each_seed, rates, ten_epochs
from cifar_helpers.experiments.choices import best_rates
from cifar_helpers.experiments.registry import experiment
from cifar_helpers.train import Config


def _with_dead_units(config: Config) -> tuple[str, ...]:
    return (*ablation_keep(config), *(["dead_units"] if config.activation in ("relu", "leaky_relu") else []))


FOUR = ("relu", "relu6", "leaky_relu", "elu")  # the original's


@experiment
def activation_rates(profile: str, names=("elu",)) -> list[Config]:
    """ELU, the furthest from ReLU of the four, at the baseline's rate and at lower ones, on the validation split.

    ReLU's rates are those of `ten_epoch_rates`.
    """
    base = ten_epochs(profile)
    values = [factor * base.learning_rate for factor in (0.25, 0.5, 1.0)]
    return [config for name in names for config in rates(replace(base, activation=name), values, profile)]


@experiment(keep=_with_dead_units)
def activations(profile: str, names=FOUR, epochs: int = 0, seeds: int = 0) -> list[Config]:
    """One activation in every place of the network; dead units are counted for ReLU and LeakyReLU."""
    base = ten_epochs(profile, epochs)
    return each_seed([replace(base, activation=name) for name in names], profile, seeds)


@experiment(keep=ablation_keep)
def activations_tuned(profile: str, names=("elu",), seeds: int = 0) -> list[Config]:
    """ReLU at the baseline's rate, which is its best, and others at the rate that did best in `activation_rates`."""
    best = best_rates(activation_rates(profile, names), "activation", "activation_rates", profile)
    changes = [dict(activation=name, learning_rate=best[name]) for name in names]
    return each_seed([replace(ten_epochs(profile), **change) for change in ({}, *changes)], profile, seeds)


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
