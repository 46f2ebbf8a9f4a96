"""One style, and every plot that is drawn more than once."""

import matplotlib.pyplot as plt
import pandas as pd
import seaborn as sns
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator, PercentFormatter

NAMES = {"train": "training images, augmented", "test": "test images", "validation": "held-out training images"}


def use_style() -> None:
    """Seaborn's theme with its colour-blind palette, sized for a notebook's page and the report's text width."""
    sns.set_theme(context="notebook", style="ticks", palette="colorblind", font_scale=0.85, rc={
        "axes.grid": True, "grid.alpha": 0.4, "axes.spines.top": False, "axes.spines.right": False,
        "figure.figsize": (8, 3.2), "figure.dpi": 100, "figure.constrained_layout.use": True,
        "legend.frameon": False, "pdf.fonttype": 42})  # 42: text in the PDF stays text


def convergence(history: pd.DataFrame, title: str | None = None) -> Figure:
    """Loss (left) and accuracy in percent (right) against the epoch; training dashed, held-out images solid.

    `history` is a run's: epoch, train_loss, train_accuracy, and test_* or validation_* columns, accuracies 0..100.
    """
    held = "test" if "test_loss" in history else "validation"
    figure, axes = plt.subplots(1, 2, figsize=(8, 3.2), layout="constrained")
    # a line through one point, or few, is hard to see
    marker = "o" if len(history) <= 12 else None
    for axis, quantity in zip(axes, ("loss", "accuracy")):
        for kind, style, colour in ((held, "-", "C0"), ("train", "--", "C1")):
            axis.plot(history["epoch"], history[f"{kind}_{quantity}"], style, color=colour, marker=marker,
                      markersize=4, label=NAMES[kind])
        axis.set(xlabel="epoch", ylabel=quantity)
        axis.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
    losses = history[[f"{held}_loss", "train_loss"]]
    if losses.max(axis=None) > 20 * losses.min(axis=None) > 0:  # an early outlier would flatten all the rest
        axes[0].set_yscale("log")
    axes[1].yaxis.set_major_formatter(PercentFormatter(100, decimals=0))
    figure.legend(*axes[0].get_legend_handles_labels(), loc="outside lower center", ncols=2)
    if title:
        figure.suptitle(title)
    return figure
