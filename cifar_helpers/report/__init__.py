"""Save a figure, a table, a number where the report finds it; build the PDF.

Only build_pdf() needs LaTeX. Each generated .tex file begins with its profile, so that the PDF can tell it.
"""

import json
import math
import os
import re
import shutil
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from numbers import Integral, Real
from pathlib import Path

import pandas as pd
from matplotlib.figure import Figure
from matplotlib.image import AxesImage

from cifar_helpers import experiments
from cifar_helpers.analysis import statistics
from cifar_helpers.core import files, paths
from cifar_helpers.report import runs_table

LATEX_PACKAGES = "latexmk texlive-latex-recommended texlive-latex-extra lmodern"  # Debian's and Ubuntu's names
ESCAPES = str.maketrans(
    {
        "\\": r"\textbackslash{}",
        "~": r"\textasciitilde{}",
        "^": r"\textasciicircum{}",
        **{character: "\\" + character for character in "&%$#_{}"},
    }
)


def save_figure(figure: Figure, name: str, profile: str, of: str = "", caption: str = "") -> None:
    """Write figures/<name>.pdf (for the report) and .png (150 dpi, for a reader), marked where not of `full`.

    `of` is the profile whose runs the figure shows, where that is not the notebook's own. With a caption (plain text)
    the figure stands in the report's appendix; those without one are placed by report.tex.
    """
    _check_name(name)
    shown = of or profile
    if not any(text.get_gid() == "profile" for text in figure.texts):  # saved twice, marked once
        if shown == "smoke":
            figure.text(
                0.5,
                0.5,
                "SYNTHETIC",
                gid="profile",
                fontsize=42,
                color="crimson",
                alpha=0.3,
                rotation=20,
                ha="center",
                va="center",
                zorder=100,
            )
        elif shown != "full":
            figure.text(1, 1, f"{shown} profile", gid="profile", fontsize=7, color="grey", ha="right", va="top")
    folder = paths.figures(profile)
    folder.mkdir(parents=True, exist_ok=True)
    # without the date, the same figure is the same file
    told = {"CreationDate": None, "Keywords": f"profile: {shown}"}
    with _own_pixels(figure):
        figure.savefig(folder / f"{name}.pdf", bbox_inches="tight", metadata=told)
    figure.savefig(folder / f"{name}.png", bbox_inches="tight", dpi=150)
    _further("figure", name, caption, profile)


@contextmanager
def _own_pixels(figure: Figure) -> Iterator[None]:
    """Images go into a PDF as they are, instead of unevenly resampled to the figure's resolution."""
    images = figure.findobj(AxesImage)
    before = [image.get_interpolation() for image in images]
    try:
        for image in images:
            image.set_interpolation("none")
        yield
    finally:
        for image, interpolation in zip(images, before):
            image.set_interpolation(interpolation)


def discard_figure(name: str, profile: str) -> None:
    """Remove a figure whose runs are not there, so that an older one is not taken for theirs."""
    _check_name(name)
    for kind in ("pdf", "png"):
        (paths.figures(profile) / f"{name}.{kind}").unlink(missing_ok=True)


def save_table(frame: pd.DataFrame, name: str, profile: str, caption: str = "", **options) -> None:
    """Write generated/<name>.tex, a booktabs tabular of the frame; `options` are those of Styler.format.

    Text is escaped, floats have two decimals, a missing value is a dash, mere row numbers are left out. With a caption
    the table stands in the report's appendix.
    """
    _check_name(name)
    _write(paths.generated(profile) / f"{name}.tex", _tabular(frame, **options), profile)
    _further("table", name, caption, profile)


def _further(kind: str, name: str, caption: str, profile: str) -> None:
    """Where there is a caption, write generated/further_<name>.tex, which the report's appendix reads."""
    if caption:
        text = rf"\result{kind}{{{name}}}{{{caption.translate(ESCAPES)}}}"
        _write(paths.generated(profile) / f"further_{name}.tex", text, profile)


COMPARISON = {
    "rate": "Rate",
    "strength": "Strength",
    "train": "Train %",
    "mean": "Test %",
    "sd": "s.d.",
    "n": "Seeds",
    "diverged": "Diverged",
    "difference": "Difference",
    "low": "95 % low",
    "high": "95 % high",
}


def save_comparison(table: pd.DataFrame, what: str, name: str, profile: str) -> None:
    """save_table for a `statistics.table`: the columns of COMPARISON that it has; `what` heads the options' column."""
    table = table[[column for column in COMPARISON if column in table]].rename(columns=COMPARISON)
    save_table(table.rename_axis(what).reset_index(), name, profile)


CLAIM = ["The original says", "These runs", "Effect", "Could its evidence show it?"]


def save_claims(claims: list[tuple[str, str, str, str]], source: str, profile: str) -> None:
    """Write generated/claims_<source>.csv: the original's conclusions, in the columns of CLAIM.

    An effect is a difference with its interval, as text. `conclusions` puts those of all notebooks together.
    """
    _check_name(source)
    file = paths.generated(profile) / f"claims_{source}.csv"
    file.parent.mkdir(parents=True, exist_ok=True)
    pd.DataFrame(claims, columns=CLAIM).assign(Size=str(profile)).to_csv(file, index=False)


