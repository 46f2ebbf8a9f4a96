"""Outputs to store of a run. They change no result, so they are requested by name, not in the config."""

from collections.abc import Iterable

from cifar_helpers.train.measurements import MEASUREMENTS

OUTPUTS = (
    "weights",  # in half precision
    "logits",  # and labels of the evaluated images after the last epoch
    "steps",  # the loss of every step
    "tta",  # the last evaluation repeated with test-time augmentation
)


def check(keep: Iterable[str]) -> tuple[str, ...]:
    """The names, sorted and each once: OUTPUTS, and MEASUREMENTS with or without an interval ("landscape:50", in steps;
    without one it is measured at each epoch's end).

    Raises: ValueError lists the names where one is unknown.
    """
    names = {keep} if isinstance(keep, str) else set(keep)
    for name in names - set(OUTPUTS):
        kind, colon, interval = name.partition(":")
        if kind not in MEASUREMENTS or (colon and not (interval.isdecimal() and int(interval) > 0)):
            raise ValueError(
                f"unknown output {name!r}; choose from {', '.join((*OUTPUTS, *MEASUREMENTS))}; "
                "landscape:50 is the landscape at every 50th step"
            )
    return tuple(sorted(names))


def measured(keep: Iterable[str]) -> dict[str, int]:
    """The measurements among the names, each with its interval in steps, 0 for each epoch's end."""
    return {name: int(name.partition(":")[2] or 0) for name in keep if name not in OUTPUTS}
