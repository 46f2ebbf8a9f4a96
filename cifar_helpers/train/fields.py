"""The types and ranges of a Config's fields: settled once, when a Config is made, so that equal ones are one record."""

import dataclasses
import typing
from math import inf
from numbers import Integral, Real
from typing import Any

from pandas import Interval

LARGE = 1e32  # torch's float32 ends at 3e38, and a rate is multiplied

RANGES = {  # every field that is a number, or holds numbers
    "hidden": Interval(1, inf, closed="left"),
    "dropout": Interval(0, 1, closed="left"),
    "width": Interval(0, LARGE, closed="neither"),
    "label_smoothing": Interval(0, 1, closed="left"),
    "learning_rate": Interval(0, LARGE, closed="left"),
    "momentum": Interval(0, 1, closed="left"),
    "head_rate": Interval(0, LARGE, closed="left"),
    "bias_rate": Interval(0, LARGE, closed="left"),
    "weight_decay": Interval(0, LARGE, closed="left"),
    "l1": Interval(0, LARGE, closed="left"),
    "warmup": Interval(0, 1, closed="both"),
    "epochs": Interval(1, inf, closed="left"),
    "batch_size": Interval(1, inf, closed="left"),
    "images": Interval(10, inf, closed="left"),  # one of each class
    "test_images": Interval(10, inf, closed="left"),
    "crop": Interval(0, 31, closed="both"),  # a border of more pixels cannot be mirrored
    "cutout": Interval(0, 32, closed="both"),
    "small_side": Interval(1, 32, closed="both"),  # larger images crash torch's backward pass in narrow networks
    "small_share": Interval(0, 1, closed="both"),
    "seed": Interval(0, 2**63, closed="left"),
}


def settle(config) -> None:
    """Give each field of a Config the type that is declared: 1 becomes 1.0 for a rate, NumPy's numbers Python's.

    Raises:
        ValueError: a field has another type, or lies outside of its range in RANGES.
    """
    declared = typing.get_type_hints(type(config))
    for field in dataclasses.fields(config):
        value = settled(field.name, getattr(config, field.name), declared[field.name])
        object.__setattr__(config, field.name, value)


def settled(name: str, value: Any, kind: Any) -> Any:
    """One field's value in its declared type (`kind`); see `settle`."""
    if kind == tuple[int, ...]:
        if not isinstance(value, (tuple, list)):
            raise ValueError(f"{name} is a tuple of whole numbers, not {value!r}")
        return tuple(settled(name, each, int) for each in value)
    if kind == int | None:
        return None if value is None else settled(name, value, int)
    is_number = isinstance(value, Real) and not isinstance(value, bool)
    if kind is int:
        if not (is_number and isinstance(value, Integral)):
            raise ValueError(f"{name} is a whole number, not {value!r}")
        return _within(name, int(value))
    if kind is float:
        if not is_number:
            raise ValueError(f"{name} is a number, not {value!r}")
        return float(_within(name, value)) + 0.0  # -0.0 is 0.0
    if kind is bool:
        if value not in (False, True):  # 0 and 1 too, and NumPy's
            raise ValueError(f"{name} is True or False, not {value!r}")
        return bool(value)
    return value  # names, which Config looks up, and a schedule


def _within(name: str, value: int | float) -> int | float:
    if value not in RANGES[name]:
        raise ValueError(f"{name} is a number in {RANGES[name]}, not {value}")
    return value
