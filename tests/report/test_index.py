"""figures/README.md, and that nothing in the report comes from nowhere or goes nowhere."""

import json
import re

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook

from cifar_helpers.core import notebook_outputs, paths
from cifar_helpers.report import index, pdf

TEX = (paths.ROOT / "report" / "report.tex").read_text(encoding="utf-8").split(r"\begin{document}")[1]
GENERATED = paths.generated("full")


def entries():
    lines = (paths.figures("full") / "README.md").read_text(encoding="utf-8").splitlines()
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines if line.startswith("| <img")]


def test_committed_index_is_the_one_that_would_be_written():
    """Else: python -m cifar_helpers pdf --profile full writes it."""
    assert (paths.figures("full") / "README.md").read_text(encoding="utf-8") == index.figures_index()


def test_every_committed_figure_is_in_the_index_with_a_notebook_and_a_heading_that_exist():
    linked = [re.findall(r"\[(\w+)\]\((\w+)\.png\)", figure)[0] for _, figure, *_ in entries()]
    assert [file for _, file in linked] == sorted(file.stem for file in paths.figures("full").glob("*.png"))
    for _, figure, place, runs, _ in entries():
        notebook, heading = re.fullmatch(r"\[\w+\]\((.+\.ipynb)\), (.+)", place).groups()
        cells = json.loads((paths.figures("full") / notebook).read_text(encoding="utf-8"))["cells"]
        above = ["".join(cell["source"]) for cell in cells if cell["cell_type"] == "markdown"]
        assert any(re.search(rf"^#+ +{re.escape(heading)}$", text, re.MULTILINE) for text in above), place
        name = re.findall(r"\[(\w+)\]", figure)[0]
        assert any(f'"{name}"' in "".join(cell["source"]) for cell in cells if cell["cell_type"] == "code"), name
        for run in runs.split(", ") if runs != "none" else []:
            assert (paths.runs("full") / run).is_dir(), run


NOTEBOOK = [
    ("markdown", "# Title\n\n## First"),
    ("code", "import pandas as pd\nfrom cifar_helpers import records\n\ntrained = records.get_all('losses', profile)"),
    ("code", 'table = pd.DataFrame(trained)\nfigure = 1\nreport.save_figure(figure, "11_a", profile)'),
    ("markdown", "### Second"),
    ("code", "other = records.recorded('fast', profile)\nrows = []\nfor run in other:\n    rows.append(run)"),
    ("code", "def draw(trained, name):\n    report.save_figure(trained, name, profile)"),
    ("code", 'x = rows\nfor name in x:\n    draw(rows, f"11_of_{name}")'),
]


def test_experiments_are_those_of_the_statements_that_made_the_figure(root):
    folder = root / "notebooks"
    folder.mkdir()
    makers = {"markdown": new_markdown_cell, "code": new_code_cell}
    nbformat.write(new_notebook(cells=[makers[kind](source) for kind, source in NOTEBOOK]), folder / "11_new.ipynb")
    figures = paths.figures("full")
    figures.mkdir()
    for name in ("11_a", "11_of_relu"):
        (figures / f"{name}.pdf").touch()
    paths.generated("full").mkdir()
    (paths.generated("full") / "11_of_relu.figure.tex").touch()
    rows = [line for line in index.figures_index().splitlines() if line.startswith("| <img")]
    assert rows[0].endswith("| [11_new](../notebooks/11_new.ipynb), First | losses | not shown |")
    assert rows[1].endswith("| [11_new](../notebooks/11_new.ipynb), Second | fast | Figure 1 |")
    (figures / "11_gone.pdf").touch()
    with pytest.raises(ValueError, match="no cell of a notebook makes figures/11_gone"):
        index.figures_index()


@pytest.mark.parametrize("text", ["{", "[]", '{"cells": 1}', "\udcff", "x = = 1"])
def test_a_damaged_notebook_is_named(root, text):
    (root / "notebooks").mkdir()
    file = root / "notebooks/11_new.ipynb"
    if text == "x = = 1":
        nbformat.write(new_notebook(cells=[new_code_cell(text)]), file)
    else:
        file.write_bytes(text.encode(errors="surrogateescape"))
    with pytest.raises(ValueError, match=f"the notebook {file} is damaged"):
        index.figures_index()


def test_every_number_of_the_report_is_written_and_every_one_that_is_written_is_used():
    made = {file.stem for file in paths.figures("full").glob("*.pdf")}
    shown = re.sub(  # what has not been run is left out with its caption
        r"\\resultfigure\{(\w+)\}\{(?:[^{}]|\{[^{}]*\})*\}", lambda f: f[0] if f[1] in made else "", TEX
    )
    files = GENERATED.glob("[0-9][0-9]_numbers.tex")
    written = [name for file in files for name in re.findall(r"\\newcommand\{\\(\w+)\}", file.read_text("utf-8"))]
    written += pdf.pipeline_numbers("full")
    assert len(written) == len(set(written))
    used = set(re.findall(r"\\result\{(\w+)\}", shown))
    assert used - set(written) == set()
    assert set(written) - set(re.findall(r"\\result\{(\w+)\}", TEX)) == set()


def test_every_generated_file_is_used():
    tables = {file.name.removesuffix(".tex") for file in GENERATED.glob("*.tex")}
    tables -= {name for name in tables if re.fullmatch(r"\d\d_numbers|experiments|conclusions", name)}
    further = {name.split(".")[0] for name in tables if name.endswith(".table")}
    in_text = set(re.findall(r"\\(?:resulttable|tablefloat)\{(\w+)\}", TEX))
    assert {name for name in tables if "." not in name} == in_text | further
    for name, place in {"experiments": r"\generatedFolder/experiments", "conclusions": r"\conclusionstable{"}.items():
        assert place in TEX and (GENERATED / f"{name}.tex").exists()
    rest = {file.name for file in GENERATED.iterdir() if file.suffix != ".tex"}
    assert all(re.fullmatch(r"\d\d_conclusions\.csv|\d\d_\w+\.sha256", name) for name in rest)


def test_every_group_of_checks_that_the_report_stands_by_is_made_on_full():
    groups = set(re.findall(r"\\checked\{(\w+)\}", TEX))
    assert groups and groups <= {file.name.split(".")[0] for file in GENERATED.glob("*.checks.tex")}
    for group in groups:
        assert "% not shown" not in (GENERATED / f"{group}.checks.tex").read_text(encoding="utf-8")


def test_every_generated_file_is_as_its_notebook_wrote_it():
    notebook_outputs.check("full")
    notebooks = {path.stem for path in (paths.ROOT / "notebooks").glob("[0-9]*.ipynb")}
    assert {path.stem for path in GENERATED.glob("*.sha256")} == notebooks, "make report runs what has not run"


def test_every_file_of_the_report_is_named_by_a_notebook():
    numbers = {path.name[:2] for path in (paths.ROOT / "notebooks").glob("[0-9]*.ipynb")}
    names = {file.name for folder in (paths.figures("full"), GENERATED) for file in folder.iterdir()}
    names -= {"README.md", "conclusions.tex", "experiments.tex"}
    assert {name[:3] for name in names} <= {f"{number}_" for number in numbers}
    for name in {file.stem for file in paths.figures("full").glob("[0-9]*")}:
        assert all((paths.figures("full") / f"{name}.{kind}").exists() for kind in ("pdf", "png"))
