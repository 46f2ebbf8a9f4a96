"""The report: report.tex with a profile's figures, tables and numbers. Only this module needs LaTeX."""

import json
import os
import re
import shutil
import subprocess
from pathlib import Path

from cifar_helpers import experiments
from cifar_helpers.core import files, notebook_outputs, paths
from cifar_helpers.data.splits import VALIDATION_IMAGES
from cifar_helpers.report import generated, runs_table
from cifar_helpers.report.claims import CLAIM, conclusions, verdicts
from cifar_helpers.report.numbers import macros
from cifar_helpers.report.tables import tabular

LATEX_PACKAGES = "latexmk texlive-latex-recommended texlive-latex-extra lmodern"  # Debian's and Ubuntu's names


def build_pdf(profile: str) -> Path:
    """Compile report/report.tex with the profile's figures, tables and numbers; the path of its report.pdf.

    What has not been run is left out and named. FileNotFoundError names the packages to install where LaTeX is missing,
    ChildProcessError holds LaTeX's first error, ValueError names a file that is not as its notebook wrote it.
    """
    if shutil.which("latexmk") is None:
        raise FileNotFoundError(f"latexmk is missing; install the packages {LATEX_PACKAGES}")
    notebook_outputs.check(profile)
    build = files.folder(paths.ROOT / "build" / profile)
    with files.lock(build / "latex.lock", "the PDF is being built by another process; waiting for it"):
        # Always from nothing, in a folder of this process's own: nothing that a killed run left behind (files that are
        # cut, latexmk's database, a LaTeX that is still running) can reach this one.
        shutil.rmtree(build / "latex", ignore_errors=True)
        return _build_pdf(profile, files.folder(build / "latex" / str(os.getpid())))


def _build_pdf(profile: str, work: Path) -> Path:
    _write_tables(profile)
    files.write(work / "inputs.tex", _inputs(profile))
    _latexmk(work)
    pdf = paths.report(profile) / "report.pdf"
    with files.replacing(pdf) as file:
        shutil.copyfile(work / "report.pdf", file)
    return pdf


def _write_tables(profile: str) -> None:
    """The tables that no notebook alone can write."""
    if len(found := conclusions(profile)):
        widths = "".join(
            rf">{{\raggedright\arraybackslash}}p{{{share}\linewidth}}" for share in (0.26, 0.12, 0.32, 0.22)
        )
        caption = r"\conclusionsCaption\label{tab:conclusions}"
        generated.write("conclusions", tabular(found[CLAIM], column_format=widths, long_caption=caption), profile)
    generated.write("experiments", runs_table.experiments_tex(profile), profile)


def _latexmk(work: Path) -> None:
    """Compile in `work`. All paths are relative to the repository, so the names of the folders above do not matter."""
    relative = work.relative_to(paths.ROOT).as_posix()
    sources = os.path.relpath(paths.ROOT / "report", work)  # bibtex runs in `work` or in the repository, by its age
    command = [
        "latexmk",
        "-norc",
        "-pdf",
        "-interaction=nonstopmode",
        "-halt-on-error",
        "-file-line-error",
        f"-outdir={relative}",
        "-usepretex=" + rf"\def\inputsFolder{{{relative}}}",
        "report/report.tex",
    ]
    environment = os.environ | {"BIBINPUTS": os.pathsep.join(["report", sources, ""]), "max_print_line": "1000"}
    done = subprocess.run(
        command, cwd=paths.ROOT, env=environment, capture_output=True, encoding="utf-8", errors="replace"
    )
    if done.returncode:
        raise ChildProcessError(f"LaTeX: {_reason(done)}; the log: {work / 'report.log'}")


