"""Numbers on disk, each a LaTeX macro."""

import math
import re
from collections.abc import Mapping
from numbers import Integral, Real

from cifar_helpers.report import generated
from cifar_helpers.report.latex import escape, minus


def save_numbers(numbers: Mapping[str, str | int | float], name: str, profile: str) -> None:
    """Write generated/<name>.tex, a LaTeX macro per number: {"bestEpochs": 30} makes \\bestEpochs; "02_numbers".

    Integers get thousands separators, other numbers two decimals, text is escaped.
    """
    generated.check_name(name)
    generated.write(name, macros(numbers), profile)


def macros(numbers: Mapping[str, str | int | float]) -> str:
    """A line of LaTeX per number; see save_numbers."""
    for name in numbers:
        if not re.fullmatch("[A-Za-z]+", name):
            raise ValueError(f"{name!r} cannot be a LaTeX macro: letters only, so write Eighteen for 18")
    return "\n".join(rf"\newcommand{{\{name}}}{{{minus(escape(_text(value)))}}}" for name, value in numbers.items())


def _text(value: str | int | float) -> str:
    if isinstance(value, Integral):
        return f"{value:,}"
    if isinstance(value, Real):
        return f"{value:.2f}" if math.isfinite(value) else "n/a"
    return str(value)
