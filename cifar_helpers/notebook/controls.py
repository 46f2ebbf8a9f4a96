"""Controls that redraw a picture.

ipywidgets.interact would do, but for the way in which it fills its Output widget: notebooks that are executed without a
front end (papermill, nbconvert) now and then hang on it (github.com/jupyter/nbclient/issues/312), and keep no picture
for a page without a kernel. Here the Output widget is filled by its state, which a page that is loaded again gets from
the kernel, and the first picture is stored beside it.
"""

from collections.abc import Callable

import ipywidgets
import matplotlib.pyplot as plt
from IPython.core.formatters import format_display_data
from IPython.display import Markdown, display

NOTE = (
    "The controls work only while the notebook runs. If they are missing or do nothing, choose *Run > Run All Cells*"
    " in JupyterLab."
)


def play(draw: Callable, **controls: ipywidgets.Widget) -> None:
    """Show the controls and what `draw` makes of their values; draw again whenever one of them changes.

    draw: called with each control's value under its name; gives a Figure, or anything else that can be displayed.
    """
    picture = ipywidgets.Output()

    def redraw(change=None):
        made = draw(**{name: control.value for name, control in controls.items()})
        data, metadata = format_display_data(made)
        plt.close("all")  # what is still open is shown a second time at the end of the cell
        picture.outputs = ({"output_type": "display_data", "data": data, "metadata": metadata},)

    for name, control in controls.items():
        control.description = control.description or name.replace("_", " ")
        control.observe(redraw, names="value")
    redraw()
    views, _ = format_display_data(ipywidgets.VBox([*controls.values(), picture]))
    first = picture.outputs[0]
    display(views | first["data"], metadata=first["metadata"], raw=True)
    display(Markdown(NOTE))