def conclusions(profile: str) -> pd.DataFrame:
    """A row per conclusion of the original, in the order of the notebooks: CLAIM, and the profile of its runs, Size.

    An effect that is of a smaller profile's runs says so.
    """
    files = sorted(paths.generated(profile).glob("claims_*.csv"))
    rows = [pd.read_csv(file, dtype=str, keep_default_na=False) for file in files]
    found = pd.concat(rows, ignore_index=True) if rows else pd.DataFrame(columns=[*CLAIM, "Size"])
    found.loc[found["Size"].ne(profile), CLAIM[2]] += " (miniature run)"
    return found


def write_conclusions(readme: Path) -> None:
    """Put the committed conclusions into the README, between its two comments that name them."""
    found = conclusions("full")
    rows = [CLAIM, ["---"] * len(CLAIM), *found[CLAIM].to_numpy().tolist()]
    lines = ["| " + " | ".join(text.replace("|", "/") for text in row) + " |" for row in rows]
    before, _, rest = readme.read_text().partition("<!-- conclusions -->\n")
    _, end, after = rest.partition("<!-- end of conclusions -->")
    if not end:
        raise ValueError(f"{readme} has lost the comments between which the conclusions stand")
    told = f"Ablations: {experiments.described(experiments.ablation('full'), 'full')} {_chance(found)}"
    readme.write_text(before + "\n".join(["<!-- conclusions -->", *lines, "", told, end]) + after)


def save_numbers(numbers: dict[str, str | int | float], source: str, profile: str) -> None:
    """Write generated/numbers_<source>.tex, a LaTeX macro per number: {"bestEpochs": 30} makes \\bestEpochs.

    Integers get thousands separators, other numbers two decimals, text is escaped.
    """
    _check_name(source)
    _write(paths.generated(profile) / f"numbers_{source}.tex", _macros(numbers), profile)


def build_pdf(profile: str) -> Path:
    """Compile report/report.tex with the profile's figures, tables and numbers; the path of its report.pdf.

    What has not been run yet is a box in the PDF that says so. FileNotFoundError names the packages to install
    where LaTeX is missing, ChildProcessError holds LaTeX's first error.
    """
    if shutil.which("latexmk") is None:
        raise FileNotFoundError(f"latexmk is missing; install the packages {LATEX_PACKAGES}")
    work = files.folder(paths.ROOT / "build" / profile / "latex")
    with files.lock(work / "lock", "the PDF is being built by another process; waiting for it"):
        return _build_pdf(profile, work)


def _build_pdf(profile: str, work: Path) -> Path:
    if len(found := conclusions(profile)):
        widths = "".join(
            rf">{{\raggedright\arraybackslash}}p{{{share}\linewidth}}" for share in (0.26, 0.19, 0.23, 0.32)
        )
        _write(paths.generated(profile) / "conclusions.tex", _tabular(found[CLAIM], column_format=widths), profile)
    _write(paths.generated(profile) / "runs.tex", runs_table.runs_tex(profile), profile)
    _write(work / "inputs.tex", _inputs(profile), profile)
    relative = work.relative_to(paths.ROOT).as_posix()  # relative to ROOT: no spaces or # of someone's folder
    command = [
        "latexmk",
        "-pdf",
        "-interaction=nonstopmode",
        "-halt-on-error",
        "-file-line-error",
        f"-outdir={relative}",
        "-usepretex=" + rf"\def\inputsFolder{{{relative}}}",
        "report/report.tex",
    ]
    environment = os.environ | {"BIBINPUTS": f"{paths.ROOT / 'report'}{os.pathsep}", "max_print_line": "1000"}
    done = subprocess.run(command, cwd=paths.ROOT, env=environment, capture_output=True, text=True, errors="replace")
    if done.returncode:
        lines = done.stdout.splitlines()
        errors = [line for line in lines if re.match(r"(!|\S+\.(tex|sty):\d+:)", line)]
        missing = next((m[1] for line in lines if (m := re.search(r"File `(\S+\.sty)' not found", line))), None)
        hint = f"; {missing} is in the packages {LATEX_PACKAGES}" if missing else ""
        raise ChildProcessError(
            f"LaTeX: {(errors or lines[-1:] or [done.stderr.strip()])[0]}{hint}; the log: {work / 'report.log'}"
        )
    pdf = paths.report(profile) / "report.pdf"
    pdf.parent.mkdir(parents=True, exist_ok=True)
    shutil.copy2(work / "report.pdf", pdf)
    os.utime(pdf)  # latexmk leaves an unchanged PDF's time, and make compares times
    return pdf


