"""Figures, tables and numbers on disk, and the PDF that is made of them."""

import re
import shutil

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from pypdf import PdfReader

from cifar_helpers import models, records, report, train
from cifar_helpers.core import paths
from cifar_helpers.report import plots, runs_table

needs_latex = pytest.mark.skipif(shutil.which("latexmk") is None, reason="LaTeX is missing: see README.md")


@pytest.fixture
def root(tmp_path, monkeypatch):
    """A repository of which only the report's sources exist."""
    shutil.copytree(paths.ROOT / "report", tmp_path / "report", ignore=shutil.ignore_patterns("generated", "*.pdf"))
    monkeypatch.setattr(paths, "ROOT", tmp_path)
    return tmp_path


def history(epochs, held="test"):
    return pd.DataFrame(
        {
            "epoch": range(1, epochs + 1),
            "train_loss": 2.0,
            "train_accuracy": 30.0,
            f"{held}_loss": 1.5,
            f"{held}_accuracy": 40.0,
        }
    )


@pytest.mark.parametrize("epochs", [1, 4, 100])
@pytest.mark.parametrize("held", ["test", "validation"])
def test_convergence_shows_both_quantities_of_both_sets(epochs, held):
    figure = plots.convergence(history(epochs, held), "ResNet18")
    loss, accuracy = figure.axes
    assert [list(line.get_ydata()) for line in loss.lines] == [[1.5] * epochs, [2.0] * epochs]
    assert [list(line.get_ydata()) for line in accuracy.lines] == [[40.0] * epochs, [30.0] * epochs]
    assert figure.get_suptitle() == "ResNet18" and loss.get_xlabel() == "epoch"
    if epochs == 1:  # a line through one point cannot be seen
        assert all(line.get_marker() == "o" for line in loss.lines)
    plt.close(figure)


@pytest.mark.parametrize("profile, mark", [("smoke", "SYNTHETIC"), ("quick", "quick profile"), ("full", None)])
def test_figure_is_marked_once_by_its_profile(root, profile, mark):
    figure = plots.convergence(history(3))
    report.save_figure(figure, "a", profile)
    report.save_figure(figure, "a", profile)
    assert [text.get_text() for text in figure.texts] == ([mark] if mark else [])
    assert sorted(p.name for p in paths.figures(profile).iterdir()) == ["a.pdf", "a.png"]
    assert (mark or "") in PdfReader(paths.figures(profile) / "a.pdf").pages[0].extract_text()
    plt.close(figure)


def test_images_of_a_pdf_keep_their_own_pixels(root):
    figure, axis = plt.subplots(figsize=(2, 2))
    axis.imshow(np.zeros((4, 6)))
    covering = axis.imshow(np.ones((4, 6)), alpha=0.5)
    report.save_figure(figure, "a", "full")
    page = PdfReader(paths.figures("full") / "a.pdf").pages[0]
    assert [image.image.size for image in page.images] == [(6, 4), (6, 4)]
    assert covering.get_interpolation() == plt.rcParams["image.interpolation"]  # the PNG is drawn as before
    plt.close(figure)


def test_figure_of_another_profiles_runs_bears_that_profiles_mark(root):
    figure = plots.convergence(history(3))
    report.save_figure(figure, "a", "quick", of="full")
    assert not figure.texts and (paths.figures("quick") / "a.png").exists()
    plt.close(figure)


def test_discarded_figure_leaves_the_others(root):
    figure = plots.convergence(history(3))
    for name in ("a", "b"):
        report.save_figure(figure, name, "full")
    plt.close(figure)
    report.discard_figure("a", "full")
    report.discard_figure("a", "full")  # of what is not there, nothing
    assert sorted(p.name for p in paths.figures("full").iterdir()) == ["b.pdf", "b.png"]


def test_conclusions_of_all_notebooks_stand_in_the_readme_in_order(root):
    report.save_claims([("A loss is best", "holds", "+1.00 [+0.50 to +1.50]", "No: one run.")], "04_losses", "full")
    report.save_claims(
        [("ReLU | is fast", "cannot be shown", "+0.10", "No.")], "03_activations", paths.StandIn("quick")
    )
    readme = root / "README.md"
    readme.write_text("# Title\n<!-- conclusions -->\nold\n<!-- end of conclusions -->\nafter\n")
    report.write_conclusions(readme)
    report.write_conclusions(readme)
    assert readme.read_text().splitlines() == [
        "# Title",
        "<!-- conclusions -->",
        "| The original says | These runs | Effect | Could its evidence show it? |",
        "| --- | --- | --- | --- |",
        "| ReLU / is fast | cannot be shown | +0.10 (miniature run) | No. |",
        "| A loss is best | holds | +1.00 [+0.50 to +1.50] | No: one run. |",
        "",
        "Ablations: Each run trains a ResNet18 with 0.25 times its filters on all images for 3 epochs. What pays only "
        "in longer trainings or wider networks is not seen here. Of 1 such intervals, chance alone makes 0.05 leave "
        "out zero on average.",
        "<!-- end of conclusions -->",
        "after",
    ]
    readme.write_text("nothing")
    with pytest.raises(ValueError, match="lost the comments"):
        report.write_conclusions(readme)


