"""Functions that are known by their name: networks and experiments."""

from collections.abc import Callable, Mapping
from types import FunctionType


def register(known: dict[str, Callable], function: Callable, kind: str, reserved: Mapping[str, str] = {}) -> None:
    """Add a function to those of its kind ("network", "experiment") under its name.

    The same function may be added again (a module that is reloaded, a notebook's cell that is run again).

    Raises:
        ValueError: another one has this name, and both places are named; or it has none, as a lambda; or it is one of
            the names in `reserved`, which say what has them.
    """
    if not isinstance(function, FunctionType) or not function.__name__.isidentifier():
        raise ValueError(
            f"{kind}s are functions that are made by def, since records are found by their names, not {function}"
        )
    if function.__name__ in reserved:
        raise ValueError(
            f"{function.__name__} at {place(function)} cannot be the name of an {kind}: it is that of "
            f"{reserved[function.__name__]}. Give it another"
        )
    other = known.get(function.__name__)
    if other is not None and not same(other, function):
        raise ValueError(
            f"two {kind}s are called {function.__name__}: {place(other)} and {place(function)}. Records are found by "
            "this name, so give one of them another"
        )
    known[function.__name__] = function


def place(function: Callable) -> str:
    """File and line of a function: /.../models/resnet.py:80."""
    code = function.__code__
    return f"{code.co_filename}:{code.co_firstlineno}"


def same(first: Callable, second: Callable) -> bool:
    """Whether two functions are one that was defined again: by a reload, or in a cell of a notebook."""
    if first.__module__ == second.__module__ == "__main__":
        return True
    return place(first) == place(second) and _enclosed(first) == _enclosed(second)


def _enclosed(function: Callable) -> list:
    """What a function that is made inside another one has from there: a loop may make several in one place."""
    return [function.__defaults__, *(cell.cell_contents for cell in function.__closure__ or ())]
