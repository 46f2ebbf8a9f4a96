"""Heat maps drawn over images."""

from collections.abc import Mapping, Sequence

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.image import AxesImage
from torch import Tensor


def overlay(axis: Axes, picture: np.ndarray, heat: Tensor, text: str = "") -> AxesImage:
    """Draw a map (32, 32) over the grey version of a picture (32, 32, 3); returns the map's image, for a colour bar.

    The map is drawn as a share of its own highest value. One without positive values is dark and says "empty".
    """
    axis.imshow(picture.mean(-1), cmap="gray", vmin=0, vmax=255)
    axis.set_title(text, fontsize=9.5, pad=3)
    axis.set_axis_off()
    if heat.max() <= 0:
        axis.text(15.5, 15.5, "empty", color="white", ha="center", va="center", fontsize=9.5)
    shares = heat / heat.max().clamp(min=1e-12)
    return axis.imshow(shares.numpy(), cmap="inferno", vmin=0, vmax=1, alpha=0.6)


def sheet(
    pictures: np.ndarray, titles: Sequence[str], columns: Mapping[str, tuple[Tensor, Sequence[str]]], blocks: int = 1
) -> Figure:
    """A line for each picture (n, 32, 32, 3): first itself, then a map for each column: label -> (maps, n texts).

    The lines stand in so many blocks side by side, of n / blocks lines each.
    """
    lines, width = len(pictures) // blocks, len(columns) + 1
    widths = [*(width * [1.0] + [0.15]) * blocks][:-1]  # a gap between two blocks
    size = sum(widths) + 0.7, 1.16 * lines + 0.3
    figure, grid = plt.subplots(
        lines, len(widths), figsize=size, layout="constrained", squeeze=False, width_ratios=widths
    )
    for axis in grid[:, width :: width + 1].flat:
        axis.remove()
    axes = np.vstack([grid[:, start : start + width] for start in range(0, len(widths), width + 1)])
    for axis, picture, text in zip(axes[:, 0], pictures, titles):
        axis.imshow(picture)
        axis.set_title(text, fontsize=9.5, pad=3)
        axis.set_axis_off()
    for number, (label, (maps, texts)) in enumerate(columns.items(), start=1):
        for axis, picture, heat, text in zip(axes[:, number], pictures, maps, texts):
            drawn = overlay(axis, picture, heat, text)
        for axis, text in list(zip(axes[:, number], texts))[::lines]:  # at the top of each block
            axis.set_title("\n".join([*label.split(), text]).rstrip(), fontsize=9.5, pad=3)
    bar = figure.colorbar(drawn, ax=axes, shrink=0.6, aspect=30, ticks=[0, 0.5, 1])
    bar.set_label("share of the map's highest value", fontsize=9.5)
    return figure
