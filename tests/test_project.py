"""What holds the repository together: one list of dependencies, clean notebooks, no result typed by hand."""

import hashlib
import itertools
import json
import re
import subprocess
import tomllib
from importlib import metadata

import nbformat
import pytest
import yaml
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet

from cifar_helpers import execution
from cifar_helpers.core import paths

NOTEBOOKS = sorted((paths.ROOT / "notebooks").glob("*.ipynb"))
PROJECT = tomllib.loads((paths.ROOT / "pyproject.toml").read_text())["project"]
DEPENDENCIES = [
    Requirement(line)
    for line in [*PROJECT["dependencies"], *itertools.chain(*PROJECT["optional-dependencies"].values())]
]
LOCK = [line for line in (paths.ROOT / "requirements.lock").read_text().splitlines() if not line.startswith("#")]


def test_lock_holds_versions_and_nothing_else():
    assert all(re.fullmatch(r"[A-Za-z0-9._-]+==[A-Za-z0-9.+!]+", line) for line in LOCK)
    assert len({line.split("==")[0].lower() for line in LOCK}) == len(LOCK)


@pytest.mark.parametrize("requirement", DEPENDENCIES, ids=str)
def test_locked_version_satisfies_pyproject(requirement):
    locked = dict(line.lower().replace("_", "-").split("==") for line in LOCK)
    assert locked[requirement.name.lower().replace("_", "-")] in requirement.specifier


@pytest.mark.parametrize("line", LOCK)
def test_locked_version_can_be_installed_with_the_oldest_python(line):
    """Debian 12 has 3.11.2: a package that asks for 3.11.5 ended `make report` there before it began."""
    try:
        # .get: a package need not name it, and where the importlib_metadata package is loaded, [] then raises
        wanted = metadata.metadata(line.partition("==")[0]).get("Requires-Python")
    except metadata.PackageNotFoundError:
        pytest.skip("not installed on this machine")
    assert PROJECT["requires-python"].removeprefix(">=") + ".0" in SpecifierSet(wanted or "")


def test_conda_environment_has_no_list_of_its_own():
    environment = yaml.safe_load((paths.ROOT / "environment.yml").read_text())
    *conda, pip = environment["dependencies"]
    assert {re.split("[=<>]", name)[0] for name in conda} == {"python", "nodejs", "make", "pip"}
    assert pip == {"pip": ["-c requirements.lock", "-e .[test,site]"]}
    python = next(name for name in conda if name.startswith("python="))
    assert python.removeprefix("python=") == PROJECT["requires-python"].removeprefix(">=")
    # the Makefile uses this environment, where it is active, by its name
    assert f"ifeq ($(CONDA_DEFAULT_ENV),{environment['name']})" in (paths.ROOT / "Makefile").read_text()


def test_latex_packages_are_the_same_everywhere():
    from cifar_helpers.report.pdf import LATEX_PACKAGES

    for file in ("Makefile", "report/install_latex.sh", "docs/rerun.md"):
        assert LATEX_PACKAGES in (paths.ROOT / file).read_text(), file


def test_checks_on_github_and_the_container_run_what_the_makefile_has():
    jobs = yaml.safe_load((paths.ROOT / ".github/workflows/test.yml").read_text())["jobs"]
    runs = {name: [step["run"] for step in job["steps"] if "run" in step] for name, job in jobs.items()}
    assert "make test" in runs["test"] and runs["site"] == ["make html"] and runs["publish"] == []
    assert jobs["test"]["strategy"]["matrix"]["python"][0] == PROJECT["requires-python"].removeprefix(">=")
    container = json.loads((paths.ROOT / ".devcontainer/devcontainer.json").read_text())
    commands = " ".join([*itertools.chain(*runs.values()), container["postCreateCommand"]])
    for target in set(re.findall(r"make (\S+)", commands)):
        subprocess.run(["make", "--dry-run", target], cwd=paths.ROOT, stdout=subprocess.PIPE, check=True)


def test_no_profile_but_full_writes_where_results_are_committed():
    for folder in (paths.runs, paths.figures, paths.notebooks, paths.generated):
        assert folder("full").is_relative_to(paths.ROOT) and "build" not in folder("full").parts
        for profile in ("smoke", "quick"):
            assert folder(profile).is_relative_to(paths.ROOT / "build" / profile)


def test_every_record_has_checksums_that_hold():
    folders = [file.parent for file in paths.runs("full").glob("*/*/run.json")]
    assert len(folders) > 200
    for folder in folders:
        lines = [line.split("  ") for line in (folder / "SHA256SUMS").read_text().splitlines()]
        assert {name for _, name in lines} == {file.name for file in folder.iterdir()} - {"SHA256SUMS"}, folder
        for digest, name in lines:
            assert hashlib.sha256((folder / name).read_bytes()).hexdigest() == digest, folder / name


