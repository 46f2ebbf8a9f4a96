"""Choices that a sweep's records make: learning rates by validation accuracy."""

from cifar_helpers import records
from cifar_helpers.train import Config


def best_rates(sweep: list[Config], field: str, experiment: str, profile: str) -> dict[str, float]:
    """The learning rate with the highest validation accuracy in a sweep's records, for each value of `field`.

    The mean over the sweep's seeds decides.
    """
    accuracies: dict[str, dict[float, list[float]]] = {}
    for config in sweep:
        run = records.find(config, profile)
        if run is None:
            raise ValueError(
                f"the learning rates are chosen from {experiment}, which has no record of "
                f"{config.name} at {config.learning_rate:g} yet: python -m cifar_helpers train "
                f"{experiment} --profile {profile}"
            )
        of_option = accuracies.setdefault(getattr(config, field), {})
        of_option.setdefault(config.learning_rate, []).append(run.record["validation_accuracy"])
    return {option: max(rates, key=lambda rate: sum(rates[rate])) for option, rates in accuracies.items()}
