"""What each experiment trains, per profile: lists of configs, and what to call them.

Every experiment is a function of the profile; those of the ablations also take `epochs` and `seeds` (0 for the
profile's own numbers) and the names to compare.
"""

import dataclasses
import math
import os
from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import Any

import torch

from cifar_helpers import data, models, training
from cifar_helpers.losses import LOSSES
from cifar_helpers.schedules import label as schedule_label
from cifar_helpers.training import Config

PROFILES = ("smoke", "quick", "full")
TABLE_1 = ("resnet18", "resnext50_32x4d", "dpn26", "dla", "densenet121")


EXPERIMENTS: dict[str, Callable[..., list[Config]]] = {}  # in the order of this file: sweeps before what reads them
FULL_ONLY = ("fast_ablation", "searched")  # of smaller profiles, notebook 06 shows or trains what it needs


def experiment(configs: Callable[..., list[Config]]) -> Callable[..., list[Config]]:
    """What makes a function of the profile an experiment: `train`, `runs` and the notebooks know it by its name."""
    EXPERIMENTS[configs.__name__] = configs
    return configs


def profile(name: str | None = None) -> str:
    """The profile to use: the argument, else CIFAR_PROFILE, else full."""
    name = name or os.environ.get("CIFAR_PROFILE") or "full"
    if name not in PROFILES:
        raise ValueError(f"unknown profile {name!r}; choose from {', '.join(PROFILES)}")
    return name


def dataset(profile: str) -> data.Cifar10:
    """Made-up images for smoke, CIFAR-10 for all others."""
    return data.synthetic() if profile == "smoke" else data.load()


def linear(t: float) -> float:
    """A schedule written by hand: from 1 straight down to 0."""
    return 1.0 - t


# The best on held-out images of table_1_recipe. Small images first, as in the fast network, save a fifth of the time.
RECIPE: dict[str, Any] = dict(
    optimizer="muon",
    learning_rate=0.06,
    momentum=0.6,
    head_rate=0.1,
    bias_rate=0.1,
    schedule=linear,
    batch_size=256,
    label_smoothing=0.1,
)

# Few images and float32, so that a test of the whole pipeline takes seconds: in bfloat16 the first steps, in which
# oneDNN prepares its kernels, cost more than all others save.
SMOKE: dict[str, Any] = dict(
    data="synthetic",
    images=320,
    test_images=200,
    epochs=2,
    batch_size=64,
    learning_rate=0.02,
    precision="float32",
)


@experiment
def table_1(profile: str) -> list[Config]:
    """The five networks of Table 1, equal in all but the network."""
    sizes: dict[str, dict[str, Any]] = {
        "smoke": dict(width=0.25, **SMOKE),
        # small batches, since so few images make few steps
        "quick": dict(images=800, test_images=500, epochs=4, batch_size=32, learning_rate=0.02),
        "full": dict(epochs=8, tta=True, **RECIPE),
    }
    return [Config(model=name, **sizes[profile]) for name in TABLE_1]


# The first recipe's 0.1 at ResNet18's 128 features, a quarter of its filters, is 12.8 a feature. That still overshoots
# where features are long (first_steps: ResNeXt50), so the rule takes a third of it.
PER_FEATURE, FIRST_PER_FEATURE = 4.0, 12.8


def head_rate(model: str, width: float = 1.0, per_feature: float = PER_FEATURE) -> float:
    """The classifier's learning rate: PER_FEATURE over the number of features before it, rounded to three digits.

    A step changes a score by the rate times the squared length of the features, which grows with their number. A rate
    of constant / fan-in makes the step alike at every width (Yang et al. 2022, arXiv 2203.03466, Table 3: SGD, output
    weights).
    """
    with torch.device("meta"):  # shapes only
        classifier = models.build(model, width=width).head[-1]
    assert isinstance(classifier, torch.nn.Linear)
    return float(f"{per_feature / classifier.in_features:.3g}")


