"""One style, and every plot that is drawn more than once."""

import math
import zlib
from typing import Literal

import matplotlib.pyplot as plt
import pandas as pd
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from cifar_helpers.models.activations import MAKERS

NAMES = {"train": "training images, augmented", "test": "test images", "validation": "validation images"}


TITLES = {
    **{name: getattr(maker, "func", maker).__name__ for name, maker in MAKERS.items()},  # torch's names
    "cross_entropy": "CrossEntropyLoss",
    "mse": "MSELoss",
    "bce_with_logits": "BCEWithLogitsLoss",
    "multilabel_soft_margin": "MultiLabelSoftMarginLoss",
    "sgd": "SGD",
    "adam": "Adam",
    "muon": "Muon",
    "rmsprop": "RMSprop",
    "adadelta": "Adadelta",
    "constant": "constant",
    "multi_step": "multi-step",
    "cosine": "cosine",
    "one_cycle": "one-cycle",
    "linear": "linear",
}
LINES = ("-", "--", "-.", ":", (0, (5, 1, 1, 1, 1, 1)), (0, (1, 3)))
MARKERS = "os^DvPX*<>"
GROUPS = (  # what is drawn together: the place decides on colour, line and marker
    ("relu", "selu", "prelu", "softplus", "sigmoid", "softmax", "tanh", "hardtanh", "relu6", "leaky_relu"),
    ("cross_entropy", "mse", "bce_with_logits", "multilabel_soft_margin"),
    ("sgd", "adam", "rmsprop", "adadelta", "muon"),
    ("one_cycle", "constant", "multi_step", "cosine", "linear"),
    ("ResNet18", "ResNeXt50_32x4d", "DPN26", "DLA", "DenseNet121"),
    ("VGG-A", "VGG-A with batch norm", "VGG-A with noisy batch norm"),
)
NUMBERS = {name: number for group in GROUPS for number, name in enumerate(group)}
# There are ten colours. These are apart from what they are drawn with; maps and orders of pixels also from networks.
NUMBERS |= {"elu": 11, "gelu": 18, "silu": 19}
NUMBERS |= {"other image": 5, "occlusion": 6, "random": 7, "centred blob": 9}
NUMBERS |= {"integrated gradients": 15, "Grad-CAM": 18, "guided backpropagation": 19}
NUMBERS |= {name: number for number, name in enumerate([name for name in MAKERS if name not in NUMBERS], start=20)}


def title(option: str) -> str:
    """An option's name as papers write it; any other text as it is."""
    return TITLES.get(option, option)


def style(option: str) -> dict:
    """color, linestyle and marker of an option: the same in every figure, and distinguishable without colour.

    A name that has no number gets a style that follows from its letters.
    """
    number = NUMBERS.get(option, zlib.crc32(option.encode()))
    colours = sns.color_palette("colorblind")
    colours[8] = (0, 0, 0)  # in the place of a yellow that is lost on white
    return {
        "color": colours[number % len(colours)],
        "linestyle": LINES[number % len(LINES)],
        "marker": MARKERS[number % len(MARKERS)],
    }


def use_style() -> None:
    """Seaborn's theme with its colour-blind palette, sized for a notebook's page and the report's text width.

    The user's own settings of Matplotlib (matplotlibrc) do not count: the figures are the report's.
    """
    plt.rcdefaults()
    sns.set_theme(
        context="notebook",
        style="ticks",
        palette="colorblind",
        font_scale=0.85,
        rc={
            "axes.grid": True,
            "grid.alpha": 0.4,
            "axes.formatter.min_exponent": 5,  # 0.001 on a logarithmic axis: an exponent is too small to read in print
            "axes.spines.top": False,
            "axes.spines.right": False,
            "figure.figsize": (8, 3.2),
            "figure.dpi": 100,
            "figure.constrained_layout.use": True,
            "legend.frameon": False,
            "pdf.fonttype": 42,  # text in the PDF stays text
        },
    )


def _log_where_outliers(axis: Axes, losses: pd.Series) -> None:
    """A logarithmic axis where one value would flatten all others, as an early outlier does."""
    if losses.max() > 10 * losses.median() and losses.min() > 0:
        axis.set_yscale("log")


def seed_bands(
    histories: dict[str, list[pd.DataFrame]], quantities=("train_loss", "test_loss", "train_accuracy", "test_accuracy")
) -> Figure:
    """One panel per quantity against the epoch: a line for the mean over an option's seeds, a band from the lowest to
    the highest seed. `histories`: option -> the history of each seed, which may have ended early.
    """
    rows, columns = (len(quantities) + 1) // 2, min(2, len(quantities))
    whats = [quantity.rsplit("_", 1)[-1] for quantity in quantities]
    # training and test images side by side need one scale
    scale: Literal["row", "none"] = "row" if whats[::2] == whats[1::2] else "none"
    figure, axes = plt.subplots(
        rows, columns, figsize=(8, 2.7 * rows), layout="constrained", squeeze=False, sharey=scale
    )
    for axis, quantity in zip(axes.flat, quantities):
        for option, seeds in histories.items():
            values = pd.concat([history.set_index("epoch")[quantity] for history in seeds], axis=1)
            look = style(option)
            axis.plot(values.index, values.mean(axis=1), label=title(option), markersize=4, **look)
            axis.fill_between(
                values.index, values.min(axis=1), values.max(axis=1), color=look["color"], alpha=0.15, linewidth=0
            )
        kind, what = quantity.rsplit("_", 1)
        if kind in NAMES:
            axis.set(ylabel=what, title=NAMES[kind])
        else:
            axis.set(ylabel=quantity.replace("_", " "))
        axis.set(xlabel="epoch")
        axis.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
        if what == "accuracy":
            axis.yaxis.set_major_formatter("{x:g}%")  # ticks may lie at 2.5 %
        elif what == "loss":
            _log_where_outliers(axis, pd.concat([h[quantity] for seeds in histories.values() for h in seeds]))
    for axis in axes.flat[len(quantities) :]:
        axis.remove()
    figure.legend(*axes[0, 0].get_legend_handles_labels(), loc="outside lower center", ncols=5)
    return figure


