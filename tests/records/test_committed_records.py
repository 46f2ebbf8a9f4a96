"""Every committed record can be run again from its own run.json, and says truly what it holds."""

import math
from dataclasses import replace

import pytest

from cifar_helpers import records
from cifar_helpers.core import paths
from cifar_helpers.records import record
from cifar_helpers.train import outputs, train

RUNS = [records.load(file.parent) for file in sorted(paths.runs("full").glob("*/*/run.json"))]


def test_a_config_read_from_a_record_is_that_of_its_folder():
    assert len(RUNS) > 200
    for run in RUNS:
        assert run.config.to_dict() == run.record["config"], run.folder
        assert run.folder.name == f"{run.config.name}-{run.config.hash}" == f"{run.record['name']}-{run.record['hash']}"
        assert run.folder.parent.name == run.record["experiment"] and not callable(run.config.schedule)
        assert "@" not in run.config.schedule, run.folder


def test_no_training_has_two_records():
    assert len({(run.record["profile"], run.config) for run in RUNS}) == len(RUNS)


def test_a_record_has_the_outputs_that_it_names_and_no_others():
    own = {"run.json", "history.csv", "SHA256SUMS"}
    for run in RUNS:
        assert outputs.check(run.keep) == run.keep, run.folder
        expected = own | {record.file_name(name) for name in run.keep}
        found = {file.name for file in run.folder.iterdir()}
        cached = {name for name in found - expected if name.endswith(".npz")}
        assert found - cached == expected and (not cached or "weights" in run.keep), run.folder
        assert (f"{run.config.evaluate}_tta_accuracy" in run.history) == ("tta" in run.keep), run.folder
        assert run.record["multiply_adds"] > 1e9 and run.record["threads"] >= 1, run.folder


@pytest.mark.slow
def test_each_committed_record_takes_a_training_step(cifar):
    """Each pair of network and optimizer, and each value of every other field but rates, which do not decide it."""
    small = dict(data="synthetic", images=20, test_images=10, batch_size=20, epochs=1, seed=0, width=0.125)
    rates = dict(learning_rate=0.01, weight_decay=1e-4, label_smoothing=0.1, momentum=0.6, evaluate="test")
    done: set = set()
    for run in RUNS:
        config = replace(run.config, **small, **rates)
        settings = {(name, str(value)) for name, value in config.to_dict().items()} | {(config.model, config.optimizer)}
        if not settings <= done:
            done |= settings
            result = train(config, cifar, device="cpu")
            assert len(result.steps) == 1 and math.isfinite(result.steps[0]), run.folder
    assert len(done) > 80
