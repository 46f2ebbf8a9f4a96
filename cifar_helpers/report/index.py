"""figures/README.md: which notebook, which cell, which runs made a figure, and where it stands in the PDF.

All of it is read from the notebooks' source cells, from report.tex, and from which figures there are.
"""

import ast
import re
from dataclasses import dataclass
from pathlib import Path

from cifar_helpers import experiments
from cifar_helpers.core import files, notebook_file, paths

HEAD = """# Figures

Written by `python -m cifar_helpers pdf --profile full`. Each figure is made by the cell of its notebook that has the
figure's name in it (search for the name); the heading is the one above that cell. Runs: the experiments, folders in
[runs/](../runs), that the figure is drawn from; none where it needs no training. PDF: its number in
[the report](../report/report.pdf).

| | Figure | Notebook, heading | Runs | PDF |
| --- | --- | --- | --- | --- |
"""
# What reads an experiment's records without naming it in the notebook.
READERS = {"networks": "grad_cam_networks", "study": "search"}


@dataclass(frozen=True)
class Step:
    """What a statement of a cell does with names, and the experiments whose records it reads."""

    makes: set[str]
    changes: set[str]  # in place: table["time"] = ..., rows.append(...)
    takes: set[str]  # from earlier statements
    experiments: set[str]


@dataclass(frozen=True)
class Cell:
    """A code cell, with the heading above it."""

    heading: str
    source: str
    steps: list[Step]


def write_index() -> None:
    """Write figures/README.md."""
    files.write(paths.figures("full") / "README.md", figures_index())


def figures_index() -> str:
    """The index of the committed figures, as Markdown: a row per figure, by notebook.

    ValueError names a figure that no cell makes.
    """
    names = sorted(file.stem for file in paths.figures("full").glob("*.pdf"))
    notebooks = {path.stem: cells(path) for path in sorted((paths.ROOT / "notebooks").glob("[0-9]*.ipynb"))}
    place = {name: f"Figure {number}" for number, name in enumerate(_placed(names), start=1)}
    rows = []
    for name in names:
        notebook, made, at = _maker(name, notebooks)
        columns = [
            f'<img src="{name}.png" width="120" alt="">',
            f"[{name}]({name}.png)",
            f"[{notebook}](../notebooks/{notebook}.ipynb), {made[at].heading.replace('|', '/')}",
            ", ".join(sorted(_experiments(made, at))) or "none",
            place.get(name, "not shown"),
        ]
        rows.append(f"| {' | '.join(columns)} |")
    return HEAD + "\n".join(rows) + "\n"


def cells(notebook: Path) -> list[Cell]:
    """The code cells of a notebook, in order. ValueError names a file that is damaged."""
    found, heading = [], ""
    modules: set[str] = set()
    for cell in notebook_file.read(notebook).cells:
        source = cell.source
        if cell.cell_type == "markdown":
            heading = (re.findall(r"^#+ +(.+?) *$", source, re.MULTILINE) or [heading])[-1]
        elif cell.cell_type == "code":
            try:
                tree = ast.parse(re.sub(r"^[%!].*", "", source, flags=re.MULTILINE))
            except (SyntaxError, ValueError) as error:  # ValueError: a NUL
                raise notebook_file.damaged(notebook, error) from error
            imports = [node for node in ast.walk(tree) if isinstance(node, (ast.Import, ast.ImportFrom))]
            modules |= {alias.asname or alias.name for node in imports for alias in node.names}
            found.append(Cell(heading, source, [_step(statement, modules) for statement in tree.body]))
    return found


def _step(statement: ast.stmt, modules: set[str]) -> Step:
    nodes = list(ast.walk(statement))
    names = [node for node in nodes if isinstance(node, ast.Name)]
    stored = {node.id for node in names if isinstance(node.ctx, ast.Store)}
    loaded = {node.id for node in names if isinstance(node.ctx, ast.Load)}
    own = {node.arg for node in nodes if isinstance(node, ast.arg)}  # parameters of functions
    if isinstance(statement, (ast.FunctionDef, ast.ClassDef)):
        return Step({statement.name}, set(), loaded - own - stored, _reads(nodes))
    owners = [node.value for node in nodes if isinstance(node, ast.Subscript) and isinstance(node.ctx, ast.Store)]
    owners += [node.func.value for node in nodes if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute)]
    changes = {owner.id for owner in owners if isinstance(owner, ast.Name)} - modules - own
    if isinstance(statement, ast.Assign):  # x = x + 1 takes x; the variable of a comprehension is its own
        targets = {node.id for target in statement.targets for node in ast.walk(target) if isinstance(node, ast.Name)}
        stored, own = stored & targets, own | stored - targets
    elif isinstance(statement, ast.AugAssign):
        changes, stored = changes | stored, set()
    else:  # the variables of loops
        own = own | stored
    return Step(stored, changes, loaded - own, _reads(nodes))


def _reads(nodes: list[ast.AST]) -> set[str]:
    """The experiments whose records are asked for: `recorded("losses", ...)`, `experiments.losses(...)`."""
    read: set[str] = set()
    for node in nodes:
        if isinstance(node, ast.Call):
            called = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
            first = getattr(node.args[0], "value", None) if node.args else None
            read |= {name for name in (first, called) if isinstance(name, str) and name in experiments.EXPERIMENTS}
            read |= {READERS[called]} if called in READERS else set()
    return read


def _maker(name: str, notebooks: dict[str, list[Cell]]) -> tuple[str, list[Cell], int]:
    """The notebook, its cells, and the number of the one that has the figure's name in it."""
    notebook = next((stem for stem in notebooks if stem[:2] == name[:2]), "")
    for at, cell in enumerate(notebooks.get(notebook, [])):
        texts = re.findall(r'"(\d\d_[\w{}]+)"', cell.source)
        if any(re.fullmatch(re.sub(r"\{.*?\}", r"\\w+", text), name) for text in texts):
            return notebook, notebooks[notebook], at
    raise ValueError(f"no cell of a notebook makes figures/{name}: remove it, or run the notebook that wrote it")


def _experiments(made: list[Cell], at: int) -> set[str]:
    """The experiments that a cell reads, and those of all earlier statements that made what it uses."""
    found: set[str] = set()
    wanted: set[str] = set()
    earlier = [step for cell in made[:at] for step in cell.steps]
    for own, step in [*((False, step) for step in earlier), *((True, step) for step in made[at].steps)][::-1]:
        if own or (step.makes | step.changes) & wanted:
            found |= step.experiments
            wanted = wanted - step.makes | step.takes
    return found


def _placed(names: list[str]) -> list[str]:
    """The figures that the PDF shows, in its order: LaTeX numbers those that are there as they stand in report.tex."""
    tex = (paths.ROOT / "report" / "report.tex").read_text(encoding="utf-8").split(r"\begin{document}")[1]
    of_text = re.findall(r"\\resultfigure\{(\w+)\}", tex)
    further = [file.name.split(".")[0] for file in sorted(paths.generated("full").glob("*.figure.tex"))]
    return [name for name in [*of_text, *further] if name in names]
