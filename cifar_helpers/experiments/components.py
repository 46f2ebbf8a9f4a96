"""Notebook 10: one component or strategy at a time, and shortcuts and batch norm in all combinations."""

from dataclasses import replace
from typing import Any

from cifar_helpers.experiments.baseline import ablation, ablation_keep, each_seed, rates
from cifar_helpers.experiments.choices import best_rates
from cifar_helpers.experiments.registry import experiment
from cifar_helpers.train import Config


@experiment(keep=ablation_keep)
def components(profile: str, epochs: int = 0, seeds: int = 0) -> list[Config]:
    """One component or strategy at a time, changed in the baseline, which comes first."""
    base = ablation(profile, epochs)
    changes: list[dict[str, Any]] = [
        dict(hidden=(64,)),
        dict(hidden=(256,)),
        dict(hidden=(256, 128)),
        dict(hidden=(256,), dropout=0.5),
        dict(width=base.width / 2),
        dict(width=base.width * 2),
        dict(model="resnet34"),
        dict(model="plain18"),
        dict(model="plain34"),
        dict(batch_norm=False),
        dict(batch_norm=False, learning_rate=base.learning_rate / 10),
    ]
    return each_seed([base, *(replace(base, **change) for change in changes)], profile, seeds)


WITHOUT_BATCH_NORM = {  # the rates tried for each network: the best, a lower and a higher one
    "resnet18": (0.003, 0.01, 0.03),
    "resnet34": (0.001, 0.003, 0.01),
    "plain18": (0.01, 0.03, 0.1),
    "plain34": (0.001, 0.003, 0.01, 0.03),
}


@experiment
def without_batch_norm_rates(profile: str) -> list[Config]:
    """The learning rate of each network without batch norm, on the validation split.

    One seed each. The two best rates of Plain18 have three: they were added after its first run on test images, which
    learned nothing.
    """
    base = replace(ablation(profile), batch_norm=False)
    tried = WITHOUT_BATCH_NORM.items()
    configs = [config for name, values in tried for config in rates(replace(base, model=name), values, profile)]
    plain = replace(base, model="plain18", evaluate="validation")
    more = [replace(plain, learning_rate=rate, seed=seed) for rate in (0.01, 0.03) for seed in (1, 2)]
    return list(dict.fromkeys(configs + more))


@experiment(keep=ablation_keep)
def shortcuts_and_batch_norm(profile: str, epochs: int = 0, seeds: int = 0) -> list[Config]:
    """Networks of 18 and 34 layers, with and without shortcuts, with and without batch norm.

    With batch norm all learn at the baseline's rate; without it, each at the rate that did best in
    `without_batch_norm_rates`. Smaller profiles, whose accuracies are a matter of luck, take a tenth of the baseline's.
    """
    base = ablation(profile, epochs)
    best = dict.fromkeys(WITHOUT_BATCH_NORM, base.learning_rate / 10)
    if profile == "full":
        best = best_rates(without_batch_norm_rates(profile), "model", "without_batch_norm_rates", profile)
    networks = [replace(base, model=name) for name in best]
    bare = [replace(network, batch_norm=False, learning_rate=best[network.model]) for network in networks]
    return each_seed(networks + bare, profile, seeds)
