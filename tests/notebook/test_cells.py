"""A cell is one step, and the notebooks stay short enough to read."""

import json
import re

import pytest

from cifar_helpers.core import paths

NOTEBOOKS = [path for path in sorted((paths.ROOT / "notebooks").glob("[0-9]*.ipynb")) if "failed" not in path.name]
LINES_OF_A_CELL, LINES_OF_A_NOTEBOOK = 15, 240  # of a notebook on average
STANDARD = re.compile(  # set-up; records; figures, tables and controls; numbers for the report
    r"notebook\.start\(|experiments\.(recorded|get_all|search\.study)\(|grad_cam\.networks\("
    r"|plt\.show\(|report\.show(_claims)?\(|controls\.play(_curves)?\(|report\.save_"
)
LONGER: dict[tuple[str, str], str] = {}  # notebook and first line of a cell -> why it is longer; ten at most


def code(path):
    """The source of each code cell, parameters left out."""
    cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
    return [
        "".join(cell["source"])
        for cell in cells
        if cell["cell_type"] == "code" and "parameters" not in cell["metadata"].get("tags", [])
    ]


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_cell_is_one_step(path):
    for source in code(path):
        first, count = source.splitlines()[0], len(source.splitlines())
        assert count <= LINES_OF_A_CELL or (path.stem, first) in LONGER, f"{count} lines: {first}"


def test_longer_cells_are_few_and_there():
    there = {(path.stem, source.splitlines()[0]) for path in NOTEBOOKS for source in code(path)}
    assert set(LONGER) <= there and len(LONGER) <= 10


def test_the_notebooks_are_short():
    lines = sum(len(source.splitlines()) for path in NOTEBOOKS for source in code(path))
    assert lines <= LINES_OF_A_NOTEBOOK * len(NOTEBOOKS)


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_set_up_is_one_call(path):
    sources = code(path)
    calls = [number for number, source in enumerate(sources) if "notebook.start(globals())" in source]
    assert calls == [0], "the first cell after the parameters, and no other, sets the notebook up"
    imports = [s for s in sources[1:] if any(line.startswith(("import ", "from ")) for line in s.splitlines())]
    assert not imports, imports


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_text_that_finds_stands_below_its_checks(path):
    """Findings hang on checks: every notebook has some, and text follows each cell of checks or the next one."""
    cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
    groups = [n for n, cell in enumerate(cells) if "".join(cell["source"]).startswith("check")]
    assert groups, 'no finding rests on a check: begin a cell with check = report.checks("NN_name", profile)'
    for number in groups:
        kinds = [cell["cell_type"] for cell in cells[number + 1 : number + 3]]
        assert "markdown" in kinds, f"no text says what was found, below {''.join(cells[number]['source'])}"


def needs_no_reading(cell) -> bool:
    """Set-up, records, figures, tables: not a step of a mechanism by hand, an assertion or a check."""
    source, metadata = "".join(cell["source"]), cell["metadata"]
    if re.search(r"\bassert|\bcheck\(|report\.checks\(", source):
        return False
    standard = "parameters" in metadata.get("tags", []) or "image" in metadata.get("mystnb", {})
    return standard or bool(STANDARD.search(source))


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_the_site_folds_code_that_needs_no_reading(path):
    """By the tag hide-input. Mechanisms, assertions and checks stand open."""
    cells = [cell for cell in json.loads(path.read_text(encoding="utf-8"))["cells"] if cell["cell_type"] == "code"]
    folded = ["hide-input" in cell["metadata"].get("tags", []) for cell in cells]
    for cell, is_folded in zip(cells, folded):
        wanted = "needs" if needs_no_reading(cell) else "must not have"
        assert is_folded == needs_no_reading(cell), f"this cell {wanted} the tag hide-input: {''.join(cell['source'])}"
    assert not all(folded), "all code is folded: show a mechanism, an assertion or a check"
