import concurrent.futures
import json
import math
import multiprocessing
import subprocess
import sys
import textwrap
from dataclasses import replace

import optuna
import pytest
import torch
from optuna.trial import TrialState

from cifar_helpers import __main__, experiments, records, train
from cifar_helpers.core import paths
from cifar_helpers.experiments import search

BASE = experiments.ablation("smoke")


def told(study):
    """All of a search that does not depend on the clock or on what was killed."""
    return search.table(study).drop(columns=["number", "seconds"]).reset_index(drop=True)


@pytest.mark.parametrize("profile", experiments.PROFILES)
def test_the_baseline_is_in_the_space_and_never_reads_the_test_set(profile):
    base = experiments.ablation(profile)
    parameters = search.baseline(base)
    for name, distribution in search.SPACE.items():
        assert distribution._contains(distribution.to_internal_repr(parameters[name])), name
    assert replace(base, **search.settings(parameters)) == base


def test_learning_rates_are_of_the_optimizers_own_range():
    for name, rates in experiments.RATES.items():
        found = [search.settings({"optimizer": name, "learning_rate": place})["learning_rate"] for place in (0, 0.5, 1)]
        assert found == [
            pytest.approx(rate, rel=0.05) for rate in (rates[0], math.sqrt(rates[0] * rates[-1]), rates[-1])
        ]


def test_begins_with_the_baseline_stops_at_its_budget_and_goes_on(results, capsys):
    table = search.table(search.run("smoke", trials=2, device="cpu"))
    assert list(table["number"]) == [0, 1]
    first = records.find(replace(BASE, evaluate="validation"), "smoke")
    assert first.folder.parent.name == "search"
    assert first.record["validation_accuracy"] == table["validation accuracy"][0]
    assert table["learning_rate"][0] == BASE.learning_rate and table["epochs"][0] == BASE.epochs
    assert table["seconds"][0] == pytest.approx(first.record["seconds"])
    assert not list(results.rglob("*.pt"))
    assert "trial 1: " in capsys.readouterr().out
    search.run("smoke", trials=2, device="cpu")
    assert capsys.readouterr().out == ""  # nothing is missing
    assert list(search.table(search.run("smoke", trials=3, device="cpu"))["number"]) == [0, 1, 2]
    assert told(search.study("smoke")).equals(told(search.run("smoke", trials=3, device="cpu")))


def test_a_record_of_another_experiment_is_not_trained_again(results, monkeypatch):
    run = records.get(replace(BASE, evaluate="validation"), "optimizer_rates", "smoke", "cpu")
    monkeypatch.setattr(train, "train", lambda *a, **k: pytest.fail("trained although there is a record"))
    study = search.run("smoke", trials=1, device="cpu")
    assert study.trials[0].intermediate_values == dict(enumerate(run.history["validation_accuracy"], start=1))


def test_a_trial_that_lags_is_pruned_and_leaves_no_record(results, monkeypatch):
    monkeypatch.setattr(optuna.Trial, "should_prune", lambda trial: trial.number == 1)
    study = search.run("smoke", trials=2, device="cpu")
    assert [trial.state for trial in study.trials] == [TrialState.COMPLETE, TrialState.PRUNED]
    assert len(list(paths.runs("smoke").rglob("run.json"))) == 1
    table = search.table(study)
    assert list(table["state"]) == ["COMPLETE", "PRUNED"] and list(table["epochs"]) == [2, 1]
    assert table["validation accuracy"].notna().all() and (table["seconds"] > 0).all()


def test_an_interrupted_search_ends_as_one_that_was_not(results, monkeypatch):
    whole, calls = train.train, []

    def stopped(config, *arguments, after_epoch, **options):
        calls.append(config)
        if len(calls) in (1, 3):  # the baseline, and a drawn trial

            def after_epoch(epoch, row, usual=after_epoch):
                usual(epoch, row)
                raise KeyboardInterrupt

        return whole(config, *arguments, after_epoch=after_epoch, **options)

    with monkeypatch.context() as patch:
        patch.setattr(train, "train", stopped)
        for _ in range(2):
            with pytest.raises(KeyboardInterrupt):
                search.run("smoke", device="cpu")
        study = search.run("smoke", device="cpu")
    assert [trial.number for trial in study.trials if trial.state == TrialState.FAIL] == [0, 2]
    assert len(search.table(study)) == search.BUDGET["smoke"]
    monkeypatch.setattr(paths, "base", lambda profile: results / "again")
    assert told(study).equals(told(search.run("smoke", device="cpu")))


