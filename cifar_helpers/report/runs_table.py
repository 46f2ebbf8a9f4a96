"""All runs: a row for each in runs/index.csv, a row per experiment in the report's appendix."""

import inspect
import re
import sys

import pandas as pd

from cifar_helpers import experiments, records
from cifar_helpers.core import files, paths
from cifar_helpers.records import Run
from cifar_helpers.report.latex import escape
from cifar_helpers.report.tables import tabular
from cifar_helpers.train import Config


def runs_index(profile: str) -> pd.DataFrame:
    """A row per record of the profile's folder, sorted by experiment and name.

    changes: the config's fields that are not at their default, `name=value` each, but for those that have a column.
    accuracy: the last epoch's, in percent, of the images in `evaluated` (test, or validation: taken from the training
    images). seconds: by the clock. A field that a record does not have, since it is older, is empty. A damaged record
    is named and left out.
    """
    rows = []
    for file in sorted(paths.runs(profile).glob("*/*/run.json")):
        try:
            rows.append(_row(records.load(file.parent)))
        except ValueError as error:  # a damaged record does not take the report of all others with it
            print(f"left out of the list of runs: {error}", file=sys.stderr)
    table = pd.DataFrame(rows, columns=COLUMNS)
    return table.astype(dict.fromkeys(("epochs", "seed", "parameters", "multiply_adds", "threads"), "Int64"))


COLUMNS = ["experiment", "name", "hash", "changes", "epochs", "seed", "evaluated", "accuracy", "diverged"]
COLUMNS += ["parameters", "multiply_adds", "seconds", "cpu_seconds", "device", "threads", "matrix_units", "revision"]


def write_index(profile: str) -> None:
    """Write runs_index as runs/index.csv."""
    files.write(paths.runs(profile) / "index.csv", runs_index(profile).to_csv(index=False))


def _row(run: Run) -> dict:
    record, config = run.record, run.config
    cpu = record.get("cpu_seconds")
    return {column: record.get(column) for column in COLUMNS} | {
        "experiment": run.folder.parent.name,
        "changes": _changes(config),
        "evaluated": config.evaluate,
        "accuracy": round(record[f"{config.evaluate}_accuracy"], 4),
        "seconds": round(record["seconds"], 1),
        "cpu_seconds": None if cpu is None else round(cpu, 1),
        "device": run.device,
    }


def _changes(config: Config) -> str:
    """`loss=mse width=0.25`: the fields that are not at their default."""
    shown = {name: value for name, value in config.changes().items() if name not in ("epochs", "seed", "evaluate")}
    return " ".join(f"{name}={value}".replace(" ", "") for name, value in shown.items())


def hours(runs: pd.DataFrame) -> pd.Series:
    """Hours of each run of a runs_index: the processor's, per thread; by the clock where a record has no others.

    By the clock, a training that waited for other work, or was stopped for it, looks longer than it is.
    """
    return runs["cpu_seconds"].astype(float).div(runs["threads"].astype(float)).fillna(runs["seconds"]) / 3600


def notebooks_of(experiment: str) -> str:
    """The notebooks that an experiment is for, as the first line of its file says: "07, 08"; "" where none is named."""
    made_by = experiments.EXPERIMENTS.get(experiment) or getattr(experiments, experiment, None)
    first = (getattr(inspect.getmodule(made_by), "__doc__", None) or "").partition(":")[0]
    return ", ".join(re.findall(r"\b\d\d\b", first))


def experiments_table(runs: pd.DataFrame) -> pd.DataFrame:
    """A row per experiment of a runs_index: its notebooks, runs, seeds, epochs, hours in all, and devices as letters.

    attrs["devices"] says which device each letter is.
    """
    letters = {device: chr(ord("A") + at) for at, device in enumerate(sorted(runs["device"].unique()))}
    rows = [
        {
            "Experiment": name,
            "Notebook": notebooks_of(name),
            "Runs": len(group),
            "Seeds": group["seed"].nunique(),
            "Epochs": " to ".join(map(str, sorted({group["epochs"].min(), group["epochs"].max()}))),
            "Hours": hours(group).sum(),
            "Devices": ", ".join(sorted({letters[device] for device in group["device"]})),
        }
        for name, group in runs.groupby("experiment")
    ]
    table = pd.DataFrame(rows, columns=["Experiment", "Notebook", "Runs", "Seeds", "Epochs", "Hours", "Devices"])
    table.attrs["devices"] = {letter: device for device, letter in letters.items()}
    return table


def experiments_tex(profile: str) -> str:
    """experiments_table of all runs, after a line on devices and hours in all."""
    runs = runs_index(profile)
    table = experiments_table(runs)
    devices = "; ".join(f"{letter}: {device}" for letter, device in table.attrs["devices"].items())
    text = f"{len(runs)} runs, {hours(runs).sum():.0f} hours in all. Devices: {devices or 'none'}."
    # a longtable fills the page that it begins on
    return f"{escape(text)}\n\n{tabular(table, column_format='llrrrrl', long_caption='The experiments.')}"