@experiment
def first_steps(profile: str) -> list[Config]:
    """The first 40 steps of each network of Table 1: one classifier rate for all, and two that go by its features.

    Full width and the recipe's rates from the first step on; batches of 64, to pay for ten networks.
    """
    sizes: dict[str, dict[str, Any]] = {
        "smoke": dict(data="synthetic", images=320, test_images=100, batch_size=32, width=0.125, precision="float32"),
        "quick": dict(images=640, test_images=200, batch_size=32, width=0.25),
        "full": dict(images=2560, test_images=500, batch_size=64),
    }
    recipe = RECIPE | dict(epochs=1, schedule="constant", evaluate="validation", keep_steps=True) | sizes[profile]
    names = ("dpn26", "resnext50_32x4d", "resnet18", "dla", "densenet121")  # the clearest first
    width = recipe.get("width", 1.0)
    rates = {name: [head_rate(name, width, each) for each in (FIRST_PER_FEATURE, PER_FEATURE)] for name in names}
    tried = [(name, rate) for name in names for rate in dict.fromkeys([RECIPE["head_rate"], *rates[name]])]
    return [Config(name, **recipe | dict(head_rate=rate)) for name, rate in tried]


@experiment
def head_rates(profile: str) -> list[Config]:
    """Four epochs of each network of Table 1 at a quarter of its filters, by validation images: what fits all five.

    The first recipe's classifier rate of 0.1 and rates by features; then Muon's step in other ways.
    """
    sizes: dict[str, dict[str, Any]] = {
        "smoke": SMOKE | dict(test_images=None),
        "quick": dict(images=800, epochs=2, batch_size=32, test_images=500),
        "full": dict(epochs=4),
    }
    names = TABLE_1 if profile == "full" else ("resnet18", "dpn26")
    width = 0.25 if profile != "smoke" else 0.125

    def recipe(name: str, **changes) -> Config:
        return Config(name, evaluate="validation", **RECIPE | sizes[profile] | dict(width=width) | changes)

    def by_features(name: str, per_feature: float = PER_FEATURE, **changes) -> Config:
        return recipe(name, head_rate=head_rate(name, width, per_feature), **changes)

    order = ("dpn26", "resnet18", "resnext50_32x4d", "dla", "densenet121")  # the clearest first, the longest last
    configs = [config for name in order if name in names for config in (recipe(name), by_features(name))]
    for changes in (dict(muon_scale_tall=False), dict(bias_rate=0.03)):
        configs += [by_features(name, **changes) for name in ("resnet18", "dpn26")]
    configs.append(by_features("dpn26", muon_per_group=True))  # ResNet18 has no groups
    configs += [by_features(name, FIRST_PER_FEATURE) for name in order if name in names]
    return list(dict.fromkeys(configs))


@experiment
def table_1_seeds(profile: str) -> list[Config]:
    """Two more seeds of Table 1's ResNet18: how much a seed alone changes."""
    return [replace(table_1(profile)[0], seed=seed, keep_weights=False) for seed in (1, 2)]


@experiment
def table_1_recipe(profile: str) -> list[Config]:
    """What the recipe of Table 1 was chosen from: ResNet18 on the validation split; the best is used for all five.

    At full size ResNet18 has a quarter of its filters, to pay for so many trainings; smaller profiles have only rates.
    """
    resnet = table_1(profile)[0]
    if profile == "full":
        sgd = Config("resnet18", width=0.25, epochs=resnet.epochs, evaluate="validation")
        muon = replace(sgd, **RECIPE)
        small: dict[str, Any] = dict(small_side=24, small_share=0.5)
        return [
            sgd,
            replace(sgd, label_smoothing=0.1, schedule=linear, warmup=0.15),
            *(replace(muon, learning_rate=rate) for rate in (0.03, 0.06, 0.12)),
            replace(muon, learning_rate=0.12, alternate=True, reflect=True),
            *(replace(muon, learning_rate=rate, **small) for rate in (0.06, 0.12)),
        ]
    size: dict[str, Any] = dict(
        evaluate="validation", keep_weights=False, test_images=2000 if profile == "quick" else None
    )
    return [replace(resnet, learning_rate=rate, **size) for rate in (0.005, 0.01, 0.02, 0.05, 0.1)]


@experiment
def inside(profile: str) -> list[Config]:
    """The networks that are looked into: Table 1's five at a quarter of their filters, their weights kept.

    The weights of all five at full width are 138 MB, more than a repository should hold.
    """
    sizes: dict[str, dict[str, Any]] = {
        "smoke": SMOKE,
        "quick": dict(images=2000, test_images=500, epochs=6, batch_size=32, learning_rate=0.03),
        "full": dict(epochs=3, **RECIPE),  # narrow groups of filters are slow on a CPU: half an hour for all five
    }
    return [Config(model=name, width=0.25, keep_weights=True, **sizes[profile]) for name in TABLE_1]


