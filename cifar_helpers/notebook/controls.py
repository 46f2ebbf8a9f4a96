"""Controls that redraw a picture.

ipywidgets.interact would do, but for the Output widget that it draws into: notebooks that are executed without a
front end (papermill, nbconvert) now and then hang on that one (github.com/jupyter/nbclient/issues/312), and keep no
picture for a page without a kernel. Here the picture is an ordinary output, which is updated in its place.
"""

from collections.abc import Callable

import ipywidgets
import matplotlib.pyplot as plt
from IPython.display import display


def play(draw: Callable, **controls: ipywidgets.Widget) -> None:
    """Show the controls and what `draw` makes of their values; show it anew whenever one of them moves.

    draw: called with each control's value under its name; gives a Figure, or anything else that can be displayed.
    """

    def picture():
        made = draw(**{name: control.value for name, control in controls.items()})
        plt.close("all")  # what is still open is shown a second time at the end of the cell
        return made

    for name, control in controls.items():
        control.description = control.description or name.replace("_", " ")
    display(ipywidgets.VBox(list(controls.values())))
    shown = display(picture(), display_id=True)
    for control in controls.values():
        control.observe(lambda change: shown.update(picture()), names="value")
