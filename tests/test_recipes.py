"""The recipes of docs/extend.md, all four followed to the letter in a copy of the repository.

The text itself is read, so that it cannot go wrong unnoticed. What takes minutes has the mark `recipes`.
"""

import os
import re
import shutil
import subprocess
import sys
import textwrap
from pathlib import Path

import nbformat
import pytest

from cifar_helpers.core import paths

pytestmark = pytest.mark.xdist_group("recipes")  # followed once
FOLDERS = ("benchmarks", "cifar_helpers", "docs", "figures", "notebooks", "report", "runs", "site", "tests")


def recipes(text: str) -> dict[str, str]:
    """The items below "Add", by their first words: "A network", "An activation"."""
    items = re.split(r"^- \*\*", text.split("\n## Add\n")[1], flags=re.MULTILINE)[1:]
    return {item.split("**")[0]: item for item in items}


def blocks(recipe: str) -> list[str]:
    return [
        textwrap.dedent(code) for code in re.findall(r"^  ```python\n(.*?)^  ```", recipe, re.DOTALL | re.MULTILINE)
    ]


def found(pattern: str, recipe: str) -> tuple[str, ...]:
    """What a sentence of a recipe names; a blank of the pattern may be the end of a line."""
    match = re.search(pattern.replace(" ", r"\s+"), recipe)
    assert match, f"docs/extend.md does not say {pattern} any more: follow what it says now"
    return match.groups()


def replace(file: Path, old: str, new: str) -> None:
    text = file.read_text()
    assert text.count(old) == 1, f"{old!r} is not once in {file.name}"
    file.write_text(text.replace(old, new))


def save_file(copy: Path, recipe: str) -> None:
    (name,) = found(r"Save this as `([\w/.]+)`", recipe)
    (copy / name).write_text(blocks(recipe)[0])


def add_to_table_1(copy: Path, recipe: str) -> None:
    (name,) = found(r"Add its name at the end of `TABLE_1` in `([\w/.]+)`", recipe)
    replace(copy / name, '"densenet121")\n\n\n# The best', '"densenet121", "tiny")\n\n\n# The best')


def add_activation(copy: Path, recipe: str) -> None:
    name, line = found(r"one line of `([\w/.]+)`, after the line of SiLU: `(.+?)`\.", recipe)
    silu = re.search(r'^ *"silu".*\n', (copy / name).read_text(), re.MULTILINE)[0]
    replace(copy / name, silu, f"{silu}    {line}\n")


def add_notebook(copy: Path, recipe: str) -> None:
    (name,) = found(r"one file, `([\w/.]+)`", recipe)
    (title,) = found(r"title \(`(.+?)`\)", recipe)
    parameters, *code = (nbformat.v4.new_code_cell(block.rstrip("\n")) for block in blocks(recipe))
    parameters.metadata.tags = ["parameters"]
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_markdown_cell(title), parameters, *code])
    notebook.metadata.kernelspec = {"name": "python3", "display_name": "Python 3", "language": "python"}
    nbformat.write(notebook, copy / name)


@pytest.fixture(scope="module")
def copy(tmp_path_factory) -> Path:
    """A copy of the repository in which all recipes were followed."""
    copy, unwanted = tmp_path_factory.mktemp("recipes"), shutil.ignore_patterns("__pycache__", "*.failed.ipynb")
    for name in FOLDERS:
        shutil.copytree(paths.ROOT / name, copy / name, ignore=unwanted)
    for file in filter(Path.is_file, paths.ROOT.iterdir()):
        shutil.copy(file, copy)
    given = recipes((copy / "docs/extend.md").read_text())
    save_file(copy, given["A network"])
    add_to_table_1(copy, given["A network"])
    add_activation(copy, given["An activation"])
    save_file(copy, given["An experiment"])
    add_notebook(copy, given["A notebook"])
    return copy