SEEDS = {"smoke": 2, "quick": 3, "full": 3}
SWEEP_SEEDS = {"smoke": 2, "quick": 2, "full": 1}  # two where few images make a single run a matter of luck
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


def described(base: Config, profile: str) -> str:
    """What the runs of an ablation are, and what they cannot show, in Markdown: for the head of a notebook."""
    epochs = f"{base.epochs} epoch{'s' * (base.epochs != 1)}"
    run = f"a {models.TITLES[base.model]} with {base.width:g} times its filters on"
    if profile == "full":
        return (
            f"Each run trains {run} all images for {epochs}. What pays only in longer trainings or wider networks is "
            "not seen here."
        )
    return (
        f"**Miniature**: profile `{profile}` trains {run} {base.images:,} images for {epochs}. It shows how the "
        "comparison is made; intervals are wide, and what a choice does to networks that have hardly learned is not "
        "its worth."
    )


def each_seed(configs: Iterable[Config], base: Config, profile: str, seeds: int = 0) -> list[Config]:
    """Each config with each of the seeds 0, 1, ...: the same ones for all, so that runs can be compared in pairs.

    The baseline keeps whatever any ablation wants of it, so that one record serves all of them.
    """
    kept: dict[str, Any] = {"keep_logits": True, "measure": "silent_units"}
    configs = [
        replace(config, **kept) if replace(config, keep_logits=False, measure="") == base else config
        for config in configs
    ]
    return [replace(config, seed=seed) for config in configs for seed in range(seeds or SEEDS[profile])]


@experiment
def activations(profile: str, names=("relu", "relu6", "leaky_relu", "elu"), epochs: int = 0, seeds: int = 0):
    """One activation in every place of the network; silent units are counted for ReLU and LeakyReLU."""
    base = ablation(profile, epochs)
    return each_seed(
        [
            replace(base, activation=name, measure="silent_units" if name in ("relu", "leaky_relu") else "")
            for name in names
        ],
        base,
        profile,
        seeds,
    )


@experiment
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
    return each_seed([replace(base, activation=name) for name in names], base, profile, seeds)


@experiment
def losses(profile: str, names=tuple(LOSSES), epochs: int = 0, seeds: int = 0) -> list[Config]:
    """All losses at one learning rate, as in the original."""
    base = ablation(profile, epochs)
    return each_seed([replace(base, loss=name, keep_logits=True) for name in names], base, profile, seeds)


def rates(config: Config, values: Iterable[float], profile: str) -> list[Config]:
    """The config at each learning rate, on the validation split, with the profile's number of seeds."""
    return [
        replace(config, learning_rate=value, evaluate="validation", seed=seed)
        for value in values
        for seed in range(SWEEP_SEEDS[profile])
    ]


@experiment
def loss_rates(profile: str, names=("cross_entropy", "mse", "bce_with_logits"), epochs: int = 0) -> list[Config]:
    """The learning rate of each loss, on the validation split.

    Ten times higher for those but cross-entropy: they are means over the ten classes, so their gradients are smaller.
    """
    base = ablation(profile, epochs)
    tried = {name: RATES["sgd"] if name == "cross_entropy" else (*RATES["sgd"], 3.0, 10.0) for name in names}
    return [config for name in names for config in rates(replace(base, loss=name), tried[name], profile)]


@experiment
def losses_tuned(profile: str, names=("cross_entropy", "mse", "bce_with_logits"), epochs: int = 0, seeds: int = 0):
    """Each loss at the learning rate that did best in `loss_rates`."""
    base = ablation(profile, epochs)
    best = best_rates(loss_rates(profile, names, epochs), "loss", "loss_rates", profile)
    return each_seed(
        [replace(base, loss=name, learning_rate=best[name], keep_logits=True) for name in names], base, profile, seeds
    )


@experiment
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
        base,
        profile,
        seeds,
    )


@experiment
def optimizer_rates(profile: str, names=training.OPTIMIZERS, epochs: int = 0) -> list[Config]:
    """The learning rate of each optimizer, on the validation split."""
    base = ablation(profile, epochs)
    return [config for name in names for config in rates(replace(base, optimizer=name), RATES[name], profile)]


