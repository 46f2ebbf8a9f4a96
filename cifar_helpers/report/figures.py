"""Figures on disk: a PDF for the report, a PNG for a reader."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from matplotlib import rcParams
from matplotlib.figure import Figure
from matplotlib.image import AxesImage
from matplotlib.text import Text

from cifar_helpers.core import files, paths
from cifar_helpers.report import generated

PRINTED = 459, 265  # points: the width and height that report.tex gives a figure at most
SMALLEST = 7.1  # points: printed text


def save_figure(figure: Figure, name: str, profile: str, caption: str = "") -> None:
    """Write figures/<name>.pdf and .png (150 dpi), marked where the profile is not full: "03_activation_curves".

    With a caption (plain text) the figure stands in the report's appendix; those without one are placed by report.tex.
    Text that the report would print smaller than SMALLEST is enlarged.
    """
    generated.check_name(name)
    _enlarge_text(figure)
    _mark(figure, profile)
    # without the date, the same figure is the same file
    metadata = {"CreationDate": None, "Keywords": f"profile: {profile}"}
    file = paths.figures(profile) / name
    with files.replacing(file.with_suffix(".pdf")) as pdf, files.replacing(file.with_suffix(".png")) as png:
        with _own_pixels(figure):
            figure.savefig(pdf, bbox_inches="tight", metadata=metadata)
        figure.savefig(png, bbox_inches="tight", dpi=150)
    if caption:
        generated.write_caption("figure", name, caption, profile)


def _enlarge_text(figure: Figure) -> None:
    for _ in range(2):  # larger text may make the figure larger
        figure.draw_without_rendering()  # so that there are ticks, and the layout is known
        size = figure.get_tightbbox().size + 2 * rcParams["savefig.pad_inches"]
        least = SMALLEST / printed_scale(*(72 * size))
        for axes in figure.axes:
            for axis in (axes.xaxis, axes.yaxis):  # ticks that are made later get the size, too
                if labels := axis.get_ticklabels():
                    axis.set_tick_params(labelsize=max(labels[0].get_fontsize(), least))
        for text in figure.findobj(Text):
            text.set_fontsize(max(text.get_fontsize(), least))


def printed_scale(width: float, height: float) -> float:
    """The factor by which report.tex scales a figure of this size (points) to fit in."""
    return min(PRINTED[0] / width, PRINTED[1] / height)


def _mark(figure: Figure, profile: str) -> None:
    """Write what the profile is across or above the figure, once."""
    if any(text.get_gid() == "profile" for text in figure.texts):
        return
    if profile == "smoke":
        place: dict[str, Any] = dict(rotation=20, ha="center", va="center", zorder=100)
        figure.text(0.5, 0.5, "SYNTHETIC", gid="profile", fontsize=42, color="crimson", alpha=0.3, **place)
    elif profile != "full":
        figure.text(1, 1, f"{profile} profile", gid="profile", fontsize=7, color="grey", ha="right", va="top")


@contextmanager
def _own_pixels(figure: Figure) -> Iterator[None]:
    """Images go into a PDF as they are, instead of unevenly resampled to the figure's resolution."""
    images = figure.findobj(AxesImage)
    before = [image.get_interpolation() for image in images]
    try:
        for image in images:
            image.set_interpolation("none")
        yield
    finally:
        for image, interpolation in zip(images, before):
            image.set_interpolation(interpolation)
