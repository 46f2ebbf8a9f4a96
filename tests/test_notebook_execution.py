import errno
import os
import re
import subprocess
import sys

import nbformat
import papermill
import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook

from cifar_helpers import cli, execution
from cifar_helpers.core import paths


@pytest.fixture
def project(tmp_path, monkeypatch):
    """An empty repository with the folders of this one."""
    monkeypatch.setattr(paths, "ROOT", tmp_path)
    (tmp_path / "notebooks").mkdir()
    return tmp_path


def write(project, name, *code):
    parameters = new_code_cell('profile: str = ""', metadata={"tags": ["parameters"]})
    cells = [new_markdown_cell("# A question"), parameters, *map(new_code_cell, code)]
    kernel = {"name": "python3", "display_name": "Python 3", "language": "python"}
    nbformat.write(new_notebook(cells=cells, metadata={"kernelspec": kernel}), project / "notebooks" / f"{name}.ipynb")


def test_failing_cell_is_named_and_the_half_run_notebook_kept(project, capsys):
    write(project, "09_bad", "print('before')", "1 / 0")
    assert cli.main(["notebook", "09_bad", "--profile", "smoke"]) == 1
    told = capsys.readouterr().err
    assert (
        "09_bad.ipynb, cell 4" in told
        and "ZeroDivisionError" in told
        and "in: 1 / 0" in told
        and "09_bad.failed.ipynb" in told
    )
    half = nbformat.read(project / "build/smoke/notebooks/09_bad.failed.ipynb", as_version=4)
    assert any("before" in str(cell.get("outputs")) for cell in half.cells)
    assert not (project / "build/smoke/notebooks/09_bad.ipynb").exists()


def test_a_notebook_whose_kernel_dies_is_named(project, capsys):
    write(project, "09_dead", "import os, signal\nos.kill(os.getpid(), signal.SIGKILL)")
    assert cli.main(["notebook", "09_dead", "--profile", "smoke"]) == 1
    told = capsys.readouterr().err
    assert "09_dead.ipynb, cell 3: Kernel died" in told and "close other programs and give the same command" in told
    assert "09_dead.failed.ipynb" in told and "Traceback" not in told


def test_one_line_says_what_was_made_and_the_kernel_says_nothing(project, capfd):
    write(project, "01_good", "1 + 1")
    assert execution.execute("01_good", "smoke") == 0
    printed = capfd.readouterr()
    assert re.fullmatch(r"01_good\.ipynb: 3 cells in \d\d:\d\d, .*/build/smoke/notebooks/01_good\.ipynb\n", printed.out)
    assert printed.err == ""


def test_notebook_runs_with_the_profile_and_is_cleaned(project):
    write(
        project,
        "01_good",
        "import os; print(profile, os.environ['CIFAR_PROFILE'])",
        "from cifar_helpers.core.progress import bar\nwith bar(3, 'steps') as b: b.update()",
        "import ipywidgets\nipywidgets.IntSlider()",
        "from IPython.display import Markdown\nfrom cifar_helpers.notebook import controls\n"
        "controls.play(lambda n: Markdown(f'n is {n}'), n=ipywidgets.IntSlider(2))",
    )
    assert execution.execute("01_good", "smoke") == 0
    path = project / "build/smoke/notebooks/01_good.ipynb"
    assert str(project) not in path.read_text()
    notebook = nbformat.read(path, as_version=4)
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert [cell.execution_count for cell in code] == [1, 2, 3, 4, 5]
    assert code[1].outputs[0].text == "smoke smoke\n"
    assert code[2].outputs == []  # no dead progress bar
    assert code[3].outputs == []  # no control without its kernel
    first, note = (output.data for output in code[4].outputs)  # but its picture, and how to get it
    assert first["text/markdown"] == "n is 2" and "Run All Cells" in note["text/html"]
    for metadata in [notebook.metadata, *(cell.metadata for cell in notebook.cells)]:
        assert not set(metadata) & set(execution.PAPERMILL_METADATA)
    assert "version" not in notebook.metadata["language_info"]
    assert not (project / "build/smoke/notebooks/01_good.failed.ipynb").exists()


