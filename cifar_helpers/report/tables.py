"""Tables on disk, as LaTeX's booktabs."""

from collections.abc import Callable, Mapping
from typing import Any

import pandas as pd
from pandas.api.types import is_numeric_dtype
from pandas.io.formats.style import Styler

from cifar_helpers import models
from cifar_helpers.report import generated, plots
from cifar_helpers.report.latex import escape, minus
from cifar_helpers.train import Config
from cifar_helpers.train.cost import PFLOP

COMPARISON = {
    "rate": "Rate",
    "strength": "Strength",
    "train": "Train %",
    "mean": "Test %",
    "sd": "s.d.",
    "n": "Seeds",
    "diverged": "Diverged",
    "difference": "Difference",
    "low": "95 % low",
    "high": "95 % high",
    "p_holm": "p (Holm)",
    "gap": "Gap",
}
FORMAT: dict[str, Any] = {"precision": 2, "na_rep": "–"}  # Styler.format's


def save_table(frame: pd.DataFrame, name: str, profile: str, caption: str = "", **options) -> None:
    """Write generated/<name>.tex, a booktabs tabular of the frame; `options` are those of Styler.format.

    Text is escaped, floats have two decimals, a missing value is a dash, mere row numbers are left out. With a caption
    the table stands in the report's appendix.
    """
    generated.check_name(name)
    generated.write(name, tabular(frame, **options), profile)
    if caption:
        generated.write_caption("table", name, caption, profile)


def comparison(table: pd.DataFrame, what: str) -> pd.DataFrame:
    """The columns of COMPARISON that a table has, under their titles; `what` heads the column of the options.

    For `statistics.summary` joined with `statistics.family`. The number of seeds is left out where all rows have the
    same, which the settings above the table say, and the number of diverged runs where there are none.
    """
    shown = [column for column in COMPARISON if column in table]
    if "n" in shown and table["n"].nunique() == 1:
        shown.remove("n")
    if "diverged" in shown and not table["diverged"].any():
        shown.remove("diverged")
    return table[shown].rename(columns=COMPARISON).rename_axis(what).reset_index()


def network_column(config: Config, record: Mapping[str, Any], seeds: int = 1) -> dict[str, str | int]:
    """A network as a column of a table: title of the row -> cell. `record` may be a mean over the records of seeds.

    It has parameters, multiply_adds (of all forward passes), train_accuracy, test_accuracy, and test_tta_accuracy,
    without which that cell is empty.
    """
    augmented = record.get("test_tta_accuracy")
    return {
        "Network": models.TITLES[config.model],
        "Parameters": f"{record['parameters']:,.0f}",
        "Activation": plots.title(config.activation),
        "Optimizer": plots.title(config.optimizer),
        "Epochs": config.epochs,
        "Seeds": seeds,
        "Training (PFLOP)": f"{PFLOP * record['multiply_adds']:.2f}",
        "Train accuracy (%)": f"{record['train_accuracy']:.2f}",
        "Test accuracy (%)": f"{record['test_accuracy']:.2f}",
        "with test-time augmentation (%)": "" if augmented is None else f"{augmented:.2f}",
    }


def tabular(frame: pd.DataFrame, column_format: str | None = None, long_caption: str = "", **options) -> str:
    """The frame as a tabular; see save_table. With a `long_caption`, which is LaTeX, it is a longtable."""
    numbered = isinstance(frame.index, pd.RangeIndex)
    frame = escaped(frame, escape)
    style = formatted(frame, **options).format_index(lambda name: _two_lines(str(name), frame[name]), axis="columns")
    style = style.hide(axis="index") if numbered else style
    long = dict(environment="longtable", caption=long_caption) if long_caption else {}
    return minus(style.to_latex(hrules=True, column_format=column_format, **long))


def _two_lines(heading: str, column: pd.Series) -> str:
    """A long heading over shorter cells, broken at the space that makes it narrowest: else the table is too wide."""
    numbers = is_numeric_dtype(column)
    widest = 12 if numbers else max([12, *column.astype(str).map(len)])
    if len(heading.replace("\\", "")) <= widest or " " not in heading:
        return heading
    words = heading.split()
    lines = [(" ".join(words[:n]), " ".join(words[n:])) for n in range(1, len(words))]
    first, second = min(lines, key=lambda pair: max(map(len, pair)))
    return rf"\shortstack[{'r' if numbers else 'l'}]{{{first}\\{second}}}"


def escaped(frame: pd.DataFrame, escape: Callable[[str], str]) -> pd.DataFrame:
    """The frame with `escape` applied to all its text: cells, index, columns and their names."""

    def of(cell):
        return escape(cell) if isinstance(cell, str) else cell

    frame = frame.apply(lambda column: column if is_numeric_dtype(column) else column.map(of))
    return frame.rename(index=of, columns=of).rename_axis(index=of, columns=of)


def formatted(frame: pd.DataFrame, **options) -> Styler:
    """The frame with two decimals, a dash for what is missing, and three digits for p-values."""
    style = frame.style.format(**FORMAT | options)
    columns = [column for column in frame if column == COMPARISON["p_holm"]]
    return style.format(_p_value, subset=columns, na_rep=FORMAT["na_rep"]) if columns else style


def _p_value(p: float) -> str:
    return "< 0.001" if p < 0.001 else f"{p:.3f}"
