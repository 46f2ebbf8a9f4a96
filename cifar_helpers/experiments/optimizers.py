"""Notebook 05: optimizers at their best rates, and learning-rate schedules."""

from dataclasses import replace

from cifar_helpers import train
from cifar_helpers.experiments.baseline import RATES, ablation, ablation_keep, each_seed, rates, ten_epochs
from cifar_helpers.experiments.choices import best_rates
from cifar_helpers.experiments.registry import experiment
from cifar_helpers.train import Config


@experiment
def optimizer_rates(profile: str, names=train.OPTIMIZERS, epochs: int = 0) -> list[Config]:
    """The learning rate of each optimizer, on the validation split."""
    base = ablation(profile, epochs)
    return [config for name in names for config in rates(replace(base, optimizer=name), RATES[name], profile)]


@experiment(keep=ablation_keep)
def optimizers(profile: str, names=train.OPTIMIZERS, epochs: int = 0, seeds: int = 0) -> list[Config]:
    """Each optimizer at the learning rate that did best in `optimizer_rates`."""
    base = ablation(profile, epochs)
    best = best_rates(optimizer_rates(profile, names, epochs), "optimizer", "optimizer_rates", profile)
    return each_seed([replace(base, optimizer=name, learning_rate=best[name]) for name in names], profile, seeds)


@experiment(keep=ablation_keep)
def schedules(
    profile: str, names=("constant", "multi_step", "cosine", "one_cycle", "linear"), epochs: int = 0, seeds: int = 0
) -> list[Config]:
    """Learning-rate schedules on SGD, all at the baseline's rate."""
    base = ablation(profile, epochs)
    return each_seed([replace(base, schedule=name) for name in names], profile, seeds)


# A longer training may prefer a lower rate. So below the best of `optimizer_rates` one more is tried, and where that
# one wins, one more again.
TEN_EPOCH_OPTIMIZER_RATES = {
    "sgd": RATES["sgd"],
    "adam": (0.001, 0.003, 0.01),
    "rmsprop": (0.0001, 0.0003, 0.001),
    "adadelta": (1.0, 3.0),
}


@experiment
def ten_epoch_optimizer_rates(profile: str, names=train.OPTIMIZERS, epochs: int = 0) -> list[Config]:
    """The learning rate of each optimizer in ten epochs, on the validation split.

    Smaller profiles, and other numbers of epochs, have `optimizer_rates`.
    """
    if profile != "full" or epochs:
        return optimizer_rates(profile, names, epochs)
    base, tried = ten_epochs(profile), RATES | TEN_EPOCH_OPTIMIZER_RATES
    return [config for name in names for config in rates(replace(base, optimizer=name), tried[name], profile)]


@experiment(keep=ablation_keep)
def ten_epoch_optimizers(profile: str, names=train.OPTIMIZERS, epochs: int = 0, seeds: int = 0) -> list[Config]:
    """Each optimizer for ten epochs, at the rate that did best in `ten_epoch_optimizer_rates`; SGD's: the baseline's.

    Smaller profiles, and other numbers of epochs, have `optimizers`.
    """
    if profile != "full" or epochs:
        return optimizers(profile, names, epochs, seeds)
    best = best_rates(ten_epoch_optimizer_rates(profile, names), "optimizer", "ten_epoch_optimizer_rates", profile)
    configs = [replace(ten_epochs(profile), optimizer=name, learning_rate=best[name]) for name in names]
    return each_seed(configs, profile, seeds)


@experiment(keep=ablation_keep)
def ten_epoch_schedules(
    profile: str, names=("constant", "multi_step", "cosine", "one_cycle", "linear"), seeds: int = 0
) -> list[Config]:
    """Learning-rate schedules on SGD for ten epochs, all at the baseline's rate; smaller profiles: `schedules`."""
    if profile != "full":
        return schedules(profile, names, seeds=seeds)
    return each_seed([replace(ten_epochs(profile), schedule=name) for name in names], profile, seeds)


@experiment
def ten_epoch_rates(profile: str) -> list[Config]:
    """The learning rate of the baseline of ten epochs, on the validation split; smaller profiles have one baseline."""
    return optimizer_rates(profile, names=("sgd",), epochs=ten_epochs(profile).epochs)
