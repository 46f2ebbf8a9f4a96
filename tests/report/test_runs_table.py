"""All runs, as a file and as a table of experiments."""

import numpy as np
import pandas as pd
import pytest
import torch

from cifar_helpers import experiments, models, records, train
from cifar_helpers.core import paths
from cifar_helpers.report import runs_table


@pytest.fixture
def record():
    """Writes a record that a training would have written."""

    def written(profile, experiment, config, accuracy=50.0, seconds=90):
        rows = [{"epoch": 1, "train_loss": 1.0, "train_accuracy": 40.0}]
        held = {f"{config.evaluate}_loss": 1.0, f"{config.evaluate}_accuracy": accuracy}
        frame = pd.DataFrame(rows).assign(**held, learning_rate=0.1, seconds=float(seconds))
        model = models.build(config.model, width=config.width)
        result = train.Result(
            history=frame,
            model=model,
            keep=(),
            steps=np.zeros(0, dtype=np.float32),
            measured={},
            logits=None,
            labels=None,
            diverged=False,
            images_per_second=1.0,
            cpu_seconds=float(seconds) * torch.get_num_threads(),
            multiply_adds=1,
            peak_memory_mb=1.0,
            revision=None,
        )
        return records.write(config, result, experiment, profile, "cpu")

    return written


def test_index_has_a_row_for_every_run(root, record):
    config = train.Config("resnet18", width=0.125, epochs=1, images=100)
    kept = record("full", "table_1", config, 61.25, seconds=5400)
    held = train.Config("resnet18", width=0.125, epochs=1, loss="mse", hidden=(8, 4), seed=3, evaluate="validation")
    record("full", "losses", held)
    table = runs_table.runs_index("full")
    assert table["experiment"].tolist() == ["losses", "table_1"]
    row = table.loc[1]
    assert (row["name"], row["hash"], row["device"]) == (config.name, config.hash, kept.device)
    assert (row["epochs"], row["seed"], row["accuracy"], row["seconds"]) == (1, 0, 61.25, 5400)
    assert row["changes"] == "model=resnet18 width=0.125 images=100"
    assert table.loc[0, "changes"] == "model=resnet18 hidden=[8,4] width=0.125 loss=mse"
    assert (table.loc[0, "evaluated"], table.loc[0, "accuracy"]) == ("validation", 50.0)


def test_appendix_has_a_row_for_every_experiment(root, record):
    for seed in (0, 1, 1):
        config = train.Config("resnet18", width=0.125, epochs=1 + seed, seed=seed)
        if records.find(config, "full") is None:
            record("full", "batch_sizes", config, seconds=5400)
    runs = runs_table.runs_index("full").assign(epochs=[1, 2], device=["b", "a"])
    table = runs_table.experiments_table(runs)
    assert table.values.tolist() == [["batch_sizes", "", 2, 2, "1 to 2", 3.0, "A, B"]]
    assert table.attrs["devices"] == {"A": "a", "B": "b"}
    text = runs_table.experiments_tex("full")
    assert text.startswith("2 runs, 3 hours in all. Devices: A: ")
    assert r"batch\_sizes &  & 2 & 2 & 1 & 3.00 & A \\" in text


def test_the_notebooks_of_an_experiment_are_those_that_its_file_names():
    found = [runs_table.notebooks_of(name) for name in ("losses", "grad_cam_networks", "search", "batch_sizes")]
    assert found == ["04", "07, 08", "06", ""]
    assert all(runs_table.notebooks_of(name) for name in experiments.EXPERIMENTS)


def test_hours_are_those_of_the_processor_where_they_are_known():
    runs = pd.DataFrame(
        {"seconds": [9000.0, 9000.0, 9000.0], "cpu_seconds": [3600.0, 7200.0, None], "threads": [1, 2, 1]}
    )
    assert runs_table.hours(runs).tolist() == [1.0, 1.0, 2.5]


def test_text_of_a_record_is_no_latex_and_a_damaged_record_stops_nothing(root, record, capsys):
    config = train.Config("resnet18", width=0.125, epochs=1)
    run, damaged = (
        record("full", "my_runs", config),
        record("full", "x", train.Config("resnet18", width=0.25, epochs=1)),
    )
    file = run.folder / "run.json"
    file.write_text(file.read_text().replace(run.record["device"], r"GPU_1 \\input{/etc/passwd} β"))
    records.update_checksum(file)
    (damaged.folder / "run.json").write_text("{")
    text = runs_table.experiments_tex("full")
    assert r"A: GPU\_1 \textbackslash{}input\{/etc/passwd\} $\beta$." in text and r"my\_runs &  & 1" in text
    assert text.startswith("1 runs") and str(damaged.folder) in capsys.readouterr().err


def test_appendix_without_any_run_says_so(root):
    assert runs_table.experiments_tex("full").startswith("0 runs, 0 hours in all. Devices: none.")


def test_committed_index_is_that_of_the_committed_records():
    """Else: python -m cifar_helpers pdf --profile full writes it."""
    folders = [file.parent for file in paths.runs("full").glob("*/*/run.json")]
    assert (paths.runs("full") / "index.csv").read_text() == runs_table.runs_index("full").to_csv(index=False)
    written = pd.read_csv(paths.runs("full") / "index.csv")
    places = set(zip(written["experiment"], written["name"] + "-" + written["hash"]))
    assert places == {(folder.parent.name, folder.name) for folder in folders} and len(written) == len(folders)
