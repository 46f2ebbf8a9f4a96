"""A Config settles types and ranges when it is made."""

import dataclasses
import functools
import math
import typing

import numpy as np
import pytest

from cifar_helpers.train import Config, fields, schedules

DECLARED = typing.get_type_hints(Config)
NUMBERS = {name: kind for name, kind in DECLARED.items() if kind in (int, float, int | None, tuple[int, ...])}
FLOATS = [name for name, kind in DECLARED.items() if kind is float]
INTEGERS = [name for name, kind in DECLARED.items() if kind in (int, int | None)]


def test_every_number_has_a_range():
    assert set(fields.RANGES) == set(NUMBERS)
    for field in dataclasses.fields(Config):  # and the defaults lie in theirs
        if field.name in NUMBERS and field.default not in (None, ()):
            assert field.default in fields.RANGES[field.name]


@pytest.mark.parametrize(
    ("given", "settled"),
    [
        (dict(learning_rate=1), dict(learning_rate=1.0)),
        (dict(flip=0), dict(flip=False)),
        (dict(flip=np.bool_(False)), dict(flip=False)),
        (dict(epochs=np.int64(3)), dict(epochs=3)),
        (dict(width=np.float32(0.5)), dict(width=0.5)),
        (dict(hidden=[np.int32(64)]), dict(hidden=(64,))),
        (dict(weight_decay=-0.0), dict(weight_decay=0.0)),
        (dict(schedule=schedules.cosine), dict(schedule="cosine")),
    ],
)
def test_equal_configs_are_one_record(given, settled):
    one, other = Config("dla", **given), Config("dla", **settled)
    assert one == other and one.hash == other.hash and hash(one) == hash(other)
    assert {name: type(value) for name, value in one.to_dict().items()} == {
        name: type(value) for name, value in other.to_dict().items()
    }


@pytest.mark.parametrize("name", NUMBERS)
def test_a_number_outside_of_its_range_is_one_sentence(name):
    interval, kind = fields.RANGES[name], NUMBERS[name]
    values = [interval.left - 1, interval.right + 1]
    for value in [math.nan, math.inf, -math.inf, 10**400, *values] if kind is float else values:
        if kind is not float and math.isinf(value):
            continue
        given = (value,) if kind == tuple[int, ...] else value
        with pytest.raises(ValueError, match=rf"^{name} is a number in [\[(]"):
            Config("dla", **{name: given})


@pytest.mark.parametrize("name", FLOATS)
@pytest.mark.parametrize("value", ["0.1", None, True, [0.1]])
def test_another_type_than_a_number_is_one_sentence(name, value):
    with pytest.raises(ValueError, match=f"^{name} is a number, not "):
        Config("dla", **{name: value})


@pytest.mark.parametrize("name", INTEGERS)
@pytest.mark.parametrize("value", ["3", 2.5, 3.0, True])
def test_another_type_than_a_whole_number_is_one_sentence(name, value):
    with pytest.raises(ValueError, match=f"^{name} is a whole number, not "):
        Config("dla", **{name: value})


def test_hidden_is_a_tuple():
    with pytest.raises(ValueError, match="hidden is a tuple of whole numbers, not 256"):
        Config("dla", hidden=256)


def test_a_schedule_is_a_name_or_a_function():
    def falling(t, power):
        return (1 - t) ** power

    squared = functools.partial(falling, power=2)
    assert Config("dla", schedule=squared).hash != Config("dla", schedule=functools.partial(falling, power=3)).hash
    assert Config("dla", schedule=squared).to_dict()["schedule"].startswith("partial@")
    with pytest.raises(ValueError, match="a schedule is a name or a function of the progress, not 3"):
        Config("dla", schedule=3)


@pytest.mark.parametrize("value", [-1, math.nan, math.inf, None, "fast", 1j])
def test_a_schedule_gives_factors(value):
    with pytest.raises(ValueError, match="a schedule gives a number from 0 at every progress .* at 0.5"):
        Config("dla", schedule=lambda t: value if t >= 0.5 else 1)
