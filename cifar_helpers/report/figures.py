"""Figures on disk: a PDF for the report, a PNG for a reader."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from matplotlib.figure import Figure
from matplotlib.image import AxesImage

from cifar_helpers.core import files, paths
from cifar_helpers.report import generated


def save_figure(figure: Figure, name: str, profile: str, caption: str = "") -> None:
    """Write figures/<name>.pdf and .png (150 dpi), marked where the profile is not full: "03_activation_curves".

    With a caption (plain text) the figure stands in the report's appendix; those without one are placed by report.tex.
    """
    generated.check_name(name)
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
