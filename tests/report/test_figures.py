"""Figures on disk."""

import errno

import matplotlib.pyplot as plt
import numpy as np
import pytest
from matplotlib.figure import Figure
from pypdf import PdfReader

from cifar_helpers import report
from cifar_helpers.core import paths
from cifar_helpers.report import figures, plots


@pytest.mark.parametrize("profile, mark", [("smoke", "SYNTHETIC"), ("quick", "quick profile"), ("full", None)])
def test_figure_is_marked_once_by_its_profile(root, figure, profile, mark):
    report.save_figure(figure, "03_a", profile)
    report.save_figure(figure, "03_a", profile)
    assert [text.get_text() for text in figure.texts] == ([mark] if mark else [])
    assert sorted(p.name for p in paths.figures(profile).iterdir()) == ["03_a.pdf", "03_a.png"]
    assert (mark or "") in PdfReader(paths.figures(profile) / "03_a.pdf").pages[0].extract_text()


@pytest.mark.parametrize("name", ["a", "activation_curves", "3_curves", "03-curves", "../03_curves", "03_", "", "03_ü"])
def test_name_without_its_notebook_is_refused(root, figure, name):
    with pytest.raises(ValueError, match="the notebook's two digits"):
        report.save_figure(figure, name, "full")
    assert not (root / "figures").exists()


def test_images_of_a_pdf_keep_their_own_pixels(root):
    figure, axis = plt.subplots(figsize=(2, 2))
    axis.imshow(np.zeros((4, 6)))
    covering = axis.imshow(np.ones((4, 6)), alpha=0.5)
    report.save_figure(figure, "03_a", "full")
    page = PdfReader(paths.figures("full") / "03_a.pdf").pages[0]
    assert [image.image.size for image in page.images] == [(6, 4), (6, 4)]
    assert covering.get_interpolation() == plt.rcParams["image.interpolation"]  # the PNG is drawn as before
    plt.close(figure)


def test_same_figure_makes_the_same_file(root, history):
    for name in ("03_a", "03_b"):
        report.save_figure(plots.seed_bands({"relu": [history(3)]}), name, "full")
    assert (root / "figures/03_a.pdf").read_bytes() == (root / "figures/03_b.pdf").read_bytes()
    plt.close("all")


def printed_sizes(pdf):
    """The sizes (points) of the text of a figure as the report prints it; indices and exponents are left out."""
    page, sizes = PdfReader(pdf).pages[0], []

    def see(text, cm, tm, font, size):
        if len(text.strip()) > 3:
            sizes.append(size * np.hypot(*tm[2:4]) * np.hypot(*cm[2:4]))

    page.extract_text(visitor_text=see)
    return figures.printed_scale(*map(float, page.mediabox[2:])) * np.array(sizes)


def test_no_text_is_printed_smaller_than_seven_points(root):
    figure, axes = plt.subplots(1, 2, figsize=(12, 3), layout="constrained")
    axes[0].plot([1000, 2000], [1000, 2000], label="a small line")
    axes[0].legend(fontsize=5)
    axes[1].annotate("a small note", (0.5, 0.5), fontsize=4)
    figure.suptitle("a large title", fontsize=30)
    report.save_figure(figure, "03_a", "full")
    sizes = printed_sizes(root / "figures/03_a.pdf")
    assert len(sizes) > 3 and 7 <= sizes.min() < 8 < 11 < sizes.max()
    plt.close("all")


@pytest.mark.parametrize("file", sorted((paths.ROOT / "figures").glob("*.pdf")), ids=lambda file: file.stem)
def test_the_committed_figures_can_be_read(file):
    assert printed_sizes(file).min(initial=99) >= 7


def test_a_full_disk_leaves_both_files_of_a_figure_as_they_were(root, figure, monkeypatch):
    report.save_figure(figure, "03_a", "full")
    before = {file.name: file.read_bytes() for file in (root / "figures").iterdir()}
    figure.suptitle("another")
    savefig = Figure.savefig

    def full(self, file, **options):
        if file.suffix == ".png":
            file.write_bytes(b"half")
            raise OSError(errno.ENOSPC, "No space left on device")
        savefig(self, file, **options)

    monkeypatch.setattr(Figure, "savefig", full)
    with pytest.raises(OSError, match="03_a.png could not be written .*No space left.*free some disk space"):
        report.save_figure(figure, "03_a", "full")
    assert {file.name: file.read_bytes() for file in (root / "figures").iterdir()} == before