@experiment
def optimizers(profile: str, names=training.OPTIMIZERS, epochs: int = 0, seeds: int = 0) -> list[Config]:
    """Each optimizer at the learning rate that did best in `optimizer_rates`."""
    base = ablation(profile, epochs)
    best = best_rates(optimizer_rates(profile, names, epochs), "optimizer", "optimizer_rates", profile)
    return each_seed([replace(base, optimizer=name, learning_rate=best[name]) for name in names], base, profile, seeds)


@experiment
def schedules(
    profile: str, names=("constant", "multi_step", "cosine", "one_cycle", linear), epochs: int = 0, seeds: int = 0
) -> list[Config]:
    """Learning-rate schedules on SGD, all at the baseline's rate."""
    base = ablation(profile, epochs)
    return each_seed([replace(base, schedule=name) for name in names], base, profile, seeds)


@experiment
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
    return each_seed([base, *(replace(base, **change) for change in changes)], base, profile, seeds)


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
        schedule=linear,
        crop=2,
        reflect=True,
        alternate=True,
        label_smoothing=0.2,
        small_side=24,
        tta=True,
        **size,
    )


@experiment
def fast(profile: str, epochs: int = 0, seeds: int = 0) -> list[Config]:
    """The fast network with several seeds; and the first seed again on the validation split, for its calibration."""
    base = replace(fast_config(profile, epochs), keep_logits=True)
    each = [
        replace(base, seed=seed, keep_weights=seed == 0)
        for seed in range(seeds or {"smoke": 2, "quick": 3, "full": 5}[profile])
    ]
    return [*each, replace(base, evaluate="validation")]


@experiment
def fast_wide(profile: str, epochs: int = 0) -> list[Config]:
    """The same with twice the filters and twice the epochs: the best model.

    At full size its weights are kept where it is trained: 16 MB, too much for a clone, which has the fast network's.
    """
    base = fast_config(profile, epochs)
    return [
        replace(
            base,
            width=2 * base.width,
            epochs=epochs or 2 * base.epochs,
            keep_logits=True,
            keep_weights=profile == "full",
        )
    ]


def ideas(base: Config) -> dict[str, dict]:
    """The ideas of the fast network, and what takes each out. Without Muon, the rates are those of airbench94."""
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
            momentum=0.85,
            schedule="one_cycle",
            weight_decay=round(base.weight_decay * base.learning_rate / rate, 6),
        ),
    }


@experiment
def searched(profile: str, seeds: int = 0) -> list[Config]:
    """The best trial of the search, and the ablations' baseline, on the test set: the best of many is partly luck."""
    from cifar_helpers import search  # it needs this module

    base = ablation(profile)
    return each_seed(dict.fromkeys([base, search.best(search.study(profile), base)]), base, profile, seeds)


@experiment
def fast_ablation(profile: str, epochs: int = 0, seeds: int = 0) -> list[Config]:
    """The fast network, then without one of its ideas at a time; at full size in fewer epochs, to pay for the seeds."""
    base = fast_config(profile, epochs or {"full": 3}.get(profile, 0))
    return [
        replace(base, seed=seed, **change)
        for change in ({}, *ideas(base).values())
        for seed in range(seeds or SEEDS[profile])
    ]


BN_RATES = (1e-4, 5e-4, 1e-3, 2e-3)  # the original's


def bn_size(profile: str, epochs: int = 0) -> dict:
    """What all runs of the batch-norm study share. No L2, so that the loss which is recorded is what is descended.

    At full size all images, and what two CPU cores can do in hours: a quarter of VGG-A's filters, in float32, as what
    is measured are small differences of losses and gradients.
    """
    sizes: dict[str, dict[str, Any]] = {
        "smoke": dict(
            data="synthetic", images=320, test_images=100, epochs=3, batch_size=32, width=0.125, precision="float32"
        ),
        # narrow networks and small batches: steps are what the figures need
        "quick": dict(images=3200, test_images=500, epochs=8, batch_size=64, width=0.25),
        "full": dict(epochs=11, width=0.25, precision="float32"),  # 390 steps an epoch: 4,290
    }
    return sizes[profile] | dict(schedule="constant", weight_decay=0.0) | ({"epochs": epochs} if epochs else {})


