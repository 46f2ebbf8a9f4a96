"""The report's appendix: a row for every run."""

import pandas as pd

from cifar_helpers import paths, runs
from cifar_helpers.runs import Run


def runs_table(profile: str) -> pd.DataFrame:
    """A row per record of the profile's folder, indexed by experiment and record; small runs that stand in are told.

    Rate is the learning rate of the config; Accuracy is the last epoch's, in percent, of the images in Evaluated.
    """
    found = [runs.load(file.parent) for file in sorted(paths.runs(profile).glob("*/*/run.json"))]
    devices = {device: chr(ord("A") + at) for at, device in enumerate(sorted({run.record["device"] for run in found}))}
    rows = [_row(run, devices[run.record["device"]]) for run in sorted(found, key=lambda run: run.record["experiment"])]
    table = pd.DataFrame(rows, columns=["Experiment", "Record", *COLUMNS]).set_index(["Experiment", "Record"])
    table.attrs["devices"] = {letter: device for device, letter in devices.items()}
    return table


COLUMNS = ["Images", "Epochs", "Width", "Rate", "Seed", "Evaluated", "Accuracy", "Seconds", "Device"]


def _row(run: Run, device: str) -> tuple:
    record, config = run.record, run.config
    return (
        record["experiment"] + ("" if record["profile"] == "full" else f" ({record['profile']})"),
        run.folder.name,
        config.images or "all",
        record["epochs"],
        f"{config.width:g}",
        f"{config.learning_rate:g}",
        config.seed,
        config.evaluate,
        "diverged" if record["diverged"] else f"{record[f'{config.evaluate}_accuracy']:.2f}",
        round(record["seconds"]),
        device,
    )


def runs_tex(profile: str) -> str:
    """The table as a LaTeX longtable, after a line that names the devices and the hours in all."""
    table = runs_table(profile)
    style = table.style.format(escape="latex").format_index(escape="latex", axis=0).format_index(escape="latex", axis=1)
    rows = style.to_latex(environment="longtable", hrules=True, multirow_align="naive", column_format="ll" + "r" * 9)
    devices = "; ".join(f"{letter}: {device}" for letter, device in table.attrs["devices"].items())
    hours = table["Seconds"].sum() / 3600
    return f"{len(table)} runs, {hours:.1f} hours in all. Devices: {devices}.\n\n{rows}"
