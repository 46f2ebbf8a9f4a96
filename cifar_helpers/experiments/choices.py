"""Choices that a sweep's records make, by validation accuracy."""

from statistics import fmean

from cifar_helpers import records
from cifar_helpers.train import Config


def validation_accuracy(config: Config, experiment: str, profile: str) -> float:
    """In percent, of a sweep's record. ValueError names the command where there is none."""
    if (run := records.find(config, profile)) is None:
        raise ValueError(
            f"a choice is made from {experiment}, which has no record of {config.name} at {config.learning_rate:g} "
            f"yet: python -m cifar_helpers train {experiment} --profile {profile}"
        )
    return run.record["validation_accuracy"]


def best_rates(sweep: list[Config], field: str, experiment: str, profile: str) -> dict[str, float]:
    """The learning rate with the highest validation accuracy in a sweep's records, for each value of `field`.

    The mean over the sweep's seeds decides.
    """
    accuracies: dict[str, dict[float, list[float]]] = {}
    for config in sweep:
        of_option = accuracies.setdefault(getattr(config, field), {})
        accuracy = validation_accuracy(config, experiment, profile)
        of_option.setdefault(config.learning_rate, []).append(accuracy)
    return {option: max(rates, key=lambda rate: fmean(rates[rate])) for option, rates in accuracies.items()}
