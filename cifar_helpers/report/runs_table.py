"""The report's appendix: a row for every run."""

import pandas as pd

from cifar_helpers import records
from cifar_helpers.core import paths
from cifar_helpers.records import Run


def runs_table(profile: str) -> pd.DataFrame:
    """A row per record of the profile's folder, indexed by experiment and record; small runs that stand in are told.

    Rate is the learning rate of the config. Accuracy is the last epoch's, in percent, of the images in Evaluated: test
    images, or images held out of the training images.
    """
    found = [records.load(file.parent) for file in sorted(paths.runs(profile).glob("*/*/run.json"))]
    devices = {device: chr(ord("A") + at) for at, device in enumerate(sorted({run.device for run in found}))}
    rows = [
        _row(run, devices[run.device])
        for run in sorted(found, key=lambda run: (run.record["experiment"], run.record["profile"]))
    ]
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
        {"test": "test", "validation": "held out"}[config.evaluate],
        "diverged" if record["diverged"] else f"{record[f'{config.evaluate}_accuracy']:.2f}",
        round(record["seconds"]),
        device,
    )


def runs_tex(profile: str) -> str:
    """The table as a LaTeX longtable, an experiment's name above its runs, after a line on devices and hours in all."""
    table = runs_table(profile)
    experiments = table.index.get_level_values("Experiment")
    style = table.droplevel("Experiment").rename_axis(None).style.format(escape="latex")
    style = style.format_index(escape="latex", axis=0).format_index(escape="latex", axis=1)
    head, rows = style.to_latex(environment="longtable", hrules=True, column_format="@{}l" + "r" * 9 + "@{}").split(
        "\\endlastfoot\n"
    )
    lines, before = [], None
    for line, experiment in zip(rows.splitlines(), [*experiments, None]):
        if experiment and experiment != before:
            lines.append(rf"\multicolumn{{10}}{{@{{}}l}}{{\textbf{{{experiment.replace('_', chr(92) + '_')}}}}} \\*")
        lines.append(line)
        before = experiment
    devices = "; ".join(f"{letter}: {device}" for letter, device in table.attrs["devices"].items())
    hours = table["Seconds"].sum() / 3600
    text = f"{len(table)} runs, {hours:.1f} hours in all. Devices: {devices}."
    return "\n".join([text, "", f"{head}\\endlastfoot", *lines])
