"""A cell is one step, and the notebooks stay short enough to read."""

import json

import pytest

from cifar_helpers.core import paths

NOTEBOOKS = [path for path in sorted((paths.ROOT / "notebooks").glob("[0-9]*.ipynb")) if "failed" not in path.name]
LINES_OF_A_CELL, LINES_IN_ALL = 15, 2400
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
    assert sum(len(source.splitlines()) for path in NOTEBOOKS for source in code(path)) <= LINES_IN_ALL


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
    assert groups
    for number in groups:
        kinds = [cell["cell_type"] for cell in cells[number + 1 : number + 3]]
        assert "markdown" in kinds, "".join(cells[number]["source"])
