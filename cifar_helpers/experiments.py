"""What each experiment trains, per profile: lists of configs, and nothing else."""

import dataclasses
import os

from cifar_helpers import data
from cifar_helpers.training import Config

PROFILES = ("smoke", "quick", "full")
TABLE_1 = ("resnet18", "resnext50_32x4d", "dpn26", "dla", "densenet121")


def profile(name: str | None = None) -> str:
    """The profile to use: the argument, else CIFAR_PROFILE, else quick."""
    name = name or os.environ.get("CIFAR_PROFILE") or "quick"
    if name not in PROFILES:
        raise ValueError(f"unknown profile {name!r}; choose from {', '.join(PROFILES)}")
    return name


def dataset(profile: str) -> data.Cifar10:
    """Made-up images for smoke, CIFAR-10 for all others."""
    return data.synthetic() if profile == "smoke" else data.load()


def table_1(profile: str) -> list[Config]:
    """The five networks of Table 1, equal in all but the network."""
    size = {
        # narrow networks, so that a test of the whole pipeline takes seconds; in bfloat16 the first steps, in which
        # oneDNN prepares its kernels, cost more than all others save
        "smoke": dict(data="synthetic", images=320, test_images=200, epochs=2, batch_size=64, learning_rate=0.02,
                      width=0.25, precision="float32"),
        # small batches, since so few images make few steps
        "quick": dict(images=800, test_images=500, epochs=4, batch_size=32, learning_rate=0.02),
        "full": dict(epochs=30, keep_weights=True),
    }[profile]
    return [Config(model=name, **size) for name in TABLE_1]


def table_1_rate(profile: str) -> list[Config]:
    """The learning rate of Table 1: ResNet18 on the validation split; the best rate there is used for all five."""
    resnet = table_1(profile)[0]
    size = dict(evaluate="validation", keep_weights=False, test_images=2000 if profile == "quick" else None)
    return [dataclasses.replace(resnet, learning_rate=rate, **size) for rate in (0.005, 0.01, 0.02, 0.05, 0.1)]


BN_RATES = (1e-4, 5e-4, 1e-3, 2e-3)  # the original's


def bn_size(profile: str, epochs: int = 0) -> dict:
    """What all runs of the batch-norm study share. L2 is off, so that the loss which is recorded is what is descended."""
    size = {
        "smoke": dict(data="synthetic", images=320, test_images=100, epochs=3, batch_size=32, width=0.125,
                      precision="float32"),
        # narrow networks and small batches: steps are what the figures need
        "quick": dict(images=3200, test_images=500, epochs=8, batch_size=64, width=0.25),
        "full": dict(epochs=26),  # 390 steps an epoch: more than the original's 10,000
    }[profile]
    return size | dict(schedule="constant", weight_decay=0.0) | ({"epochs": epochs} if epochs else {})


def bn_band(profile: str, rates: Iterable[float] = BN_RATES, epochs: int = 0, seeds: int = 0) -> list[Config]:
    """VGG-A with and without batch norm at each learning rate, by Adam as in the original: a loss for every step.

    The weights of seed 0 at the lower middle rate are kept, for the loss surface.
    """
    rates = sorted(set(rates))
    if len(rates) < 2:
        raise ValueError("the band is the spread of the loss over learning rates, so it takes two of them or more, not "
                         f"{', '.join(f'{rate:g}' for rate in rates) or 'none'}")
    if min(rates) <= 0:
        raise ValueError(f"a learning rate is above 0, not {min(rates):g}")
    middle = rates[(len(rates) - 1) // 2]
    return [Config(name, optimizer="adam", learning_rate=rate, seed=seed, keep_steps=True,
                   keep_weights=rate == middle and seed == 0, **bn_size(profile, epochs))
            for seed in range(seeds or 1) for name in ("vgg_a", "vgg_a_bn") for rate in rates]


def bn_measured(profile: str, epochs: int = 0, seeds: int = 0) -> list[Config]:
    """Both networks by plain gradient descent (no momentum: a step goes along the gradient), the landscape measured."""
    every = {"smoke": 5, "quick": 10, "full": 50}[profile]
    return [Config(name, optimizer="sgd", momentum=0.0, learning_rate=0.1, seed=seed, measure="landscape",
                   measure_every=every, **bn_size(profile, epochs))
            for seed in range(seeds or 1) for name in ("vgg_a", "vgg_a_bn")]


def bn_control(profile: str, epochs: int = 0, seeds: int = 0) -> list[Config]:
    """The same with the third network, whose batch norms are followed by noise; the shift of layers' inputs measured."""
    every = {"smoke": 5, "quick": 10, "full": 50}[profile]
    return [Config(name, optimizer="sgd", momentum=0.0, learning_rate=0.1, seed=seed, measure="shift",
                   measure_every=every, **bn_size(profile, epochs))
            for seed in range(seeds or {"smoke": 2, "quick": 1, "full": 3}[profile])
            for name in ("vgg_a", "vgg_a_bn", "vgg_a_bn_noise")]


def numbers(value: str | Iterable[float], default: Iterable[float], what: str) -> list[float]:
    """The numbers that a notebook's parameter asks for: a list, JSON text, or text with commas; "" for the default."""
    text = value.strip().removeprefix("[").removesuffix("]") if isinstance(value, str) else ",".join(map(str, value))
    try:
        return [float(part) for part in text.split(",")] if text else list(default)
    except ValueError as error:
        raise ValueError(f"{what}={value!r} is no list of numbers: {error}") from None


EXPERIMENTS = {f.__name__: f for f in (table_1, table_1_rate)}


def configs(experiment: str, profile: str) -> list[Config]:
    """The configs of an experiment in a profile."""
    if experiment not in EXPERIMENTS:
        raise ValueError(f"unknown experiment {experiment!r}; choose from {', '.join(EXPERIMENTS)}")
    return EXPERIMENTS[experiment](profile)
