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


EXPERIMENTS = {f.__name__: f for f in (table_1, table_1_rate)}


def configs(experiment: str, profile: str) -> list[Config]:
    """The configs of an experiment in a profile."""
    if experiment not in EXPERIMENTS:
        raise ValueError(f"unknown experiment {experiment!r}; choose from {', '.join(EXPERIMENTS)}")
    return EXPERIMENTS[experiment](profile)
