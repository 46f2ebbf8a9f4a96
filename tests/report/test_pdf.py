"""The PDF that is made of figures, tables and numbers."""

import os
import re
import shutil
import subprocess
import sys
import time

import pandas as pd
import pytest
from pypdf import PdfReader

from cifar_helpers import report
from cifar_helpers.core import notebook_outputs, paths
from cifar_helpers.report import figures, generated, pdf

needs_latex = pytest.mark.skipif(shutil.which("latexmk") is None, reason="LaTeX is missing: see README.md")


def text_of(file):
    return "\n".join(page.extract_text() for page in PdfReader(file).pages)


def test_pdf_without_latex_names_the_packages(root, monkeypatch):
    monkeypatch.setattr(shutil, "which", lambda name: None)
    with pytest.raises(FileNotFoundError, match="install the packages latexmk texlive"):
        report.build_pdf("quick")


@pytest.mark.parametrize(
    "output, errors, reason",
    [
        ("", "", "latexmk ended with 12 and said nothing"),
        ("\n  \n", "Killed\n", "Killed"),
        ("a.tex:3: Undefined control sequence.\nmore", "", "a.tex:3: Undefined control sequence."),
        ("", "Collected error summary (may duplicate other messages):\n  bibtex a: 1 error\n", "bibtex a: 1 error"),
        (
            "!pdfTeX error: fflush() failed (No space left on device)",
            "",
            "left on device); free some disk space and give",
        ),
        ("! LaTeX Error: File `spam.sty' not found.", "", "spam.sty is in the packages latexmk"),
    ],
)
def test_a_failure_always_has_a_reason(output, errors, reason):
    assert reason in pdf._reason(subprocess.CompletedProcess([], 12, output, errors))


@needs_latex
@pytest.mark.slow
def test_pdf_of_made_up_images_says_so_on_every_page(root, figure):
    report.save_figure(figure, "02_convergence", "smoke")
    report.save_table(pd.DataFrame({"Network": ["DLA"], "Accuracy": [12.34]}), "02_table_1", "smoke")
    report.save_numbers({"bestTestAccuracy": 43.21}, "02_numbers", "smoke")
    file = report.build_pdf("smoke")
    assert file == root / "build/smoke/report/report.pdf" and not (root / "report/report.pdf").exists()
    pages = [page.extract_text() for page in PdfReader(file).pages]
    assert all("SYNTHETIC" in page for page in pages)
    text = "\n".join(pages)
    assert "12.34" in text and "43.21" in text
    captions = re.findall(r"(?:Figure|Table) 1: SYNTHETIC\. .{,600}?Notebook (\d\d)\.", text.replace("\n", " "))
    assert captions == ["02", "02"]
    # what is missing is named in one sentence, not a failure
    named = re.sub(r"\s", "", text).partition("Nothinghasbeenrunyetforthese,whichareleftout:")[2]
    assert "02_cost" in named and "10_components" in named and "02_convergence" not in named


@needs_latex
@pytest.mark.slow
def test_a_small_run_is_marked_on_every_page_and_never_lands_among_the_real_results(root):
    report.save_numbers({"bestTestAccuracy": 43.21}, "02_numbers", "quick")
    pages = [page.extract_text() for page in PdfReader(report.build_pdf("quick")).pages]
    assert "miniature run" in pages[0] and all("quick profile: miniature run" in page for page in pages[1:])
    assert not (root / "report/report.pdf").exists()


def embedded(resources):
    """Whether the file holds all fonts of a page (or figure) and of the figures in it."""
    fonts = [font.get_object() for font in resources.get("/Font", {}).values()]
    inner = [font.get("/DescendantFonts", [font])[0].get_object() for font in fonts]
    figures = [each.get_object() for each in resources.get("/XObject", {}).values()]
    return all(
        font["/Subtype"] == "/Type3" or any("/FontFile" in key for key in font["/FontDescriptor"]) for font in inner
    ) and all(embedded(figure["/Resources"]) for figure in figures if "/Resources" in figure)


def filled(page):
    """The share of the height of a page's text, 0 to 1, that text and figures take."""
    own = page["/Resources"].get("/XObject", {})
    lowest, depth = [], []

    def before(operator, operands, cm, tm):
        if operator == b"Do" and operands[0] in own and not depth:
            lowest.append(cm[5])  # the lower edge of a figure
            depth.append(operands[0])

    def after(operator, operands, cm, tm):
        if operator == b"Do" and depth and operands[0] == depth[-1]:
            depth.pop()

    def text(words, cm, tm, font, size):
        if words.strip() and not depth:
            lowest.append(tm[5] * cm[3] + cm[5])

    page.extract_text(visitor_operand_before=before, visitor_operand_after=after, visitor_text=text)
    bottom, top = 68, 763  # points; the page's number stands below
    return (top - min(y for y in lowest if y > bottom - 5)) / (top - bottom)


def placed(page):
    """The figures of a page by their files, each with the factor by which it is scaled."""
    own, scales = page["/Resources"].get("/XObject", {}), {}

    def before(operator, operands, cm, tm):
        if operator == b"Do" and (file := own.get(operands[0], {}).get("/PTEX.FileName")):
            scales[os.path.basename(str(file))] = cm[0]

    page.extract_text(visitor_operand_before=before)
    return scales


