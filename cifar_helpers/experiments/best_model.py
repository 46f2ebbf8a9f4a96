"""Notebook 06: the original's best model, the fast network, and the best trial of the search."""

from dataclasses import replace
from typing import Any

from cifar_helpers.experiments import search
from cifar_helpers.experiments.architectures import table_1
from cifar_helpers.experiments.baseline import SEEDS, ablation, ablation_keep, each_seed
from cifar_helpers.experiments.registry import experiment
from cifar_helpers.train import Config


@experiment
def original_best(profile: str) -> list[Config]:
    """The original's best model as its Table 2 names it. Its rate is not given there: Adam's usual one is taken.

    At full size so many of its 200 epochs as two CPU cores can do in half an hour.
    """
    base = next(config for config in table_1(profile) if config.model == "densenet121")
    if profile == "full":
        base = Config("densenet121", epochs=2)
    return [replace(base, activation="leaky_relu", optimizer="adam", learning_rate=1e-3, cutout=16)]


def fast_config(profile: str, epochs: int = 0) -> Config:
    """A small network for two CPU cores: Muon, a few epochs, the first of them on small images.

    Layout and most of the method: arXiv 2404.00498 (airbench94) and its later version with Muon, whose rates these are.
    """
    sizes: dict[str, dict[str, Any]] = {
        "smoke": dict(
            data="synthetic",
            images=200,
            test_images=100,
            epochs=2,
            batch_size=50,
            width=0.125,
            precision="float32",
            small_share=0.5,
        ),
        "quick": dict(images=1500, test_images=500, epochs=4, batch_size=100, small_share=0.5),
        "full": dict(epochs=12, batch_size=2000, small_share=0.5),
    }
    size = sizes[profile] | ({"epochs": epochs} if epochs else {})
    batch = size["batch_size"]  # what SGD trains has a rate per image of the batch
    return Config(
        "fast_cnn",
        activation="gelu",
        optimizer="muon",
        learning_rate=0.24,
        momentum=0.6,
        head_rate=round(1.02e-5 * batch, 6),
        bias_rate=round(0.053 * batch, 6),
        weight_decay=0.0167,
        schedule="linear",
        crop=2,
        reflect=True,
        alternate=True,
        label_smoothing=0.2,
        small_side=24,
        **size,
    )


def _fast_keep(config: Config) -> tuple[str, ...]:
    return ("logits", "tta", *(["weights"] if config.seed == 0 and config.evaluate == "test" else []))


@experiment(keep=_fast_keep)
def fast(profile: str, epochs: int = 0, seeds: int = 0) -> list[Config]:
    """The fast network with several seeds; and the first seed again on the validation split, for its calibration."""
    base = fast_config(profile, epochs)
    each = [replace(base, seed=seed) for seed in range(seeds or {"smoke": 2, "quick": 3, "full": 5}[profile])]
    return [*each, replace(base, evaluate="validation")]


@experiment(keep=["logits", "tta"])
def fast_wide(profile: str, epochs: int = 0) -> list[Config]:
    """The same with twice the filters and twice the epochs: the best model.

    Its weights are 16 MB, too much for a clone, which has the fast network's: `train fast_wide --keep weights`.
    """
    base = fast_config(profile, epochs)
    return [replace(base, width=2 * base.width, epochs=epochs or 2 * base.epochs)]


def ideas(base: Config) -> dict[str, dict]:
    """The ideas of the fast network, and what takes each out.

    Without Muon, all rates are those of airbench94 (arXiv 2404.00498), which scales its scores by 1/9. Ours scales the
    first weights of the last layer instead, which is the same for SGD at 1/81 of the rate.
    """
    rate = round(1.5e-3 * base.batch_size, 6)
    return {
        "small images first": dict(small_share=0.0),
        "whitened first layer": dict(model="fast_cnn_unwhitened"),
        "alternating flips": dict(alternate=False),
        "mirrored border": dict(reflect=False),
        "label smoothing": dict(label_smoothing=0.0),
        "GELU": dict(activation="relu"),
        "Muon": dict(
            optimizer="sgd",
            learning_rate=rate,
            head_rate=round(rate / 81, 6),
            bias_rate=64 * rate,
            momentum=0.85,
            schedule="one_cycle",
            weight_decay=round(base.weight_decay * base.learning_rate / rate, 6),
        ),
    }


@experiment(keep=ablation_keep)
def search_best(profile: str, seeds: int = 0) -> list[Config]:
    """The best trial of the search, and the ablations' baseline, on the test set: the best of many is partly luck.

    And the baseline with the best trial's crop alone, for the part of the gain that the crop brings.
    """
    base = ablation(profile)
    best = search.best(search.study(profile), base)
    return each_seed(dict.fromkeys([base, best, replace(base, crop=best.crop)]), profile, seeds)


@experiment(keep=["tta"])
def fast_ablation(profile: str, epochs: int = 0, seeds: int = 0) -> list[Config]:
    """The fast network, then without one of its ideas at a time; at full size in fewer epochs, to pay for the seeds."""
    base = fast_config(profile, epochs or {"full": 3}.get(profile, 0))
    return [
        replace(base, seed=seed, **change)
        for change in ({}, *ideas(base).values())
        for seed in range(seeds or SEEDS[profile])
    ]
