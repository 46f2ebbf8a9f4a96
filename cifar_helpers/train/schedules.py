"""Learning-rate schedules: functions of the progress t in [0, 1) that give a factor of the config's rate.

Only one of them is built per run and it never touches the optimizer's rate but through torch's LambdaLR, so
the rate a config names is the rate that is used: the highest of `one_cycle`, the first of all the others.
"""

import math
from collections.abc import Callable

from cifar_helpers.core.text import short_hash

Schedule = Callable[[float], float]


def constant(t: float) -> float:
    """1."""
    return 1.0


def cosine(t: float) -> float:
    """(1 + cos(pi t)) / 2 (Loshchilov and Hutter 2017, arXiv 1608.03983, without restarts)."""
    return (1 + math.cos(math.pi * t)) / 2


def multi_step(t: float) -> float:
    """1, then 0.1 from half of the run, then 0.01 from three quarters (He et al. 2016, arXiv 1512.03385)."""
    return 1.0 if t < 0.5 else 0.1 if t < 0.75 else 0.01


def one_cycle(t: float) -> float:
    """Cosine from 1/25 up to 1 in the first 30 %, cosine down to 1/250,000 in the rest (arXiv 1708.07120).

    The shape of torch's OneCycleLR with its default factors; momentum stays as it is.
    """
    low, high, end, peak = 1 / 25, 1.0, 1 / 25 / 1e4, 0.3
    if t < peak:
        return high + (low - high) * cosine(t / peak)
    return end + (high - end) * cosine((t - peak) / (1 - peak))


def linear(t: float) -> float:
    """1 - t: from 1 straight down to 0."""
    return 1.0 - t


SCHEDULES: dict[str, Schedule] = {f.__name__: f for f in (constant, cosine, multi_step, one_cycle, linear)}


def label(schedule: str | Schedule) -> str:
    """The name under which a config is stored; a custom schedule is identified by its values.

    `name@` and eight digits of a hash over 1,000 values, so that a changed function is another config.
    """
    if isinstance(schedule, str):
        return schedule
    values = ",".join(f"{value:.9g}" for value in _factors(schedule))
    name = getattr(schedule, "__name__", type(schedule).__name__)  # functools.partial has no name of its own
    return f"{name}@{short_hash(values)}"


def settled(schedule: str | Schedule) -> str | Schedule:
    """A schedule of SCHEDULES by its name, so that it is one config whether it is named or passed.

    Raises:
        ValueError: there is none of that name, or a function gives anything but factors from 0.
    """
    if isinstance(schedule, str) and "@" in schedule:  # a record's: cannot be run, can be read
        return schedule
    resolve(schedule)
    if callable(schedule):
        _factors(schedule)
    return next((name for name, function in SCHEDULES.items() if function is schedule), schedule)


def _factors(schedule: Schedule) -> list[float]:
    """1,000 values of a schedule."""
    values = [schedule(i / 1000) for i in range(1000)]
    for i, value in enumerate(values):
        try:
            fits = 0 <= float(value) < math.inf
        except (TypeError, ValueError):
            fits = False
        if not fits:
            raise ValueError(
                f"a schedule gives a number from 0 at every progress from 0 to 1, not {value!r} at {i / 1000}"
            )
    return [float(value) for value in values]


def resolve(schedule: str | Schedule, warmup: float = 0.0) -> Schedule:
    """The function of t; with `warmup` (a share of the run) the factor grows linearly to it from near 0."""
    if isinstance(schedule, str) and schedule not in SCHEDULES:
        if "@" in schedule:
            raise ValueError(f"{schedule} was a function of the caller's own; pass that function again")
        raise ValueError(f"unknown schedule {schedule!r}; choose from {', '.join(SCHEDULES)} or pass a function")
    if not isinstance(schedule, str) and not callable(schedule):
        raise ValueError(f"a schedule is a name or a function of the progress, not {schedule!r}")
    function = SCHEDULES[schedule] if isinstance(schedule, str) else schedule
    if warmup == 0:
        return function
    return lambda t: min(1.0, (t + 1e-3) / warmup) * function(t)
