"""Controls that redraw a picture.

ipywidgets.interact would do, but for the way in which it fills its Output widget: notebooks that are executed without a
front end (papermill, nbconvert) now and then hang on it (github.com/jupyter/nbclient/issues/312), and keep no picture
for a page without a kernel. Here the Output widget is filled by its state, which a page that is loaded again gets from
the kernel. The first picture is stored as well. It stands in for the controls in a notebook that is opened without the
kernel that made them.
"""

from collections.abc import Callable, Sequence

import ipywidgets
import matplotlib.pyplot as plt
import pandas as pd
from IPython.core.formatters import format_display_data
from IPython.display import HTML, display

from cifar_helpers.report import plots

# In JupyterLab the stored picture is hidden behind living controls, and so is the error in the place of dead ones.
NOTE = """<p><em>The controls work only while the notebook runs. If they are missing or do nothing, choose
<b>Run &gt; Run All Cells</b> in JupyterLab.</em></p>
<style>
.jp-OutputArea-child:has(.widget-vbox) + .jp-OutputArea-child { display: none; }
.jp-OutputArea-output.jupyter-widgets:not(:has(*)) { display: none; }
</style>"""


def play(draw: Callable, **controls: ipywidgets.Widget) -> None:
    """Show the controls and what `draw` makes of their values; draw again whenever one of them changes.

    draw: called with each control's value under its name; gives a Figure, or anything else that can be displayed.
    """
    picture = ipywidgets.Output()

    def redraw(change=None):
        try:
            made = draw(**{name: control.value for name, control in controls.items()})
            data, metadata = format_display_data(made)
            picture.outputs = ({"output_type": "display_data", "data": data, "metadata": metadata},)
        except Exception as error:
            if change is None:
                raise
            # Jupyter puts an error of a control into a log that few open: a picture of other values would stay
            text = f"{type(error).__name__}: {error}\n"
            picture.outputs = ({"output_type": "stream", "name": "stderr", "text": text},)
        finally:
            plt.close("all")  # what is still open is shown a second time at the end of the cell

    for name, control in controls.items():
        control.description = control.description or name.replace("_", " ")
        control.observe(redraw, names="value")
    redraw()
    first = picture.outputs[0]
    display(ipywidgets.VBox([*controls.values(), picture]))
    display(first["data"], metadata=first["metadata"], raw=True)
    display(HTML(NOTE))


def play_curves(histories: dict[str, list[pd.DataFrame]], start: Sequence[str] = ()) -> None:
    """Controls that choose options and a curve, and draw the mean over seeds with a band, see `plots.seed_bands`.

    histories: option -> the history of each seed. start: the options of the first picture; () for all.
    """

    def curves(options, curve):
        return plots.seed_bands({name: histories[name] for name in options or histories}, (curve,))

    names = [(plots.title(name), name) for name in histories]
    quantities = ["test_accuracy", "train_accuracy", "test_loss", "train_loss", "learning_rate"]
    menu = ipywidgets.SelectMultiple(options=names, value=list(start or histories))
    play(curves, options=menu, curve=ipywidgets.Dropdown(options=quantities))
