"""Notebook 10: one component or strategy at a time."""

from dataclasses import replace
from typing import Any

from cifar_helpers.experiments.baseline import ablation, ablation_keep, each_seed
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
