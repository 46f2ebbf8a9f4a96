"""Execute a notebook with papermill."""

import os
import shutil
import sys
import time
from pathlib import Path

import matplotlib
import nbformat
import papermill
from jupyter_client.kernelspec import NoSuchKernel
from nbclient.exceptions import CellTimeoutError
from papermill.exceptions import PapermillExecutionError

from cifar_helpers.core import files, notebook_file, notebook_outputs, paths
from cifar_helpers.core.profiles import PUBLISH
from cifar_helpers.core.progress import bar, tick

WIDGET = "application/vnd.jupyter.widget-view+json"
# variables that show warnings, with paths of this machine, or start the kernel of another environment
FOREIGN = ("PYTHONWARNINGS", "PYTHONDEVMODE", "JUPYTER_PATH")
PAPERMILL_METADATA = ("papermill", "execution", "widgets")  # timestamps, paths, and views without their state


def name_of(given: str) -> str:
    """The name of a notebook, which is given by its name or its file (`notebooks/02_architectures.ipynb`).

    Raises: ValueError for a file that is not in notebooks/, though one of its name may be.
    """
    folder, path = paths.ROOT / "notebooks", Path(given)
    if path.name != given and path.resolve().parent != folder.resolve():
        raise ValueError(f"{path.absolute()} is not in {folder}: {_choices(folder)}")
    return path.name.removesuffix(".ipynb")


def _choices(folder: Path) -> str:
    return f"choose from {', '.join(sorted(path.stem for path in folder.glob('*.ipynb')))}"


def execute(name: str, profile: str) -> int:
    """Run notebooks/<name>.ipynb with the profile; 0, or 1 after naming the cell that failed.

    The result is written when all cells have run, and what an earlier run wrote for the report and this one did not is
    removed. A half-run notebook stays in build/ as <name>.failed.ipynb. A second process
    that executes the same notebook waits for the first.

    Raises: ValueError where there is no such notebook, or another one of its number.
    """
    source = paths.ROOT / "notebooks" / f"{name}.ipynb"
    if not source.exists():
        raise ValueError(f"no notebook {name!r}; {_choices(source.parent)}")
    same = sorted(path.stem for path in source.parent.glob(f"{name[:2]}*.ipynb"))
    if name[:2].isdecimal() and len(same) > 1:
        raise ValueError(
            f"{' and '.join(same)} in {source.parent} have the same number, by which the files that a notebook writes "
            "are known: give one of them another"
        )
    output = files.folder(paths.notebooks(profile)) / f"{name}.ipynb"  # an error now, not after minutes
    # in build/ also where the output is not, so that nobody takes it for a notebook of its own
    failed = files.folder(paths.ROOT / "build" / profile / "notebooks") / f"{name}.failed.ipynb"
    waiting = f"{name} is being executed by another process; waiting for it"
    with files.lock(paths.ROOT / "build" / profile / f"{name}.lock", waiting):
        try:
            return _execute(source, failed, output, profile)
        except OSError as error:
            if error.errno not in files.UNWRITABLE:
                raise  # no free port, say, or too many open files
            raise files.unwritten(f"the notebook {failed}", error) from error


def _execute(source: Path, failed: Path, output: Path, profile: str) -> int:
    shown = bar(len(notebook_file.read(source).cells), output.stem, unit="cell")
    tick(shown)
    _set_environment(profile)
    before, started = notebook_outputs.of_notebook(output.stem, profile), time.monotonic()

    def show(cell: nbformat.NotebookNode, cell_index: int) -> None:
        shown.n = cell_index
        shown.set_postfix_str(cell.source.strip().partition("\n")[0][:60], refresh=False)

    def stopped(text: str) -> int:
        print(f"\n{source.name}{text}\nThe half-run notebook: {failed}", file=sys.stderr)
        return 1

    options: dict = dict(progress_bar=False, on_cell_start=show, shutdown_kernel="immediate")
    options |= dict(coalesce_streams=True)  # else it is a matter of time whether two prints are one output
    options |= dict(extra_arguments=["--log-level=ERROR"])  # else it warns that its messages are not encrypted
    options |= dict(parameters={"profile": profile}, cwd=source.parent, kernel_name="python3", start_timeout=180)
    try:
        with shown:
            papermill.execute_notebook(source, failed, **options)
    except PapermillExecutionError as error:
        # papermill's count begins at 0 and includes the cell that it injects: as a reader counts, it is the same
        line = error.source.strip().splitlines()[0]
        return stopped(f", cell {error.cell_index}: {error.ename}: {error.evalue}\nin: {line}")
    except (CellTimeoutError, NoSuchKernel, RuntimeError) as error:  # RuntimeError: the kernel died
        return stopped(
            f", cell {shown.n}: {error}; if its kernel died, most often the memory was full: close other programs and "
            "give the same command again"
        )
    clean(failed)
    if cells := without_image(failed):
        numbers = ", ".join(map(str, cells))
        return stopped(f": no picture in the output of cell {numbers}, which has an alternative text for one")
    with files.replacing(output) as temporary:  # build/ may be on another disk
        shutil.copyfile(failed, temporary)
    failed.unlink()
    for file in notebook_outputs.remove_unwritten(output.stem, profile, before):
        print(f"{source.name} does not write {file.name} any more: removed", file=sys.stderr)
    notebook_outputs.write_checksums(output.stem, profile)
    print(f"{source.name}: {shown.total} cells in {shown.format_interval(time.monotonic() - started)}, {output}")
    return 0


def _set_environment(profile: str) -> None:
    """What the kernel inherits: outputs are the same whoever runs it. plots.use_style undoes a matplotlibrc."""
    matplotlib.get_configdir()  # one that it cannot write is replaced here, else with a warning in the kernel's output
    for name in FOREIGN:
        os.environ.pop(name, None)
    # no dead bars in stored outputs, and the report's profile in every process
    os.environ |= {"TQDM_DISABLE": "1", "CIFAR_PROFILE": profile, PUBLISH: "1"}
    # IPython's files of the user may print, set pandas' digits, or draw SVG
    os.environ["IPYTHONDIR"] = str(files.folder(paths.ROOT / "build" / "ipython"))


def without_image(path: Path) -> list[int]:
    """The numbers, from 0, of an executed notebook's cells that describe a picture and have none in their output."""
    cells = enumerate(nbformat.read(path, as_version=4).cells)
    described = [(number, cell) for number, cell in cells if "image" in cell.metadata.get("mystnb", {})]
    return [n for n, cell in described if not any("image/png" in output.get("data", {}) for output in cell.outputs)]


def clean(path: Path) -> None:
    """Strip what changes with each run or names a machine; keep outputs, execution counts and parameters.

    papermill's injected cell goes too, so that the file can be run again with other parameters.
    Widgets go: without a kernel JupyterLab shows an error in their place, and each run gives them other names.
    """
    notebook = nbformat.read(path, as_version=4)
    notebook.cells = [cell for cell in notebook.cells if "injected-parameters" not in cell.metadata.get("tags", [])]
    for metadata in [notebook.metadata, *(cell.metadata for cell in notebook.cells)]:
        for key in PAPERMILL_METADATA:
            metadata.pop(key, None)
    notebook.metadata.get("language_info", {}).pop("version", None)  # of the machine's Python: 3.11.2 or 3.11.7
    for count, cell in enumerate((c for c in notebook.cells if c.cell_type == "code"), start=1):
        cell.execution_count = count
        cell.outputs = [output for output in cell.outputs if WIDGET not in output.get("data", {})]
        for output in cell.outputs:
            if "execution_count" in output:
                output.execution_count = count
    nbformat.write(notebook, path)
