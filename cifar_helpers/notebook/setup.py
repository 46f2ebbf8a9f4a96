"""The first call of every notebook."""

import logging
from collections.abc import Mapping

from IPython.display import Markdown, display

from cifar_helpers.core import profiles
from cifar_helpers.notebook import parameters
from cifar_helpers.report import plots

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
    plots.use_style()
    # torch's benchmark and export modules warn of compilers that no notebook uses
    logging.getLogger("torch.utils.cpp_extension").setLevel(logging.ERROR)
    if profile != "full":
        display(Markdown(SYNTHETIC if profile == "smoke" else MINIATURE))
    return profile