def test_same_figure_makes_the_same_file(root):
    for name in ("a", "b"):
        figure = plots.convergence(history(3))
        report.save_figure(figure, name, "full")
        plt.close(figure)
    assert (root / "figures/a.pdf").read_bytes() == (root / "figures/b.pdf").read_bytes()


def test_table_is_escaped_and_rounded(root):
    frame = pd.DataFrame({"Net_work": ["dla_x&y", "b"], "Accuracy (%)": [92.061, np.nan], "Size": [11173962, 2]})
    report.save_table(frame, "table_1", "quick", thousands=",")
    text = (root / "build/quick/report/generated/table_1.tex").read_text()
    assert text.startswith("% profile: quick\n\\begin{tabular}{lrr}\n\\toprule\n")
    assert r"Net\_work & Accuracy (\%) & Size \\" in text
    assert r"dla\_x\&y & 92.06 & 11,173,962 \\" in text and r"b & -- & 2 \\" in text


def test_numbers_become_macros(root):
    report.save_numbers(
        {"net": "a_b", "size": np.int64(11173962), "accuracy": np.float32(92.061), "loss": float("nan")}, "02", "full"
    )
    assert (root / "report/generated/numbers_02.tex").read_text().splitlines() == [
        "% profile: full",
        r"\newcommand{\net}{a\_b}",
        r"\newcommand{\size}{11,173,962}",
        r"\newcommand{\accuracy}{92.06}",
        r"\newcommand{\loss}{n/a}",
    ]


@pytest.mark.parametrize("name", ["resnet18", "best_model", "", "über"])
def test_number_that_latex_cannot_name_is_refused(root, name):
    with pytest.raises(ValueError, match="letters only"):
        report.save_numbers({name: 1}, "02", "quick")


def test_file_outside_the_folder_is_refused(root):
    with pytest.raises(ValueError, match="cannot name a file"):
        report.save_table(pd.DataFrame({"a": [1]}), "../table_1", "quick")


def test_pdf_without_latex_names_the_packages(root, monkeypatch):
    monkeypatch.setattr(shutil, "which", lambda name: None)
    with pytest.raises(FileNotFoundError, match="install the packages latexmk texlive"):
        report.build_pdf("quick")


def test_verdicts_on_the_conclusions_are_counted(root):
    verdicts = [
        "holds",
        "holds in part: they count",
        "can be shown for some sizes only",
        "cannot be shown",
        "cannot be told from 5 networks",
        "contradicted: they count less",
        "no reason: one function",
    ]
    effects = ["+1 [+0 to +2] here, +3 [+2 to +4] there", *6 * ["+1 [+0 to +2]"]]
    rows = [("claim", verdict, effect, "No.") for verdict, effect in zip(verdicts, effects)]
    report.save_claims(rows, "03", "quick")
    counts = {
        name.removeprefix("conclusions"): count
        for name, count in report._verdicts(report.conclusions("quick"), "full").items()
    }
    assert not report.conclusions("quick")["Effect"].str.contains("miniature").any()  # all are: the report says it once
    assert counts.pop("Chance").startswith("Of 8 such intervals, chance alone makes 0.40")
    assert counts == {"Count": 7, "Hold": 1, "Part": 2, "Open": 2, "Fall": 2, "Small": 7}


@needs_latex
@pytest.mark.slow
def test_pdf_of_made_up_images_says_so_on_every_page(root):
    figure = plots.convergence(history(3))
    report.save_figure(figure, "figure_1_resnet18", "smoke")
    plt.close(figure)
    report.save_table(pd.DataFrame({"Network": ["DLA"], "Accuracy": [12.34]}), "table_1", "smoke")
    report.save_numbers({"bestTestAccuracy": 43.21}, "02", "smoke")
    pdf = report.build_pdf("smoke")
    assert pdf == root / "build/smoke/report/report.pdf" and not (root / "report/report.pdf").exists()
    pages = [page.extract_text() for page in PdfReader(pdf).pages]
    assert all("SYNTHETIC" in page for page in pages)
    text = "\n".join(pages)
    assert "12.34" in text and "43.21" in text
    assert "not yet run: figure_2_resnext50_32x4d" in text  # what is missing is a box, not a failure
    assert "not yet run: figure_1_resnet18" not in text