@experiment
def bn_band(profile: str, rates: Iterable[float] = BN_RATES, epochs: int = 0, seeds: int = 0) -> list[Config]:
    """VGG-A with and without batch norm at each learning rate, by Adam as in the original: a loss for every step.

    The weights of seed 0 at the lower middle rate are kept, for the loss surface.
    """
    rates = sorted(set(rates))
    if len(rates) < 2:
        raise ValueError(
            "the band is the spread of the loss over learning rates, so it takes two of them or more, not "
            f"{', '.join(f'{rate:g}' for rate in rates) or 'none'}"
        )
    for rate in rates:
        if not 0 < rate < math.inf:
            raise ValueError(f"a learning rate is a number above 0, not {rate:g}")
    middle = rates[(len(rates) - 1) // 2]
    size = bn_size(profile, epochs or {"full": 26}.get(profile, 0))  # 10,140 steps, as many as the original draws
    return [
        Config(
            name,
            optimizer="adam",
            learning_rate=rate,
            seed=seed,
            keep_steps=True,
            keep_weights=rate == middle and seed == 0,
            **size,
        )
        for seed in range(seeds or 1)
        for name in ("vgg_a", "vgg_a_bn")
        for rate in rates
    ]


@experiment
def bn_measured(profile: str, epochs: int = 0, seeds: int = 0) -> list[Config]:
    """Both networks by plain gradient descent (no momentum: a step goes along the gradient), the landscape measured."""
    every = {"smoke": 5, "quick": 10, "full": 50}[profile]
    return [
        Config(
            name,
            optimizer="sgd",
            momentum=0.0,
            learning_rate=0.1,
            seed=seed,
            measure="landscape",
            measure_every=every,
            **bn_size(profile, epochs),
        )
        for seed in range(seeds or 1)
        for name in ("vgg_a", "vgg_a_bn")
    ]


@experiment
def bn_control(profile: str, epochs: int = 0, seeds: int = 0) -> list[Config]:
    """The same, and the network whose batch norms are followed by noise; the shift of layers' inputs measured."""
    every = {"smoke": 5, "quick": 10, "full": 50}[profile]
    return [
        Config(
            name,
            optimizer="sgd",
            momentum=0.0,
            learning_rate=0.1,
            seed=seed,
            measure="shift",
            measure_every=every,
            **bn_size(profile, epochs),
        )
        for seed in range(seeds or {"smoke": 2, "quick": 1, "full": 3}[profile])
        for name in ("vgg_a", "vgg_a_bn", "vgg_a_bn_noise")
    ]


def configs(experiment: str, profile: str) -> list[Config]:
    """The configs of an experiment in a profile."""
    return known(experiment)(profile)


def known(experiment: str) -> Callable[[str], list[Config]]:
    """The function of an experiment's name; ValueError lists the names."""
    if experiment not in EXPERIMENTS:
        raise ValueError(f"unknown experiment {experiment!r}; choose from {', '.join(EXPERIMENTS)}")
    return EXPERIMENTS[experiment]


def best_rates(sweep: list[Config], field: str, experiment: str, profile: str) -> dict[str, float]:
    """The learning rate with the highest validation accuracy in a sweep's records, for each value of `field`.

    The mean over the sweep's seeds decides.
    """
    from cifar_helpers import runs  # the one place that looks ahead: what is trained depends on an earlier training

    accuracies: dict[str, dict[float, list[float]]] = {}
    for config in sweep:
        run = runs.find(config, profile)
        if run is None:
            raise ValueError(
                f"the learning rates are chosen from {experiment}, which has no record of "
                f"{config.name} at {config.learning_rate:g} yet: python -m cifar_helpers train "
                f"{experiment} --profile {profile}"
            )
        of_option = accuracies.setdefault(getattr(config, field), {})
        of_option.setdefault(config.learning_rate, []).append(run.record["validation_accuracy"])
    return {option: max(rates, key=lambda rate: sum(rates[rate])) for option, rates in accuracies.items()}


def label(config: Config, baseline: Config) -> str:
    """What sets a config apart from the baseline, for a reader: "hidden (256, 128)"; "baseline" where nothing does."""
    kept = ("seed", "keep_logits", "keep_weights", "keep_steps", "measure", "measure_every")
    fields = (field.name for field in dataclasses.fields(Config) if field.name not in kept)
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
            return "L2" if value else "no L2"
        case "l1":
            return "L1"
        case "learning_rate":
            return f"rate {value:g}"
        case "label_smoothing":
            return "label smoothing"
    return f"{field} {value}".replace("_", " ")