def test_what_a_notebook_does_not_write_any_more_is_removed(project, capsys):
    generated = project / "build/smoke/report/generated"
    generated.mkdir(parents=True)
    for name in ("01_gone.table.tex", "01_gone.tex", "02_other.tex", "conclusions.tex"):
        (generated / name).write_text("of before")
    save = "from cifar_helpers.core import paths\nfrom pathlib import Path\n"
    save += f"paths.ROOT = Path({str(project)!r})\nfrom cifar_helpers import report\n"
    save += "report.save_numbers({'number': 1}, '01_numbers', profile)"
    write(project, "01_good", save, "1 / 0")
    assert execution.execute("01_good", "smoke") == 1
    assert len(list(generated.iterdir())) == 5  # it may not have come to what is missing
    write(project, "01_good", save)
    assert execution.execute("01_good", "smoke") == 0
    left = sorted(file.name for file in generated.iterdir())
    assert left == ["01_good.sha256", "01_numbers.tex", "02_other.tex", "conclusions.tex"]
    assert "01_good.ipynb does not write 01_gone.tex any more: removed" in capsys.readouterr().err


def test_unknown_notebook_lists_the_choices(project, capsys):
    write(project, "01_good")
    assert cli.main(["notebook", "01_goood", "--profile", "smoke"]) == 1
    assert "no notebook '01_goood'; choose from 01_good" in capsys.readouterr().err


def test_a_copy_of_a_notebook_does_not_write_over_its_files(project, capsys):
    """JupyterLab's own name for a copy."""
    write(project, "01_good", "print('good')")
    write(project, "01_good-Copy1", "print('copy')")
    for name in ("01_good", "01_good-Copy1"):
        assert cli.main(["notebook", name, "--profile", "smoke"]) == 1
        told = capsys.readouterr().err
        assert "01_good and 01_good-Copy1 in" in told and "have the same number" in told and told.count("\n") == 1
    (project / "notebooks/01_good-Copy1.ipynb").rename(project / "notebooks/11_mine.ipynb")
    assert execution.execute("01_good", "smoke") == 0


def test_a_half_run_notebook_of_the_full_profile_is_no_notebook_of_its_own(project, capsys):
    write(project, "01_bad", "1 / 0")
    assert cli.main(["notebook", "01_bad", "--profile", "full"]) == 1
    assert "build/full/notebooks/01_bad.failed.ipynb" in capsys.readouterr().err
    assert [path.name for path in (project / "notebooks").iterdir()] == ["01_bad.ipynb"]


@pytest.mark.parametrize(
    "given", ["../01_good.ipynb", "/etc/01_good", "build/smoke/notebooks/01_good.ipynb", "../", "", ".."]
)
def test_a_path_outside_is_one_sentence(project, monkeypatch, capsys, given):
    write(project, "01_good")
    monkeypatch.chdir(project)
    assert cli.main(["notebook", given, "--profile", "smoke"]) == 1
    told = capsys.readouterr().err
    assert told.count("\n") == 1 and "choose from 01_good" in told
    assert given in ("", "..") or f"is not in {project / 'notebooks'}" in told


def test_a_notebook_is_known_by_its_file_from_any_folder(project, monkeypatch):
    for folder, given in ((".", "notebooks/01_a.ipynb"), ("notebooks", "./01_a.ipynb"), ("notebooks", "01_a")):
        monkeypatch.chdir(project / folder)
        assert execution.name_of(given) == execution.name_of(str(project / "notebooks/01_a.ipynb")) == "01_a"