SCRIPT = textwrap.dedent("""
    import os, sys
    from pathlib import Path
    import torch
    from cifar_helpers import __main__, train
    from cifar_helpers.core import paths
    torch.set_num_threads(1)
    base, whole = Path(sys.argv[1]), train.train
    paths.base, paths.CHECKPOINTS = lambda profile: base / profile, base / "checkpoints"
    def announced(*arguments, after_epoch, **options):
        print("training", flush=True)
        sys.stdin.readline()  # until the test says so
        return whole(*arguments, after_epoch=after_epoch, **options)
    train.train = announced
    sys.exit(__main__.main(["search", "--profile", "smoke", "--trials", "3", "--device", "cpu"]))
""")


def start(folder):
    return subprocess.Popen(
        [sys.executable, "-c", SCRIPT, str(folder)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=paths.ROOT,
    )


@pytest.mark.slow
def test_a_killed_process_blocks_nothing_and_a_living_one_keeps_its_trial(results):
    killed = start(results)
    assert killed.stdout.readline() == "training\n"  # it holds the baseline
    other = start(results)
    assert other.stdout.readline() == "training\n"
    study = search.study("smoke")
    assert [trial.state for trial in study.trials] == [TrialState.RUNNING] * 2  # the other took the next one
    killed.kill()
    killed.communicate()
    out, error = other.communicate("\n" * 10, timeout=300)
    assert other.returncode == 0, error
    assert [trial.state.name for trial in study.trials] == ["FAIL", "COMPLETE", "COMPLETE", "COMPLETE"]
    assert study.trials[2].params == study.trials[0].params  # what was killed is made up for
    assert out.count("search, trial") == 3 and "3 trials; the best is trial" in out


def redirect(folder):
    """What the `results` fixture does, in a worker process."""
    torch.set_num_threads(1)
    paths.base, paths.CHECKPOINTS = lambda profile: folder / profile, folder / "checkpoints"


@pytest.mark.slow
def test_several_workers_share_one_budget(results):
    context = multiprocessing.get_context("spawn")
    with concurrent.futures.ProcessPoolExecutor(2, context, redirect, (results,)) as pool:
        for worker in [pool.submit(search.run, "smoke", 4, "cpu") for _ in range(2)]:
            worker.result()
    assert len(search.study("smoke").trials) == len(search.table(search.study("smoke"))) == 4


def test_another_baseline_does_not_go_on_with_the_study(results, monkeypatch):
    search.run("smoke", trials=1, device="cpu")
    monkeypatch.setattr(experiments, "ablation", lambda profile: replace(BASE, epochs=3))
    with pytest.raises(ValueError, match="study-smoke.log was begun from another baseline.*move it away"):
        search.run("smoke", trials=2, device="cpu")


def made(*trials):
    """A study of (value, changed parameters), each trained to the end; no value for one that still runs."""
    study = optuna.create_study(direction="maximize")
    usual = search.baseline(BASE)
    for value, changes in trials:
        study.add_trial(
            optuna.create_trial(
                params=usual | changes,
                distributions=search.SPACE,
                value=value,
                user_attrs={"seconds": 1.0},
                state=TrialState.RUNNING if value is None else TrialState.COMPLETE,
            )
        )
    return study


def test_best_is_the_highest_on_held_out_images_and_is_then_evaluated_on_the_test_set():
    study = made((40.0, {}), (60.0, {"optimizer": "adam", "learning_rate": 0, "cutout": 8}), (50.0, {"crop": 0}))
    found = search.best(study, experiments.ablation("full"))
    assert found == replace(
        experiments.ablation("full"), optimizer="adam", learning_rate=0.0003, cutout=8, evaluate="test"
    )
    with pytest.raises(ValueError, match="no trial .* trained to the end yet"):
        search.best(made((None, {})), BASE)


def test_table_holds_what_has_ended():
    table = search.table(made((40.0, {}), (None, {}), (50.0, {"weight_decay": 0.00123456})))
    assert list(table["number"]) == [0, 2] and list(table["weight_decay"]) == [0.0005, 0.0012]
    assert list(search.table(made()).columns) == list(table.columns)


def test_importance_finds_the_parameter_that_matters():
    matters = [
        (40 + 10 * i % 7 + (20 if crop else 0), {"crop": crop, "learning_rate": i % 5 / 5})
        for i in range(20)
        for crop in (0, 4)
    ]
    shares = search.importance(made(*matters))
    assert set(shares.index) == set(search.SPACE) and shares.sum() == pytest.approx(1)
    assert shares.index[0] == "crop" and shares["crop"] > 0.5
    assert shares["activation"] < 0.01  # never changed


@pytest.mark.parametrize(
    "trials",
    (
        [],
        [(40.0, {})],
        [(40.0, {}), (50.0, {"crop": 0}), (None, {})],
        [(10.0, {"crop": crop}) for crop in (0, 2, 4) * 5],
    ),
)
def test_importance_of_too_little_says_nothing(trials):
    assert search.importance(made(*trials)).empty


def test_no_study_yet_is_told_with_its_command(results):
    with pytest.raises(FileNotFoundError, match="python -m cifar_helpers search --profile smoke"):
        search.study("smoke")
    assert not list(results.rglob("study-smoke.log"))


def test_a_budget_below_one_is_told(results, capsys):
    assert __main__.main(["search", "--profile", "smoke", "--trials", "-1"]) == 1
    assert "one trial or more, not -1" in capsys.readouterr().err


def test_the_study_is_text_without_paths_and_a_broken_line_is_told(results):
    search.run("smoke", trials=1, device="cpu")
    text = (paths.runs("smoke") / "search" / "study-smoke.log").read_text()
    (paths.runs("smoke") / "search" / "study-smoke.log.sha256").unlink()  # as while a search goes on
    assert all(json.loads(line) for line in text.splitlines()) and str(results) not in text
    (paths.runs("smoke") / "search" / "study-smoke.log").write_text('{"op_code":5,"wor\n' + text)
    with pytest.raises(ValueError, match="study-smoke.log holds a line that is no JSON: take it out"):
        search.study("smoke")


def test_a_flipped_bit_in_an_ended_study_is_told(results):
    search.run("smoke", trials=1, device="cpu")
    search.run("smoke", trials=2, device="cpu")  # it goes on, and is sealed anew
    log, sums = (paths.runs("smoke") / "search" / f"study-smoke.log{end}" for end in ("", ".sha256"))
    whole = log.read_text()
    log.write_text(whole.replace('"values":[', '"values":[1', 1))  # still JSON
    for use in (lambda: search.study("smoke"), lambda: search.run("smoke", trials=3, device="cpu")):
        with pytest.raises(ValueError, match="study-smoke.log is damaged.*git restore.*move both away"):
            use()
    log.write_text(whole)
    assert len(search.study("smoke").trials) == 2
    assert sums.exists()


def test_a_study_under_way_has_no_checksum(results, monkeypatch):
    search.run("smoke", trials=1, device="cpu")

    def stopped(*arguments, **options):
        raise KeyboardInterrupt

    monkeypatch.setattr(train, "train", stopped)
    with pytest.raises(KeyboardInterrupt):
        search.run("smoke", trials=2, device="cpu")
    assert len(search.study("smoke").trials) == 2  # what was added since is no damage


def test_the_best_trial_is_tested_beside_the_baseline_with_the_same_seeds(results, monkeypatch):
    with pytest.raises(FileNotFoundError, match="cifar_helpers search --profile smoke"):
        experiments.search_best("smoke")
    base = experiments.ablation("smoke")
    monkeypatch.setattr(search, "study", lambda profile: profile)
    for won, options in ((replace(base, crop=2), 2), (base, 1)):
        monkeypatch.setattr(search, "best", lambda study, base, won=won: won)
        configs = experiments.search_best("smoke", seeds=3)
        assert [config.seed for config in configs] == options * [0, 1, 2]
        assert all(config.evaluate == "test" for config in configs)
        assert configs[:3] == experiments.activations("smoke", names=["relu"], seeds=3)  # records that are there
        assert {config.crop for config in configs[3:]} <= {2}