def forest(
    differences: pd.DataFrame, xlabel: str, by_seed: pd.DataFrame | None = None, edge: float | None = None
) -> Figure:
    """Differences with their intervals (`statistics.family`) beside a line at zero.

    A circle is the mean: filled where the difference is shown, open where it is not. `by_seed` adds a tick for each
    seed: its difference, a row per seed and a column per option. What lies beyond `edge` is an arrow with its mean.
    """
    figure, axis = plt.subplots(figsize=(7, 0.6 + 0.24 * len(differences)), layout="constrained")
    axis.axvline(0, color="0.3", linewidth=1)
    for row in differences.itertuples():
        name, face = title(row.Index), "0.2" if row.outcome in ("higher", "lower") else "white"
        axis.plot([row.low, row.high], [name] * 2, color="0.2", linewidth=1.5)
        axis.plot(row.difference, name, "o", color="0.2", markerfacecolor=face, markersize=7)
        if by_seed is not None:
            changes = by_seed[row.Index]
            axis.plot(changes, [name] * len(changes), "|", color="C1", markersize=11, markeredgewidth=2, zorder=1)
        if edge is not None and abs(row.difference) > edge:
            _arrow(axis, row.difference, name, edge)
    if edge is not None:
        axis.set_xlim(max(axis.get_xlim()[0], -edge), min(axis.get_xlim()[1], edge))
    axis.set(xlabel=xlabel)
    axis.set_ylim(len(differences) - 0.5, -0.5)
    axis.grid(axis="y", visible=False)
    return figure


def interaction(
    panels: dict[str, dict[str, pd.DataFrame]], part: str, ylabel: str, level: float | None = None
) -> Figure:
    """What a part is worth beside others: in each panel a line per option, without the part and with it.

    panels: title -> option -> values, a row per seed and two columns, without the part and with it. A large marker is
    the mean. The small ones beside it are the seeds, side by side, so that none covers another. A
    dotted line marks a `level`, such as that of guessing.
    """
    figure, axes = plt.subplots(1, len(panels), figsize=(7, 3.2), sharey=True, layout="constrained", squeeze=False)
    for axis, (name, options) in zip(axes[0], panels.items()):
        place = 0.1
        for (option, values), marker, line in zip(options.items(), MARKERS, LINES):
            colour = style(option)["color"]
            axis.plot([0, 1], values.mean(), marker=marker, linestyle=line, color=colour, label=option)
            for of_seed in values.to_numpy():
                axis.plot([-place, 1 + place], of_seed, marker, color=colour, alpha=0.6, markersize=4)
                place += 0.05
            place += 0.05
        if level is not None:
            axis.axhline(level, color="grey", linestyle=":")
        axis.set(title=name, xlim=(-place - 0.05, place + 1.05), xticks=[0, 1], xticklabels=["without", "with"])
    axes[0, 0].set(ylabel=ylabel, ylim=(0, None))
    figure.supxlabel(part, fontsize="medium")
    figure.legend(*axes[0, 0].get_legend_handles_labels(), loc="outside upper center", ncols=3)
    return figure


def _arrow(axis: Axes, value: float, name: str, edge: float) -> None:
    side, text = ("left", f"\u2190 \u2212{-value:.0f}") if value < 0 else ("right", f"{value:+.0f} \u2192")
    box = {"facecolor": "white", "edgecolor": "none", "pad": 1}
    place = (math.copysign(0.99 * edge, value), name)
    axis.annotate(text, place, ha=side, va="center", bbox=box)


def label_points(axis: Axes, points: pd.DataFrame, x: str, y: str, label: str, fontsize: float = 8) -> None:
    """Write `label` beside each point of a scatter plot, on its right, or on its left where another point is near.

    `points` has a row per point with the columns x, y and label. Near is measured on the page, so set the axes' limits
    and scales first.
    """
    places = axis.transData.transform(points[[x, y]].to_numpy(float))
    for text, place, value in zip(points[label], places, points[[x, y]].to_numpy(float)):
        right, up = (places - place).T
        crowded = ((right > 1) & (right < 12 * fontsize) & (abs(up) < 1.5 * fontsize)).any()
        side, offset = ("right", -6) if crowded else ("left", 6)
        axis.annotate(text, value, (offset, 0), textcoords="offset points", ha=side, va="center", fontsize=fontsize)