@needs_latex
@pytest.mark.slow
def test_pdf_in_the_committed_folder_tells_small_runs_from_full_ones(root):
    report.save_numbers({"trainImages": 50000}, "01", "full")
    report.build_pdf("full")
    assert "miniature" not in PdfReader(root / "report/report.pdf").pages[0].extract_text()
    stand_in = paths.StandIn("quick")
    report.save_numbers({"bestTestAccuracy": 43.21}, "02", stand_in)
    for name, profile in (("losses", stand_in), ("table_1", "full")):
        report.save_table(pd.DataFrame({"Network": ["DLA"]}), name, profile)
    for name, profile in (("figure_1_resnet18", "full"), ("figure_7_losses", stand_in)):
        figure = plots.convergence(history(3))
        report.save_figure(figure, name, profile)
        plt.close(figure)
    pages = [page.extract_text() for page in PdfReader(report.build_pdf("full")).pages]
    assert "Not all runs have their full size" in pages[0]
    marked = re.findall(r"(?:Table|Figure) \d+: Miniature run. ([^,.]+)", "\n".join(pages).replace("\n", " "))
    assert sorted(marked) == ["Four losses at one learning rate: accuracies on one scale", "Test accuracy by loss"]
    report.save_numbers({"bestTestAccuracy": 43.21}, "02", "quick")
    pages = [page.extract_text() for page in PdfReader(report.build_pdf("quick")).pages]
    assert "miniature run" in pages[0] and all("quick profile: miniature run" in page for page in pages[1:])


def record(profile, experiment, config, accuracy=50.0, seconds=90):
    """A record that a training would have written, in the repository of the test."""
    rows = [{"epoch": 1, "train_loss": 1.0, "train_accuracy": 40.0, "test_loss": 1.0, "test_accuracy": accuracy}]
    frame = pd.DataFrame(rows).assign(learning_rate=0.1, seconds=float(seconds))
    model = models.build(config.model, width=config.width)
    result = train.Result(
        history=frame,
        model=model,
        keep=(),
        steps=np.zeros(0, dtype=np.float32),
        measured={},
        logits=None,
        labels=None,
        diverged=False,
        images_per_second=1.0,
        cpu_seconds=1.0,
        multiply_adds=1,
        peak_memory_mb=1.0,
    )
    return records.write(config, result, experiment, profile, "cpu")


def test_appendix_has_a_row_for_every_run(root):
    config = train.Config("resnet18", width=0.125, epochs=1, images=100)
    kept = record("full", "table_1", config, 61.25, seconds=5400)
    record(paths.StandIn("quick"), "losses", train.Config("resnet18", width=0.125, epochs=1, loss="mse", seed=3))
    table = runs_table.runs_table("full")
    assert list(table.index.get_level_values("Experiment")) == ["losses (quick)", "table_1"]
    row = table.loc[("table_1", kept.folder.name)]
    assert (row["Images"], row["Epochs"], row["Seed"], row["Accuracy"], row["Seconds"]) == (100, 1, 0, "61.25", 5400)
    assert table.attrs["devices"] == {"A": kept.device}
    text = runs_table.runs_tex("full")
    assert text.startswith("2 runs, 1.5 hours in all. Devices: A: ") and kept.folder.name.replace("_", r"\_") in text


def test_appendix_without_any_run_says_so(root):
    assert runs_table.runs_tex("full").startswith("0 runs, 0.0 hours in all.")


@needs_latex
@pytest.mark.slow
def test_what_has_a_caption_of_its_own_stands_in_the_appendix(root):
    record("quick", "batch_sizes", train.Config("resnet18", width=0.125, epochs=1, batch_size=64))
    figure = plots.convergence(history(3))
    report.save_figure(figure, "batch_sizes", "quick", caption="Half of the batch & 50 % of the steps.")
    plt.close(figure)
    report.save_table(pd.DataFrame({"Batch": [64]}), "batches", "quick", caption="Batches.")
    report.save_table(pd.DataFrame({"Batch": [77]}), "left_out", "quick")
    text = "\n".join(page.extract_text() for page in PdfReader(report.build_pdf("quick")).pages)
    last = text[text.index("Every run") :]
    assert "Half of the batch & 50 % of the steps." in last and "Batches." in last and "77" not in last
    assert "batch_sizes" in last and "Further figures and tables" in last


@needs_latex
@pytest.mark.slow
def test_latex_error_is_told_in_one_line(root):
    generated = paths.generated("quick")
    generated.mkdir(parents=True)
    (generated / "numbers_02.tex").write_text("% profile: quick\n\\nosuchcommand\n")
    with pytest.raises(ChildProcessError, match="numbers_02.tex:2: Undefined control sequence"):
        report.build_pdf("quick")
