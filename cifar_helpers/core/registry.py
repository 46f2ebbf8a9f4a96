"""Functions that are known by their name: networks and experiments."""

from collections.abc import Callable


def register(known: dict[str, Callable], function: Callable, kind: str) -> None:
    """Add a function to those of its kind ("network", "experiment") under its name.

    The same function may be added again (a module that is reloaded, a notebook's cell that is run again).

    Raises:
        ValueError: another one has this name; both places are named.
    """
    other = known.get(function.__name__)
    if other is not None and place(other) != place(function) and not _of_one_notebook(other, function):
        raise ValueError(
            f"two {kind}s are called {function.__name__}: {place(other)} and {place(function)}. Records are found by "
            "this name, so give one of them another"
        )
    known[function.__name__] = function


def place(function: Callable) -> str:
    """File and line of a function: resnet.py:80."""
    code = function.__code__
    return f"{code.co_filename}:{code.co_firstlineno}"


def _of_one_notebook(*functions: Callable) -> bool:
    return all(function.__module__ == "__main__" for function in functions)
