"""The run that every ablation changes in one respect, its seeds and rates, and what sets a run apart from it."""

import dataclasses
from collections.abc import Iterable
from dataclasses import replace
from typing import Any

from cifar_helpers import models
from cifar_helpers.core.profiles import PROFILES
from cifar_helpers.train import Config
from cifar_helpers.train.schedules import label as schedule_label

SEEDS = {"smoke": 2, "quick": 3, "full": 3}


SWEEP_SEEDS = {"smoke": 1, "quick": 2, "full": 1}  # two where few images make a single run a matter of luck


RATES = {  # of the sweeps: from far below to far above the usual rate of each optimizer
    "sgd": (0.01, 0.03, 0.1, 0.3, 1.0),
    "adam": (0.0003, 0.001, 0.003, 0.01, 0.03),
    "rmsprop": (0.00003, 0.0001, 0.0003, 0.001, 0.003),
    "adadelta": (0.1, 0.3, 1.0, 3.0, 10.0),
}


def ablation(profile: str, epochs: int = 0) -> Config:
    """The run that every ablation changes in one respect: ResNet18 with a quarter of its filters.

    A sixteenth of ResNet18's multiply-adds, and at full size few epochs, pay for several seeds. Left out by that:
    whether an option gains or loses in networks that are wide enough, and trained long enough, to memorise the images.
    """
    sizes: dict[str, dict[str, Any]] = {
        "smoke": dict(
            data="synthetic",
            images=100,
            test_images=100,
            epochs=2,
            batch_size=50,
            width=0.125,
            precision="float32",
            learning_rate=0.03,
        ),
        "quick": dict(images=640, test_images=500, epochs=4, batch_size=32, learning_rate=0.03, width=0.25),
        "full": dict(epochs=3, learning_rate=0.1, width=0.25),
    }
    return Config("resnet18", **sizes[profile] | ({"epochs": epochs} if epochs else {}))


TEN_EPOCHS_RATE = 0.3  # of `ten_epoch_rates`, chosen on validation images before any test image was looked at


def ten_epochs(profile: str, epochs: int = 0) -> Config:
    """The baseline of the experiments that train for ten epochs on the full profile; on others it is `ablation`.

    Its rate is the one that `ten_epoch_rates` found best.
    """
    if profile != "full":
        return ablation(profile, epochs)
    return replace(ablation(profile, epochs or 10), learning_rate=TEN_EPOCHS_RATE)


def each_seed(configs: Iterable[Config], profile: str, seeds: int = 0) -> list[Config]:
    """Each config with each of the seeds 0, 1, ...: the same ones for all, so that runs can be compared in pairs."""
    return [replace(config, seed=seed) for config in configs for seed in range(seeds or SEEDS[profile])]


def rates(config: Config, values: Iterable[float], profile: str) -> list[Config]:
    """The config at each learning rate, on the validation split, with the profile's number of seeds."""
    return [
        replace(config, learning_rate=value, evaluate="validation", seed=seed)
        for value in values
        for seed in range(SWEEP_SEEDS[profile])
    ]


def ablation_keep(config: Config) -> tuple[str, ...]:
    """The baseline saves every output that any ablation needs, so that one training serves all of them."""
    baselines = [each for profile in PROFILES for each in (ablation(profile, config.epochs), ten_epochs(profile))]
    return ("logits", "dead_units") if replace(config, seed=0) in baselines else ()


def with_logits(config: Config) -> tuple[str, ...]:
    return (*ablation_keep(config), "logits")


def label(config: Config, baseline: Config) -> str:
    """What sets a config apart from the baseline, for a reader: "hidden 256, 128"; "baseline" where nothing does."""
    fields = (field.name for field in dataclasses.fields(Config) if field.name != "seed")
    pairs = {field: (getattr(config, field), getattr(baseline, field)) for field in fields}
    return ", ".join(_difference(field, *pair) for field, pair in pairs.items() if pair[0] != pair[1]) or "baseline"


def _difference(field: str, value, usual) -> str:
    match field:
        case "model":
            return models.TITLES[value]
        case "width":
            return f"{value / usual:g} x filters"
        case "hidden":
            return "hidden " + ", ".join(map(str, value))
        case "batch_norm":
            return "no batch norm"
        case "schedule":
            return schedule_label(value).split("@")[0]
        case "weight_decay":
            return f"L2 {value:g}" if value else "no L2"
        case "learning_rate":
            return f"rate {value:g}"
    return f"{field} {value}".replace("_", " ")
