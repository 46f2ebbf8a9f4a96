"""Save a figure or a table for the report, and show it in the notebook: one call."""

import matplotlib.pyplot as plt
import pandas as pd
from IPython.display import display
from matplotlib.figure import Figure

from cifar_helpers.core.text import markup
from cifar_helpers.report.figures import save_figure
from cifar_helpers.report.tables import escaped, formatted, save_table


def show(thing: Figure | pd.DataFrame, name: str, profile: str, caption: str = "", **options) -> None:
    """Save a figure (`save_figure`) or a table (`save_table`) under a name such as "03_activations", and display it.

    With a caption it stands in the report's appendix; without one, report.tex places it. `options` of a table are those
    of Styler.format, for the report and for the notebook.

    Raises:
        TypeError: it is neither a figure nor a table.
    """
    if isinstance(thing, Figure):
        save_figure(thing, name, profile, caption, **options)
        display(thing)
        plt.close(thing)  # what is still open is shown a second time at the end of the cell
    elif isinstance(thing, pd.DataFrame):
        save_table(thing, name, profile, caption, **options)
        display_table(thing, name, **options)
    else:
        raise TypeError(f"show() takes a figure or a table, not {type(thing).__name__}")


def display_table(frame: pd.DataFrame, name: str, **options) -> None:
    # without the text of a Styler, which is its place in memory: another one in every run
    display({"text/html": styled(frame, name, **options).to_html()}, raw=True)


def styled(frame: pd.DataFrame, name: str, column_format: str | None = None, **options):
    """The frame as a notebook shows it: two decimals, a dash for what is missing, the same HTML in every run."""
    style = formatted(escaped(frame, markup), **options).set_uuid(name).set_table_attributes('class="dataframe"')
    style.cell_ids = False
    return style.hide(axis="index") if isinstance(frame.index, pd.RangeIndex) else style
