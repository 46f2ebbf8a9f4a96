"""The first call of every notebook."""

import json
import logging
import os
from collections.abc import Mapping

from IPython import get_ipython
from IPython.display import Markdown, display

from cifar_helpers.core import paths, profiles
from cifar_helpers.core.profiles import PUBLISH
from cifar_helpers.core.text import short_hash
from cifar_helpers.notebook import parameters
from cifar_helpers.report import plots
from cifar_helpers.report.checks import Checks

SYNTHETIC = "# SYNTHETIC\nThe images of this run are made up: nothing below is a result about CIFAR-10."
MINIATURE = (
    "**Miniature.** The profile `quick` trains on a fixed part of the images for a few epochs. It shows how everything "
    "works. The findings in the text are those of the profile `full`; a check says so where a miniature does not show "
    "its statement."
)


def start(namespace: Mapping) -> str:
    """Check a notebook's parameters (`namespace` is its globals()), set the style of its figures; the profile's name.

    A run that is not of the profile `full` is marked at its head.

    Raises:
        ValueError: a parameter is unknown or of a wrong type, or there is no such profile.
    """
    parameters.check(namespace)
    profile = profiles.profile(namespace["profile"])
    _draw_into_the_notebook()
    plots.use_style()
    # torch's benchmark and export modules warn of compilers that no notebook uses
    logging.getLogger("torch.utils.cpp_extension").setLevel(logging.ERROR)
    if profile != "full":
        display(Markdown(SYNTHETIC if profile == "smoke" else MINIATURE))
    _choose_folder(profile, {name: namespace[name] for name in parameters.declared(namespace) if name != "profile"})
    return profile


def _choose_folder(profile: str, given: dict) -> None:
    """Only the pipeline writes for the report, and only with the report's parameters.

    A reader who runs all cells, papermill, and nbval leave the committed figures and tables as they are.
    """
    if any(given.values()):
        text = json.dumps({"profile": profile, **given}, sort_keys=True, default=str)
        folder = paths.set_aside(f"other_parameters/{short_hash(text)}")
        Checks.strict = False
        place = folder.relative_to(paths.ROOT).as_posix()
        display(Markdown(f"These parameters are not the report's: figures and tables go into `{place}`."))
    elif profile == "full" and not os.environ.get(PUBLISH):
        paths.set_aside("unpublished")


def _draw_into_the_notebook() -> None:
    """Figures become outputs of their cells, whatever MPLBACKEND says: many servers set Agg, which shows none."""
    if (shell := get_ipython()) is not None:
        shell.run_line_magic("matplotlib", "inline")
