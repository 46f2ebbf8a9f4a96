"""Notebook 09: VGG-A with and without batch norm."""

from collections.abc import Callable, Iterable
from typing import Any

from cifar_helpers.experiments.registry import experiment
from cifar_helpers.train import Config

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


def band_keep(rates: Iterable[float] = BN_RATES) -> Callable[[Config], tuple[str, ...]]:
    """The loss of every step; and the weights of seed 0 at the lower middle rate, for the loss surface."""
    ordered = sorted(set(rates))
    middle = ordered[(len(ordered) - 1) // 2]
    return lambda config: ("steps", "weights") if (config.learning_rate, config.seed) == (middle, 0) else ("steps",)


@experiment(keep=band_keep())
def bn_band(profile: str, rates: Iterable[float] = BN_RATES, epochs: int = 0, seeds: int = 0) -> list[Config]:
    """VGG-A with and without batch norm at each learning rate, by Adam as in the original: a loss for every step."""
    rates = sorted(set(rates))
    if len(rates) < 2:
        raise ValueError(
            "the band is the spread of the loss over learning rates, so it takes two of them or more, not "
            f"{', '.join(f'{rate:g}' for rate in rates) or 'none'}"
        )
    size = bn_size(profile, epochs or {"full": 26}.get(profile, 0))  # 10,140 steps, as many as the original draws
    return [
        Config(name, optimizer="adam", learning_rate=rate, seed=seed, **size)
        for seed in range(seeds or 1)
        for name in ("vgg_a", "vgg_a_bn")
        for rate in rates
    ]


def _measured_keep(name: str, shared: str) -> Callable[[Config], tuple[str, ...]]:
    """A measurement, and that of the other experiment where both have the training, so that it is trained once."""

    def keep(config: Config) -> tuple[str, ...]:
        every = 5 if config.data == "synthetic" else 10 if config.images else 50  # steps
        both = config.model != "vgg_a_bn_noise"
        return tuple(f"{kind}:{every}" for kind in ((name, shared) if both else (name,)))

    return keep


def _plain_descent(names: Iterable[str], profile: str, epochs: int, seeds: int) -> list[Config]:
    """By gradient descent without momentum, so that a step goes along the gradient."""
    size = bn_size(profile, epochs)
    return [Config(name, learning_rate=0.1, momentum=0.0, seed=seed, **size) for seed in range(seeds) for name in names]


@experiment(keep=_measured_keep("landscape", "shift"))
def bn_measured(profile: str, epochs: int = 0, seeds: int = 0) -> list[Config]:
    """Both networks by plain gradient descent, the landscape measured."""
    return _plain_descent(("vgg_a", "vgg_a_bn"), profile, epochs, seeds or {"full": 5}.get(profile, 1))


@experiment(keep=_measured_keep("shift", "landscape"))
def bn_control(profile: str, epochs: int = 0, seeds: int = 0) -> list[Config]:
    """The same, and the network whose batch norms are followed by noise; the shift of layers' inputs measured."""
    names = "vgg_a", "vgg_a_bn", "vgg_a_bn_noise"
    return _plain_descent(names, profile, epochs, seeds or {"smoke": 2, "quick": 1, "full": 3}[profile])