def prose(tex: str) -> str:
    """The sentences of a LaTeX document: no preamble, comments, code, lengths, names of files, labels or macros."""
    tex = re.sub(r"(?<!\\)%.*", "", tex.split(r"\begin{document}")[1])
    tex = re.sub(
        r"\\(?:texttt|ref|label|cite|result|checked|ifmade|tablefloat|begin|end)\{[^}]*\}(\{[^}]*\})?", " ", tex
    )
    tex = tex.replace("CIFAR-10", "")
    tex = re.sub(r"\\result(?:figure|table)\{[^}]*\}", " ", tex)
    return re.sub(r"\\parbox\{[^}]*\}|\[[^]]*\]", " ", tex)


def typed_numbers(tex: str) -> list[str]:
    """Numbers in a document's prose, but for those in names (ResNet18, 32x4d), one digit, and the images' side."""
    found = re.findall(r"(?<![A-Za-z0-9_.,])(?:\d+(?:[.,]\d+)*|\.\d+)(?![A-Za-z0-9])", prose(tex))
    return [number for number in found if not re.fullmatch(r"\d|32", number)]


def test_report_has_no_number_typed_by_hand():
    assert typed_numbers((paths.ROOT / "report/report.tex").read_text()) == []


def test_report_refers_to_every_figure_table_and_reference():
    tex = (paths.ROOT / "report/report.tex").read_text().split(r"\begin{document}")[1]
    shown = {f"{kind[:3]}:{name}" for kind, name in re.findall(r"\\result(figure|table)\{(\w+)\}", tex)}
    assert shown <= set(re.findall(r"\\ref\{([^}]*)\}", tex))
    cited = {name for group in re.findall(r"\\cite\{([^}]*)\}", tex) for name in group.split(",")}
    assert cited == set(re.findall(r"@\w+\{([^,]*),", (paths.ROOT / "report/references.bib").read_text()))


def test_every_number_of_the_original_would_be_noticed():
    original = json.loads((paths.ROOT / "report/original_results.json").read_text())
    numbers = [
        value
        for row in [*original["table_1"], original["table_2"]]
        for value in row.values()
        if isinstance(value, (int, float))
    ]
    for number in [*numbers, 94.9, "22,992,714", "93", ".5"]:
        for sentence in (f"reaches {number}\\,\\% here", f"({number})", f"a ${number}$ b", f"was {number}."):
            assert typed_numbers(rf"\begin{{document}}{sentence}") == [str(number)]


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_notebook_is_clean(path):
    text, notebook = path.read_text(), nbformat.read(path, as_version=4)
    nbformat.validate(notebook)
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    tags = [tag for cell in code for tag in cell.metadata.get("tags", [])]
    assert tags.count("parameters") == 1 and "injected-parameters" not in tags
    assert all(len(cell.source.splitlines()) <= 40 for cell in code)
    assert not any("papermill" in part.metadata or "execution" in part.metadata for part in [notebook, *notebook.cells])
    assert "widgets" not in notebook.metadata and execution.WIDGET not in text
    assert "version" not in notebook.metadata.get("language_info", {})
    assert not any(output.output_type == "error" for cell in code for output in cell.outputs)
    assert not re.search(r"(?<![\w.:/])/(?:home|root|tmp|work|Users|mnt|opt)/\w", text), "a path of one machine"


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_notebook_is_rendered(path):
    code = [cell for cell in nbformat.read(path, as_version=4).cells if cell.cell_type == "code" and cell.source]
    run = [cell.execution_count for cell in code] == list(range(1, len(code) + 1))
    assert run, f"no stored outputs of one run: python -m cifar_helpers notebook {path.stem}"
    shown = any("image/png" in output.get("data", {}) for cell in code for output in cell.outputs)
    assert shown, f"no picture among the outputs of {path.name}: train its runs, then run it again"


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_every_picture_of_a_notebook_is_described(path):
    """For those who do not see it; `make html` shows the text with the picture."""
    cells = [cell for cell in nbformat.read(path, as_version=4).cells if cell.cell_type == "code"]
    shown = [cell for cell in cells if any("image/png" in output.get("data", {}) for output in cell.outputs)]
    texts = {cell.source: cell.metadata.get("mystnb", {}).get("image", {}).get("alt", "") for cell in shown}
    for source, text in texts.items():
        needed = 'metadata {"mystnb": {"image": {"alt": "what the picture shows"}}}, 60 to 250 letters'
        assert 60 <= len(text) <= 250, f"the cell of this picture needs the {needed}: {source}"
    assert len(set(texts.values())) == len(shown), "two pictures have the same alternative text"