def _inputs(profile: str) -> str:
    """What report.tex reads first: the profile, where its figures and tables lie, and every number."""
    generated = paths.generated(profile)
    miniatures = _miniatures(profile)
    folders = {
        name: path.relative_to(paths.ROOT).as_posix()
        for name, path in (("figures", paths.figures(profile)), ("generated", generated))
    }
    lines = [
        rf"\newcommand{{\reportProfile}}{{{profile}}}",
        *([r"\newcommand{\someMiniatures}{}"] if miniatures else []),
        *(rf"\expandafter\newcommand\csname miniature@{name}\endcsname{{}}" for name in miniatures),
        rf"\newcommand{{\generatedFolder}}{{{folders['generated']}}}",
        rf"\newcommand{{\figuresFolder}}{{{folders['figures']}}}",
        _macros(_original_numbers(_original())),
    ]
    if len(found := conclusions(profile)):
        lines.append(_macros(_verdicts(found, profile)))
    lines += [rf"\input{{{folders['generated']}/{path.name}}}" for path in sorted(generated.glob("numbers_*.tex"))]
    further = [rf"\input{{{folders['generated']}/{path.name}}}" for path in sorted(generated.glob("further_*.tex"))]
    lines += [rf"\newcommand{{\further}}{{{''.join(further)}}}"] if further else []
    return "\n".join(lines)


def _verdicts(found: pd.DataFrame, profile: str) -> dict[str, int | str]:
    """How many of the original's conclusions hold, hold in part, fall, or stay open: by a verdict's first words.

    And how many rest on runs of a smaller profile, and what chance alone would show among their intervals.
    """
    verdicts = found[CLAIM[1]]
    part = verdicts.str.startswith(("holds in part", "can be shown"))
    held, unclear = verdicts.str.startswith("holds") & ~part, verdicts.str.startswith("cannot")
    of = {"Count": verdicts.notna(), "Hold": held, "Part": part, "Open": unclear, "Fall": ~(held | part | unclear)}
    of["Small"] = found["Size"].ne(profile)
    counts = {f"conclusions{name}": int(rows.sum()) for name, rows in of.items()}
    return counts | {"conclusionsChance": _chance(found)}


def _chance(found: pd.DataFrame) -> str:
    return statistics.chance(int(found[CLAIM[2]].str.count(r"\[").sum()))


def _miniatures(profile: str) -> list[str]:
    """The figures, tables and files of numbers in which runs of a small profile stand in for full ones."""
    if profile != "full":
        return []
    figures = {
        path.stem: re.search(rb"/Keywords \(profile: (\w+)\)", path.read_bytes())
        for path in paths.figures(profile).glob("*.pdf")
    }
    of = {name: found[1].decode() for name, found in figures.items() if found}
    for path in paths.generated(profile).glob("*.tex"):
        of[path.stem] = path.read_text().split("\n", 1)[0].removeprefix("% profile: ")
    return sorted(name for name, shown in of.items() if shown != profile)


def _original() -> dict:
    return json.loads((paths.ROOT / "report" / "original_results.json").read_text())


def _original_numbers(original: dict) -> dict[str, str | int | float]:
    """The original report's numbers that our sentences quote."""
    best, norm = original["table_2"], original["batch_norm"]
    return {
        "originalEpochs": original["table_1_epochs"],
        "originalBestModel": best["model"],
        "originalBestEpochs": best["epochs"],
        "originalBestActivation": best["activation"],
        "originalBestOptimizer": best["optimizer"],
        "originalBestTestError": 100 - best["test_accuracy"],
        "originalNormModel": norm["model"],
        "originalNormSteps": norm["steps"],
        "originalNormRates": ", ".join(f"{rate:g}" for rate in sorted(norm["learning_rates"])),
    }


def _tabular(frame: pd.DataFrame, column_format: str | None = None, **options) -> str:
    style = frame.style.format(**{"escape": "latex", "precision": 2, "na_rep": "--", **options})
    style = style.format_index(escape="latex", axis=0).format_index(escape="latex", axis=1)
    if isinstance(frame.index, pd.RangeIndex):
        style = style.hide(axis="index")
    return style.to_latex(hrules=True, column_format=column_format)


def _macros(numbers: Mapping[str, str | int | float]) -> str:
    for name in numbers:
        if not re.fullmatch("[A-Za-z]+", name):
            raise ValueError(f"{name!r} cannot be a LaTeX macro: letters only, so write Eighteen for 18")
    return "\n".join(rf"\newcommand{{\{name}}}{{{_text(value).translate(ESCAPES)}}}" for name, value in numbers.items())


def _text(value: str | int | float) -> str:
    if isinstance(value, Integral):
        return f"{value:,}"
    if isinstance(value, Real):
        return f"{value:.2f}" if math.isfinite(value) else "n/a"
    return str(value)


def _check_name(name: str) -> None:
    if not re.fullmatch("[A-Za-z0-9_]+", name):
        raise ValueError(f"{name!r} cannot name a file of the report: letters, digits and _ only")


def _write(path: Path, text: str, profile: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"% profile: {profile}\n{text.rstrip()}\n")