def _reason(done: subprocess.CompletedProcess) -> str:
    """LaTeX's first error, else latexmk's own summary, else the last line that was printed; never empty."""
    lines = [line.strip() for line in f"{done.stdout}\n{done.stderr}".splitlines() if line.strip()]
    errors = [line for line in lines if re.match(r"(!|\S+\.(tex|sty|bib):\d+:)", line)]
    if not errors and "Collected error summary" in done.stderr + done.stdout:
        at = next(number for number, line in enumerate(lines) if "Collected error summary" in line)
        errors = [" ".join(lines[at + 1 : at + 3])]
    missing = next((m[1] for line in lines if (m := re.search(r"File `(\S+\.sty)' not found", line))), None)
    full = "; free some disk space and give the same command again" * ("No space left on device" in " ".join(lines))
    hint = f"; {missing} is in the packages {LATEX_PACKAGES}" if missing else full
    return (errors or lines[-1:] or [f"latexmk ended with {done.returncode} and said nothing"])[0] + hint


def _inputs(profile: str) -> str:
    """What report.tex reads first: the profile, where its figures and tables lie, and every number."""
    folder = paths.generated(profile)
    generated_folder, figures_folder = (
        path.relative_to(paths.ROOT).as_posix() for path in (folder, paths.figures(profile))
    )

    def inputs(pattern: str) -> list[str]:
        return [rf"\input{{{generated_folder}/{path.name}}}" for path in sorted(folder.glob(pattern))]

    lines = [
        rf"\newcommand{{\reportProfile}}{{{profile}}}",
        rf"\newcommand{{\generatedFolder}}{{{generated_folder}}}",
        rf"\newcommand{{\figuresFolder}}{{{figures_folder}}}",
        macros(pipeline_numbers(profile)),
        *inputs("[0-9][0-9]_numbers.tex"),
        *inputs("*.checks.tex"),
    ]
    # what was saved with a caption
    if further := [*inputs("*.figure.tex"), *inputs("*.table.tex")]:
        lines.append(rf"\newcommand{{\further}}{{{''.join(further)}}}")
    return "\n".join(lines) + "\n"


def pipeline_numbers(profile: str) -> dict[str, str | int | float]:
    """The numbers that no notebook writes: the original's that our sentences quote, settings, all runs, verdicts."""
    original, aims = (
        json.loads((paths.ROOT / "report" / f"{name}.json").read_text(encoding="utf-8"))
        for name in ("original_results", "aims")
    )
    best, norm = original["table_2"], original["batch_norm"]
    numbers = {
        "originalEpochs": original["table_1_epochs"],
        "originalBestModel": best["model"],
        "originalBestEpochs": best["epochs"],
        "originalBestActivation": best["activation"],
        "originalBestOptimizer": best["optimizer"],
        "originalBestTestError": 100 - best["test_accuracy"],
        "cpuAim": f"{aims['best_model']['on CPUs']:g}",
        "originalNormSteps": norm["steps"],
        "originalNormRates": ", ".join(f"{rate:g}" for rate in sorted(norm["learning_rates"])),
    }
    numbers |= _settings(profile)
    found, runs = conclusions(profile), runs_table.runs_index(profile)
    numbers |= {"runCount": len(runs), "runHours": f"{runs_table.hours(runs).sum():.0f}"}
    return numbers | (verdicts(found) if len(found) else {})


def _settings(profile: str) -> dict[str, str | int]:
    """How the ablations are trained, and on how many images choices are made."""
    usual, longer = experiments.losses(profile)[0], experiments.activations(profile)[0]
    return {
        "validationImages": VALIDATION_IMAGES,
        "ablationTrainImages": usual.images or "all",
        "ablationEpochs": usual.epochs,
        "ablationRate": f"{usual.learning_rate:g}",
        "ablationBatch": usual.batch_size,
        "ablationMomentum": f"{usual.momentum:g}",
        "ablationDecay": f"{usual.weight_decay:g}",
        "activationsEpochs": longer.epochs,
        "activationsRate": f"{longer.learning_rate:g}",
        "activationsRatesTried": ", ".join(f"{rate:g}" for rate in experiments.RATES["sgd"]),
    }
