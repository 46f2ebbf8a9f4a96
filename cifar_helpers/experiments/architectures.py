"""Notebook 02: the five networks of Table 1, and what their recipe was chosen from."""

from dataclasses import replace
from typing import Any

import torch

from cifar_helpers import models
from cifar_helpers.experiments.registry import experiment
from cifar_helpers.train import Config

TABLE_1 = ("resnet18", "resnext50_32x4d", "dpn26", "dla", "densenet121")


# The best of table_1_recipe on validation images.
RECIPE: dict[str, Any] = dict(
    optimizer="muon",
    learning_rate=0.06,
    momentum=0.6,
    head_rate=0.1,
    bias_rate=0.1,
    schedule="linear",
    batch_size=256,
    label_smoothing=0.1,
)


# Few images and float32, so that a test of the whole pipeline takes seconds: in bfloat16 the first steps, in which
# oneDNN prepares its kernels, cost more than all others save.
SMOKE: dict[str, Any] = dict(
    data="synthetic", images=128, test_images=100, epochs=2, batch_size=64, learning_rate=0.02, precision="float32"
)


def _table_1_keep(config: Config) -> tuple[str, ...]:
    """On smoke these are the networks of `grad_cam_networks`, so the weights too: else they would be trained twice."""
    return ("tta", "weights") if config.width == 0.25 else ("tta",)


@experiment(keep=_table_1_keep)
def table_1(profile: str) -> list[Config]:
    """The five networks of Table 1, equal in all but the network."""
    sizes: dict[str, dict[str, Any]] = {
        "smoke": dict(width=0.25, **SMOKE),
        # small batches, since so few images make few steps
        "quick": dict(images=800, test_images=500, epochs=4, batch_size=32, learning_rate=0.02),
        "full": dict(epochs=8, **RECIPE),
    }
    return [Config(model=name, **sizes[profile]) for name in TABLE_1]


# The first recipe's 0.1 at ResNet18's 128 features, a quarter of its filters, is 12.8 a feature. That still overshoots
# in ResNeXt50 at full width (first_steps), so the rule takes a third of it.
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


CLEAREST_FIRST = ("dpn26", "resnext50_32x4d", "resnet18", "dla", "densenet121")  # by how far 0.1 overshoots


@experiment(keep=["steps"])
def first_steps(profile: str) -> list[Config]:
    """The first 40 steps of each network of Table 1: one classifier rate for all, and two that go by its features.

    Full width and the recipe's rates from the first step on; batches of 64, to pay for five networks at three rates.
    """
    sizes: dict[str, dict[str, Any]] = {
        "smoke": dict(data="synthetic", images=320, test_images=100, batch_size=32, width=0.125, precision="float32"),
        "quick": dict(images=640, test_images=200, batch_size=32, width=0.25),
        "full": dict(images=2560, test_images=500, batch_size=64),
    }
    names = CLEAREST_FIRST if profile == "full" else ("dpn26", "resnet18")
    recipe = RECIPE | dict(epochs=1, schedule="constant", evaluate="validation") | sizes[profile]
    width = recipe.get("width", 1.0)
    by_features = FIRST_PER_FEATURE, PER_FEATURE
    rates = {name: [RECIPE["head_rate"], *(head_rate(name, width, each) for each in by_features)] for name in names}
    return [Config(name, **recipe | dict(head_rate=rate)) for name in names for rate in dict.fromkeys(rates[name])]


@experiment
def head_rates(profile: str) -> list[Config]:
    """Four epochs of each network of Table 1 at a quarter of its filters, by validation images: what fits all five.

    The first recipe's classifier rate of 0.1 and rates by features; then Muon's step and the norms' rate in other ways.
    """
    sizes: dict[str, dict[str, Any]] = {
        "smoke": SMOKE | dict(width=0.125),
        "quick": dict(images=800, epochs=2, batch_size=32, test_images=500, width=0.25),
        "full": dict(epochs=4, width=0.25),
    }

    def recipe(name: str, **changes) -> Config:
        return Config(name, evaluate="validation", **RECIPE | sizes[profile] | changes)

    def by_features(name: str, per_feature: float = PER_FEATURE, **changes) -> Config:
        return recipe(name, head_rate=head_rate(name, sizes[profile]["width"], per_feature), **changes)

    pairs = {name: (recipe(name), by_features(name)) for name in TABLE_1}
    if profile != "full":
        return [*pairs["dpn26"], *pairs["resnet18"]]
    configs = [
        config for name in ("dpn26", "resnet18", "resnext50_32x4d", "dla", "densenet121") for config in pairs[name]
    ]
    for changes in (dict(muon_scale_tall=False), dict(bias_rate=0.03)):
        configs += [by_features(name, **changes) for name in ("resnet18", "dpn26")]
    configs.append(by_features("dpn26", muon_per_group=True))  # ResNet18 has no groups
    configs += [by_features(name, FIRST_PER_FEATURE) for name in TABLE_1]
    return list(dict.fromkeys(configs))


def head_rate_pairs(profile: str) -> list[Config]:
    """Of `head_rates`, the two runs of each network that differ in the classifier's rate alone: 0.1 and by features."""
    recipe: dict[str, Config] = {}
    for config in head_rates(profile):
        recipe.setdefault(config.model, config)  # the first of each network
    rates = {name: (RECIPE["head_rate"], head_rate(name, first.width)) for name, first in recipe.items()}
    return [replace(first, head_rate=rate) for name, first in recipe.items() for rate in rates[name]]


@experiment(keep=["tta", "logits"])
def table_1_head_rate(profile: str) -> list[Config]:
    """Table 1's networks once more, with the classifier's rate by its features; they become Table 1 when all are there.

    The network that 0.1 holds back most is first, since each takes hours of two cores.
    """
    by_name = {config.model: config for config in table_1(profile)}
    return [replace(by_name[name], head_rate=head_rate(name, by_name[name].width)) for name in CLEAREST_FIRST]


@experiment(keep=["tta"])
def table_1_seeds(profile: str) -> list[Config]:
    """Two more seeds of Table 1's ResNet18: how much a seed alone changes."""
    return [replace(table_1(profile)[0], seed=seed) for seed in (1, 2)]


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
            replace(sgd, label_smoothing=0.1, schedule="linear", warmup=0.15),
            *(replace(muon, learning_rate=rate) for rate in (0.03, 0.06, 0.12)),
            replace(muon, learning_rate=0.12, alternate=True, reflect=True),
            *(replace(muon, learning_rate=rate, **small) for rate in (0.06, 0.12)),
        ]
    size: dict[str, Any] = dict(evaluate="validation", test_images=2000 if profile == "quick" else None)
    return [replace(resnet, learning_rate=rate, **size) for rate in (0.005, 0.01, 0.02, 0.05, 0.1)]
