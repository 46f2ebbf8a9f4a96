"""What a notebook's parameters may be: checked once, so that a wrong one fails in the first cell with one sentence."""

import ast
import json
from collections.abc import Iterable, Mapping

KINDS = {int: "a whole number from 0", float: "a number", str: "text"}


def check(namespace: Mapping) -> None:
    """Check a notebook's parameters against the types that their lines declare; `namespace` is its globals().

    Where text is asked for, a list of names or numbers will do. ValueError tells a wrong type, a number below 0, or a
    name that is no parameter: papermill only warns of the last one, and goes on without it.
    """
    kinds = declared(namespace)
    for name in injected(namespace.get("In", ())):
        if name not in kinds:
            raise ValueError(f"this notebook has no parameter {name!r}; choose from {', '.join(kinds)}")
    for name, kind in kinds.items():
        value = namespace[name]
        fits = type(value) is kind or (kind is str and isinstance(value, (list, tuple)) and value)
        if not fits or (kind is int and value < 0):
            raise ValueError(f"the parameter {name} is {KINDS[kind]}, not {value!r}")


def declared(namespace: Mapping) -> dict[str, type]:
    """The names and types of a notebook's parameters, from the annotations in its globals()."""
    # Python 3.14 makes the annotations when they are asked for; a reader may have written all lines without any
    return namespace.get("__annotations__") or namespace.get("__annotate__", lambda _: {})(1)


def injected(cells: Iterable[str]) -> list[str]:
    """The names that papermill gave values to: it puts a cell after the notebook's own that begins with a comment."""
    given = [cell for cell in cells if cell.startswith("# Parameters\n")]
    return [
        target.id
        for cell in given
        for statement in ast.parse(cell).body
        if isinstance(statement, ast.Assign)
        for target in statement.targets
        if isinstance(target, ast.Name)
    ]


def numbers(value: str | Iterable[float], default: Iterable[float], what: str) -> list[float]:
    """The numbers that a notebook's parameter asks for: a list, JSON text, or text with commas; "" for the default."""
    parts = default if value == "" else _list(value, what)
    try:
        return [float(part) for part in parts]
    except (TypeError, ValueError) as error:
        raise ValueError(f"{what}={value!r} is no list of numbers: {error}") from None


def choose(value: str | Iterable[str], known: Iterable[str], what: str) -> list[str]:
    """The names that a notebook's parameter asks for: a list, JSON text, or text with commas; "" for all known ones.

    ValueError lists the known names where one is unknown.
    """
    known = list(known)
    names = known if value == "" else list(dict.fromkeys(map(str, _list(value, what))))
    for name in names:
        if name not in known:
            raise ValueError(f"unknown name {name!r} in {what}; choose from {', '.join(map(str, known))}")
    return names


def _list(value: str | Iterable, what: str) -> list:
    """A list, JSON text, or text with commas as a list that is not empty."""
    try:
        text = value.strip() if isinstance(value, str) else ""
        parts = json.loads(text) if text.startswith("[") else text.split(",") if text else value
    except json.JSONDecodeError as error:
        raise ValueError(f"{what}={value!r} is no list: {error}") from None
    parts = [part.strip() if isinstance(part, str) else part for part in parts]
    if not (parts := [part for part in parts if part != ""]):
        raise ValueError(f"{what}={value!r} names nothing: leave it out for the notebook's own choice")
    return parts