@pytest.fixture
def committed(tmp_path, monkeypatch):
    """What is committed for the report, in a folder whose name LaTeX and bibtex would read as something else."""
    folder = tmp_path / "a, b: {c}; #d% & é β"
    folder.mkdir()
    for part in ("report", "figures", "notebooks", "runs"):
        ignored = shutil.ignore_patterns("*.pdf") if part == "report" else None
        shutil.copytree(paths.ROOT / part, folder / part, ignore=ignored)
    monkeypatch.setattr(paths, "ROOT", folder)
    return folder


@needs_latex
@pytest.mark.attack
@pytest.mark.xdist_group("pdf")
def test_published_pdf_has_no_gap_and_survives_what_killed_runs_leave(committed, monkeypatch):
    monkeypatch.setenv("LC_ALL", "C")
    # a run that was killed while LaTeX wrote: cut files, latexmk's memory of a failure, half a PDF
    old = committed / "build/full/latex/4711"
    old.mkdir(parents=True)
    for name in ("report.aux", "report.fdb_latexmk", "report.pdf", "report.bbl", "inputs.tex"):
        (old / name).write_bytes(b"\\relax \n\\newlabel{fig:03_acti")
        (old.parent / name).write_bytes(b"\\relax \n\\newlabel{fig:03_acti")
    generated.write_caption("figure", "03_functions", "ReLU, β ≥ −1, 中 🙂 & 50 %", "full")
    notebook_outputs.write_checksums("03_activations", "full")
    file = report.build_pdf("full")
    text = text_of(file)
    (log,) = (committed / "build/full/latex").glob("*/report.log")
    wide = re.findall(r"Overfull \\hbox \((\d+\.\d+)pt too wide\).*", log.read_text(errors="replace"))
    assert not [points for points in wide if float(points) > 1]
    assert "undefined" not in log.read_text(errors="replace")
    pages = PdfReader(file).pages
    assert all(embedded(page["/Resources"]) for page in pages)
    assert all(filled(page) >= 0.5 for page in pages[:-1])
    scales = {name: scale for page in pages for name, scale in placed(page).items()}
    for name, scale in scales.items():  # what figures.py enlarges text by
        size = PdfReader(committed / "figures" / name).pages[0].mediabox[2:]
        assert scale == pytest.approx(figures.printed_scale(*map(float, size)), rel=0.02), name
    assert len(scales) > 30
    assert "??" not in text and "not yet run:" not in text
    assert "yellow" not in (committed / "report/report.tex").read_text()
    assert "U+4E2D U+1F642 & 50 %" in text.replace("\n", " ")
    made = {file.stem for file in (committed / "figures").iterdir()}
    body = (committed / "report/report.tex").read_text().split(r"\begin{document}")[1]
    shown = re.findall(r"\\resultfigure\{(\w+)\}", body)
    left_out = re.search(r"whichareleftout:(.*?)\.", re.sub(r"\s|-\n", "", text))
    assert set(left_out[1].split(",") if left_out else ()) == set(shown) - made
    assert text.count("Notebook ") >= 50 and re.search(r"\[\d+\]\s+.*\bBatch normalization", text, re.IGNORECASE)


@needs_latex
@pytest.mark.attack
def test_a_run_that_is_killed_does_not_spoil_the_next(root):
    report.save_numbers({"bestTestAccuracy": 43.21}, "02_numbers", "quick")
    code = (
        "import pathlib, sys; from cifar_helpers.core import paths; from cifar_helpers import report; "
        "paths.ROOT = pathlib.Path(sys.argv[1]); report.build_pdf('quick')"
    )
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    process = subprocess.Popen([sys.executable, "-c", code, str(root)], env=environment)
    work = root / "build/quick/latex" / str(process.pid)
    while process.poll() is None and not (work / "report.log").exists():
        time.sleep(0.02)
    assert process.poll() is None
    process.kill()  # its latexmk goes on for a while
    process.wait()
    assert "43.21" in text_of(report.build_pdf("quick"))
    assert not work.exists()


@needs_latex
@pytest.mark.slow
def test_what_has_a_caption_of_its_own_stands_in_the_appendix(root, figure):
    report.save_figure(figure, "11_batch_sizes", "quick", caption="Half of the batch & 50 % of the steps.")
    report.save_table(pd.DataFrame({"Batch": [64]}), "11_batches", "quick", caption="Batches.")
    report.save_table(pd.DataFrame({"Batch": [77]}), "11_left_out", "quick")
    file = report.build_pdf("quick")
    text, content = text_of(file), file.read_bytes()
    assert report.build_pdf("quick").read_bytes() == content  # no date, no random number
    last = text[text.index("All runs") :].replace("\n", " ")
    assert "Half of the batch & 50 % of the steps. Notebook 11." in last and "Batches. Notebook 11." in last
    assert "77" not in last and "Further figures and tables" in last


@needs_latex
@pytest.mark.slow
def test_latex_error_is_told_in_one_line_and_leaves_the_pdf_of_before(root):
    report.save_numbers({"bestTestAccuracy": 43.21}, "02_numbers", "quick")
    before = report.build_pdf("quick").read_bytes()
    numbers = paths.generated("quick") / "02_numbers.tex"
    numbers.write_text("% profile: quick\n\\nosuchcommand\n")
    with pytest.raises(ChildProcessError, match="02_numbers.tex:2: Undefined control sequence.*the log: .*report.log"):
        report.build_pdf("quick")
    assert (paths.report("quick") / "report.pdf").read_bytes() == before
    report.save_numbers({"bestTestAccuracy": 12.34}, "02_numbers", "quick")
    assert "12.34" in text_of(report.build_pdf("quick"))