def run(copy: Path, *command: str, **variables: str) -> subprocess.CompletedProcess:
    """`python -m ...` in the copy, with the copy's package."""
    environment = os.environ | {"PYTHONPATH": str(copy), "OMP_NUM_THREADS": "1"} | variables
    return subprocess.run(
        [sys.executable, "-m", *command],
        cwd=copy,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def run_well(copy: Path, *command: str, **variables: str) -> str:
    done = run(copy, *command, **variables)
    assert done.returncode == 0, done.stdout
    return done.stdout


def records_of(copy: Path) -> set[Path]:
    return {file.parent for file in (copy / "runs").glob("*/*/run.json")}


def test_what_the_recipes_add_is_well_formed(copy):
    run_well(copy, "ruff", "check", ".")
    run_well(copy, "ruff", "format", "--check", ".")


@pytest.mark.recipes
def test_tests_take_what_the_recipes_add(copy):
    wanted = "tiny or mish or cover or one_thing or same_seeds or title"
    files = (
        "models/test_models.py",
        "experiments/test_experiments.py",
        "experiments/test_head_rate.py",
        "report/test_plots.py",
    )
    out = run_well(copy, "pytest", "-q", *(f"tests/{file}" for file in files), "-k", wanted)
    assert int(re.search(r"(\d+) passed", out)[1]) > 12, out


def test_tests_say_what_a_new_notebook_lacks(copy):
    """Each in a sentence."""
    out = run(copy, "pytest", "-q", "tests/test_project.py", "tests/notebook/test_cells.py", "-k", "11_batch").stdout
    for words in (
        "no stored outputs of one run: python -m cifar_helpers notebook 11_batch_sizes",
        "needs the tag hide-input",
        "no finding rests on a check",
    ):
        assert words in out, words


SHOWN = """
from cifar_helpers import experiments, models
from cifar_helpers.analysis import grad_cam
assert "tiny" in models.NAMES and "tiny" not in grad_cam.networks("full")
for name in ("table_1", "activations_others", "batch_sizes"):
    assert experiments.recorded(name, "full"), name
assert {config.batch_size for config in experiments.configs("batch_sizes", "quick")} == {32, 16}
"""


def test_on_full_nothing_is_trained_and_what_has_not_run_is_named(copy):
    """As the report's notebooks ask for their runs."""
    before = records_of(copy)
    (copy / "shown.py").write_text(SHOWN)
    out = run_well(copy, "shown", CIFAR_PUBLISH="1")
    for words in (
        "1 of 6 runs of grad_cam_networks not yet run (tiny-muon): ",
        "tiny-muon): python -m cifar_helpers train table_1 --profile full",
        "3 of 33 runs of activations_others not yet run (resnet18-mish): ",
        "3 of 6 runs of batch_sizes not yet run (resnet18): python -m cifar_helpers train batch_sizes --profile full",
    ):
        assert words in out, (words, out)
    (copy / "shown.py").unlink()
    assert records_of(copy) == before


@pytest.mark.recipes
def test_the_new_notebook_on_full_trains_nothing(copy):
    before = records_of(copy)
    run_well(copy, "cifar_helpers", "notebook", "11_batch_sizes", "--profile", "full")
    assert "3 of 6 runs of batch_sizes not yet run" in (copy / "notebooks/11_batch_sizes.ipynb").read_text()
    assert not list((copy / "figures").glob("11_*")) and records_of(copy) == before


@pytest.mark.recipes
def test_the_new_notebook_trains_and_draws(copy):
    run_well(copy, "cifar_helpers", "notebook", "11_batch_sizes", "--profile", "smoke")
    assert (copy / "build/smoke/figures/11_batch_sizes.png").exists()
    assert len(list((copy / "build/smoke/runs/batch_sizes").iterdir())) == 4


CONCERNED = ("02_architectures", "03_activations", "06_best_model", "07_filters", "08_grad_cam")


@pytest.mark.recipes
@pytest.mark.parametrize("profile", ("full", "smoke"))
@pytest.mark.parametrize("name", CONCERNED)
def test_notebooks_take_what_the_recipes_add(copy, name, profile):
    before = records_of(copy)
    run_well(copy, "cifar_helpers", "notebook", name, "--profile", profile)
    assert records_of(copy) == before


@pytest.mark.recipes
def test_report_types_and_site_take_what_the_recipes_add(copy):
    run_well(copy, "mypy")
    run_well(copy, "sphinx", "-q", "-W", "-c", "site", "-d", "build/site-cache", ".", "build/site")
    assert (copy / "build/site/notebooks/11_batch_sizes.html").exists()
    run_well(copy, "cifar_helpers", "pdf", "--profile", "full")