def test_a_flipped_bit_in_a_notebook_is_one_sentence(project, capsys):
    write(project, "01_bad", "'a picture'")
    path = project / "notebooks/01_bad.ipynb"
    whole = path.read_bytes()
    for place, bit in ((whole.index(b"{"), 1), (whole.index(b"code"), 2), (whole.index(b"picture"), 128), (0, 0)):
        damaged = bytearray(whole)
        damaged[place] ^= bit
        path.write_bytes(damaged if bit else whole[: len(whole) // 2])
        assert cli.main(["notebook", "01_bad", "--profile", "smoke"]) == 1
        told = capsys.readouterr().err
        assert told.startswith(f"error: the notebook {path} is damaged (") and told.count("\n") == 1
        assert "git restore" in told


def test_train_command_names_the_choices(capsys):
    assert cli.main(["train", "table_9", "--profile", "smoke"]) == 1
    assert "choose from table_1" in capsys.readouterr().err
    assert cli.main(["train", "table_1", "--profile", "tiny"]) == 1
    assert "choose from smoke, quick, full" in capsys.readouterr().err


FIGURE = """\
from pathlib import Path
from cifar_helpers.core import paths
paths.ROOT = Path(ROOT)
import matplotlib.pyplot as plt
from cifar_helpers import notebook, report
profile = notebook.start(globals())
report.show(plt.subplots()[0], "01_nothing", profile)"""


@pytest.mark.parametrize("backend", [None, "Agg"])
def test_a_figure_is_in_the_notebook_whatever_the_callers_backend(project, monkeypatch, backend):
    if backend:
        monkeypatch.setenv("MPLBACKEND", backend)
    write(project, "01_good", f"ROOT = {str(project)!r}\n{FIGURE}")
    assert execution.execute("01_good", "smoke") == 0
    cells = nbformat.read(project / "build/smoke/notebooks/01_good.ipynb", as_version=4).cells
    assert "image/png" in cells[-1].outputs[-1].data
    assert (project / "build/smoke/figures/01_nothing.png").exists()


def test_settings_of_the_caller_do_not_change_what_is_stored(project, monkeypatch, tmp_path_factory):
    drawn = f"import warnings\nROOT = {str(project)!r}\n{FIGURE}\nimport pandas as pd\nprint(pd.Series([1 / 3]))\n"
    write(project, "01_good", drawn + "warnings.warn('read by nobody', ResourceWarning)")
    stored = []
    for own in ({}, settings(tmp_path_factory.mktemp("settings"))):
        for name, value in own.items():
            monkeypatch.setenv(name, value)
        assert execution.execute("01_good", "smoke") == 0
        cells = nbformat.read(project / "build/smoke/notebooks/01_good.ipynb", as_version=4).cells
        figures = [file.read_bytes() for file in sorted((project / "build/smoke/figures").iterdir())]
        stored.append(([cell.get("outputs") for cell in cells], figures))
    assert stored[0] == stored[1] and len(stored[0][1]) == 2


def settings(folder) -> dict[str, str]:
    """Variables of a user who has settings of IPython, Matplotlib, Jupyter and Python."""
    files = {
        "ipython/profile_default/startup/00.py": "print('hi'); import pandas; pandas.options.display.precision = 1",
        "ipython/profile_default/ipython_kernel_config.py": "c.InlineBackend.figure_formats = {'svg'}",
        "matplotlibrc": "axes.linewidth: 9\nsavefig.facecolor: red\nfigure.facecolor: red\n",
        "jupyter/kernels/python3/kernel.json": '{"argv": ["false"], "display_name": "None", "language": "python"}',
    }
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    names = {"IPYTHONDIR": "ipython", "MATPLOTLIBRC": "matplotlibrc", "JUPYTER_PATH": "jupyter"}
    return {name: str(folder / file) for name, file in names.items()} | {"PYTHONWARNINGS": "always"}


@pytest.mark.slow
def test_a_home_that_cannot_be_written_leaves_no_warning_in_what_is_stored(project):
    """Matplotlib's, which names folders of the machine: as in a container that is run with another user's number."""
    write(project, "01_good", f"ROOT = {str(project)!r}\n{FIGURE}")
    code = "import sys, pathlib; from cifar_helpers.core import paths; paths.ROOT = pathlib.Path(sys.argv[1]); "
    code += "from cifar_helpers import execution; sys.exit(execution.execute('01_good', 'smoke'))"
    mine = {name: value for name, value in os.environ.items() if not name.startswith(("MPL", "XDG", "IPYTHON"))}
    environment = mine | {"HOME": "/proc/none", "PYTHONPATH": os.pathsep.join(sys.path)}
    subprocess.run([sys.executable, "-c", code, str(project)], env=environment, check=True)
    cells = nbformat.read(project / "build/smoke/notebooks/01_good.ipynb", as_version=4).cells
    kinds = [output.output_type for cell in cells for output in cell.get("outputs", [])]
    assert kinds == ["display_data", "display_data"]  # the mark of the profile, the figure


def test_a_figure_that_is_not_in_the_output_is_an_error(project, capsys):
    write(project, "01_bad", "'no picture'")
    path = project / "notebooks/01_bad.ipynb"
    notebook = nbformat.read(path, as_version=4)
    notebook.cells[-1].metadata["mystnb"] = {"image": {"alt": "A curve that falls."}}
    nbformat.write(notebook, path)
    assert execution.execute("01_bad", "smoke") == 1
    assert "no picture in the output of cell 2" in capsys.readouterr().err
    assert not (project / "build/smoke/notebooks/01_bad.ipynb").exists()


def test_an_error_of_the_system_that_is_no_full_disk_is_not_called_one(project, monkeypatch, capsys):
    write(project, "01_any", "1")

    def no_port(*arguments, **options):
        raise OSError(errno.EADDRINUSE, "Address already in use")

    monkeypatch.setattr(papermill, "execute_notebook", no_port)
    assert cli.main(["notebook", "01_any", "--profile", "smoke"]) == 1
    told = capsys.readouterr().err
    assert "Address already in use" in told and "disk" not in told and "written" not in told
