import concurrent.futures
import contextlib
import math
import multiprocessing
import os
import resource
import shutil
import signal
import sqlite3
import subprocess
import sys
import textwrap
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import optuna
import pytest
import torch
from optuna.distributions import CategoricalDistribution, IntDistribution
from optuna.trial import TrialState

from cifar_helpers import cli, experiments, records, train
from cifar_helpers.core import paths
from cifar_helpers.experiments import search, study_file

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
    assert replace(base, **search.config_fields(parameters)) == base


def test_learning_rates_are_of_the_optimizers_own_range():
    for name, rates in experiments.RATES.items():
        found = [
            search.config_fields({"optimizer": name, "learning_rate": place})["learning_rate"] for place in (0, 0.5, 1)
        ]
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
    table = search.table(search.study("smoke"))
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
    from cifar_helpers import cli, train
    from cifar_helpers.core import paths
    from cifar_helpers.experiments import study_file
    torch.set_num_threads(1)
    study_file.HEARTBEAT, study_file.GRACE = 1, 3
    base, whole = Path(sys.argv[1]), train.train
    paths.base, paths.CHECKPOINTS = lambda profile: base / profile, base / "checkpoints"
    def announced(*arguments, after_epoch, **options):
        print("training", flush=True)
        sys.stdin.readline()  # until the test says so
        return whole(*arguments, after_epoch=after_epoch, **options)
    train.train = announced
    sys.exit(cli.main(["search", "--profile", "smoke", "--trials", "3", "--device", "cpu"]))
""")


def start(folder):
    return subprocess.Popen(
        [sys.executable, "-c", SCRIPT, str(folder)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=paths.ROOT,
        env=os.environ | {"TQDM_DISABLE": "1"},
    )


def until_training(process):
    """Read what the process prints until it waits in a training."""
    lines = []
    while "training\n" not in lines:
        lines.append(process.stdout.readline())
        assert lines[-1], process.stderr.read()
    return "".join(lines)


def go_on(process):
    process.stdin.write("\n")
    process.stdin.flush()


def states():
    return [trial.state.name for trial in search.study("smoke").trials]


@pytest.fixture
def impatient(monkeypatch):
    """Dead processes are noticed after three seconds; one thread, as in the processes of SCRIPT."""
    monkeypatch.setattr(study_file, "HEARTBEAT", 1)
    monkeypatch.setattr(study_file, "GRACE", 3)
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.mark.attack
def test_a_killed_process_blocks_nothing_and_a_living_one_keeps_its_trial(results):
    killed = start(results)
    until_training(killed)  # it holds the baseline
    other = start(results)
    assert "until it is known which trials go on" in until_training(other)  # longer than GRACE, and the first one lives
    assert states() == ["RUNNING", "RUNNING"]
    killed.kill()
    killed.communicate()
    out, error = other.communicate("\n" * 10, timeout=300)
    assert other.returncode == 0 and error == "", error
    assert sorted(states()) == ["COMPLETE", "COMPLETE", "COMPLETE", "FAIL"]
    study = search.study("smoke")
    assert [trial.number for trial in study.trials if trial.params == study.trials[0].params][0] == 0
    assert sum(trial.params == study.trials[0].params for trial in study.trials) == 2  # what was killed is made up for
    assert out.count("search, trial") == 3 and "3 trials; the best is trial" in out


@pytest.mark.attack
def test_a_search_killed_again_and_again_ends_as_one_that_was_not(results, impatient, monkeypatch):
    for ended in (0, 1, 1):  # trials that a process trains before it is killed in the next
        process = start(results)
        for _ in range(ended):
            until_training(process)
            go_on(process)
        until_training(process)
        process.kill()
        process.communicate()
    study = search.run("smoke", trials=3, device="cpu")
    assert sorted(states()) == ["COMPLETE", "COMPLETE", "COMPLETE", "FAIL", "FAIL", "FAIL"]
    monkeypatch.setattr(paths, "base", lambda profile: results / "again")
    assert told(study).equals(told(search.run("smoke", trials=3, device="cpu")))


@pytest.mark.attack
def test_a_process_that_stood_still_loses_its_trial_and_both_go_on(results):
    """As a laptop's that was closed, or by Ctrl-Z."""
    still = start(results)
    until_training(still)
    journal = search.path_of("smoke").with_name("study-smoke.db-journal")
    while True:  # not in the middle of a heartbeat, which would hold the file
        still.send_signal(signal.SIGSTOP)
        time.sleep(0.1)
        if not journal.exists():
            break
        still.send_signal(signal.SIGCONT)
        time.sleep(0.1)
    other = start(results)
    try:
        end = time.monotonic() + 250
        while states() != ["FAIL", "RUNNING"]:  # the other tries it again, as soon as the first lets go of the record
            assert time.monotonic() < end
            time.sleep(0.5)
    finally:
        still.send_signal(signal.SIGCONT)
    other.stdin.write("\n" * 10)  # each waits for the other's trials
    other.stdin.flush()
    out, error = still.communicate("\n" * 10, timeout=300)
    assert still.returncode == 0 and error == "", error
    assert "trial 0: it stood still" in out
    out, error = other.communicate(timeout=300)
    assert other.returncode == 0 and error == "", error
    assert sorted(states()) == ["COMPLETE", "COMPLETE", "COMPLETE", "FAIL"]


@pytest.mark.attack
def test_a_process_killed_before_its_first_heartbeat_blocks_nothing(results, impatient, monkeypatch):
    with monkeypatch.context() as patch, pytest.raises(SystemExit):
        patch.setattr(optuna.Trial, "_suggest", lambda *a: sys.exit())  # in the middle of `ask`
        search.run("smoke", trials=1, device="cpu")
    assert states() == ["RUNNING"]
    assert len(search.table(search.run("smoke", trials=1, device="cpu"))) == 1
    assert states() == ["FAIL", "COMPLETE"]


def redirect(folder):
    """What the `results` fixture does, in a worker process."""
    torch.set_num_threads(1)
    paths.base, paths.CHECKPOINTS = lambda profile: folder / profile, folder / "checkpoints"


@pytest.mark.slow
def test_several_workers_share_one_budget(results):
    search.begin("smoke", 4)
    context = multiprocessing.get_context("spawn")
    with concurrent.futures.ProcessPoolExecutor(3, context, redirect, (results,)) as pool:
        for worker in [pool.submit(search.work, "smoke", 4, "cpu") for _ in range(3)]:
            worker.result()
    assert len(search.study("smoke").trials) == len(search.table(search.study("smoke"))) == 4


def ask_and_tell(folder, count):
    redirect(folder)
    study = study_file.load(search.path_of("smoke"), write=True)
    numbers = []
    while trial := search._next(study, "smoke", count)[0]:
        numbers.append(trial.number)
        trial.set_user_attr("seconds", 1.0)
        trial.set_user_attr("checksum", study_file.checksum(study.trials[trial.number], 1.0))
        study.tell(trial, 1.0)
    return numbers


@pytest.mark.attack
def test_no_trial_is_given_to_two_processes(results):
    search.begin("smoke")
    context = multiprocessing.get_context("spawn")
    with concurrent.futures.ProcessPoolExecutor(4, context) as pool:
        numbers = [pool.submit(ask_and_tell, results, 30) for _ in range(4)]
        given = [number for worker in numbers for number in worker.result()]
    assert sorted(given) == list(range(30))


def test_another_baseline_does_not_go_on_with_the_study(results, monkeypatch):
    search.run("smoke", trials=1, device="cpu")
    monkeypatch.setattr(search, "ablation", lambda profile: replace(BASE, epochs=3))
    with pytest.raises(ValueError, match="study-smoke.db was begun from another baseline.*move it away"):
        search.run("smoke", trials=2, device="cpu")
    monkeypatch.setattr(search, "ablation", lambda profile: replace(BASE, cutout=8))  # the study varies it
    assert len(search.table(search.run("smoke", trials=2, device="cpu"))) == 2


def test_the_committed_study_is_of_todays_baseline():
    study = search.study("full")
    assert study.user_attrs["base"] == search._shared(search._base("full"))
    assert len(search.table(study)) == search.BUDGET["full"]


def test_reading_changes_no_byte(results):
    file = results / "full/runs/search/study-full.db"
    file.parent.mkdir(parents=True)
    shutil.copy(paths.ROOT / "runs/search/study-full.db", file)
    before, when = file.read_bytes(), file.stat().st_mtime_ns
    for folder_mode in (0o755, 0o555):
        file.parent.chmod(folder_mode)
        study = search.study("full")
        assert len(search.table(study)) == 40 and len(search.importance(study)) == 8
        search.best(study, experiments.ablation("full"))
        with pytest.raises(OSError, match="study-full.db could not be read or written .*readonly"), writing(file):
            study.set_user_attr("base", "mine")
        file.parent.chmod(0o755)
        assert file.read_bytes() == before and file.stat().st_mtime_ns == when
        assert os.listdir(file.parent) == [file.name]


writing = study_file.explained


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


def spread(trials):
    """The same with all other parameters spread evenly over their range, whatever the value."""
    random, rows = np.random.default_rng(0), []
    columns = {
        name: random.permutation([draw(distribution, i / len(trials)) for i in range(len(trials))])
        for name, distribution in search.SPACE.items()
    }
    for i, (value, changes) in enumerate(trials):
        rows.append((value, {name: column[i].item() for name, column in columns.items()} | changes))
    return rows


def draw(distribution, share):
    """The value at a share, 0 to 1, of a range."""
    if isinstance(distribution, CategoricalDistribution):
        return distribution.choices[int(share * len(distribution.choices))]
    if distribution.log:
        return distribution.low * (distribution.high / distribution.low) ** share
    if distribution.step is None:
        return distribution.low + share * (distribution.high - distribution.low)
    steps = round((distribution.high - distribution.low) / distribution.step) + 1
    value = distribution.low + distribution.step * int(share * steps)
    return int(value) if isinstance(distribution, IntDistribution) else value


def test_importance_finds_the_parameter_that_matters():
    matters = [
        (40 + 10 * i % 7 + (20 if crop else 0), {"crop": crop, "learning_rate": i % 5 / 5})
        for i in range(20)
        for crop in (0, 4)
    ]
    shares = search.importance(made(*spread(matters)))
    assert set(shares.index) == set(search.SPACE) and shares.sum() == pytest.approx(1)
    assert shares.index[0] == "crop" and shares["crop"] > 0.5
    assert (shares.drop("crop") < 0.1).all()


def test_importance_by_chance_shuffles_accuracies_and_leaves_the_study_as_it_is():
    study = made(*spread([(50.0 + 5 * crop + i, {"crop": crop}) for i in range(5) for crop in (0, 4)]))
    before = [trial.value for trial in study.trials]
    by_chance = search.importance_by_chance(study, 3)
    assert by_chance.shape[0] == 3 and set(by_chance) == set(search.importance(study).index)
    assert by_chance.equals(search.importance_by_chance(study, 3)) and by_chance["crop"].nunique() > 1
    assert [trial.value for trial in study.trials] == before


def test_importance_of_equal_parameters_is_in_alphabetical_order(monkeypatch):
    """Optuna's own order of equal shares is that of a set: it changes with the hash seed of the process."""
    equal = {"schedule": 0.25, "crop": 0.5, "optimizer": 0.25}
    monkeypatch.setattr(optuna.importance, "get_param_importances", lambda study, evaluator: equal)
    shares = search.importance(made(*[(40.0 + i, {}) for i in range(4)]))
    assert list(shares.index) == ["crop", "optimizer", "schedule"]


def test_importance_is_over_the_whole_range_and_not_only_among_what_was_drawn():
    """A search that soon knew which border is best, and has drawn it ever since."""
    trials = [(20.0, {"crop": crop}) for crop in (0, 2)] + [(50.0 + i * 7 % 10, {"crop": 4}) for i in range(38)]
    assert search.importance(made(*spread(trials))).index[0] == "crop"


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
    assert not list(results.rglob("study-smoke.db"))


def test_a_budget_below_one_is_told(results, capsys):
    assert cli.main(["search", "--profile", "smoke", "--trials", "-1"]) == 1
    assert "one trial or more, not -1" in capsys.readouterr().err


@pytest.fixture(scope="module")
def three(tmp_path_factory):
    """The file of a study with three trials that have ended, the last of them pruned."""
    file = tmp_path_factory.mktemp("three") / "study-smoke.db"
    base = replace(BASE, evaluate="validation")
    study_file.create(file, {"base": search._shared(base)}, search.baseline(base))
    study = study_file.load(file, write=True)
    for number in range(3):
        trial = study.ask(search.SPACE)
        trial.report(50.0 + number, 1)
        trial.set_user_attr("seconds", 0.5)
        trial.set_user_attr("checksum", study_file.checksum(study.trials[number], 50.0 + number))
        study.tell(trial, *((None, TrialState.PRUNED) if number == 2 else (50.0 + number,)))
    return file


@pytest.fixture
def ended(results, three):
    """The same, where the search of the test looks for it."""
    file = search.path_of("smoke")
    file.parent.mkdir(parents=True)
    return Path(shutil.copy(three, file))


def refused(file):
    """Reading and going on end in one sentence, with the file and what to do, and leave all as it is."""
    content, records = file.read_bytes(), sorted(file.parent.rglob("*"))
    for use in (lambda: search.study("smoke"), lambda: search.run("smoke", trials=4, device="cpu")):
        with pytest.raises(ValueError, match=f"{file} is damaged .*git restore.* move it away") as caught:
            use()
        assert "\n" not in str(caught.value)
    assert file.read_bytes() == content and sorted(file.parent.rglob("*")) == records


@pytest.mark.parametrize("share", (0.0, 0.001, 0.3, 0.5, 0.9, 0.999))
def test_a_cut_file_is_told(ended, share):
    os.truncate(ended, int(share * ended.stat().st_size))
    refused(ended)


@pytest.mark.parametrize("block", range(0, 28, 3))
def test_zeros_in_a_file_are_told(ended, block):
    """As a power cut leaves them: a block of the disk that was never written."""
    whole = bytearray(ended.read_bytes())
    start = block * 4096
    if start >= len(whole) or not any(whole[start : start + 4096]):
        pytest.skip("nothing is there")
    whole[start : start + 4096] = bytes(4096)
    ended.write_bytes(whole)
    refused(ended)


@pytest.mark.parametrize(
    "change",
    (
        "update trial_values set value = 50.5 where objective = 0 and trial_id = 2",
        "update trial_intermediate_values set intermediate_value = 49 where trial_id = 3",
        "update trial_params set param_value = 0.125 where param_name = 'learning_rate' and trial_id = 1",
        "delete from trial_params where param_name = 'crop' and trial_id = 1",
        "update trials set state = 'COMPLEUE' where trial_id = 1",
        "update trials set number = 7 where trial_id = 1",
        "delete from trial_user_attributes",
        "delete from studies",
        "drop table trials",
        "delete from trials where trial_id = 2",
        "update study_directions set direction = 'MINIMIZE'",
    ),
)
def test_a_changed_number_is_told(ended, change):
    with contextlib.closing(sqlite3.connect(ended)) as database, database:
        database.execute(change)
    refused(ended)


def test_any_file_under_the_name_is_told(ended):
    for content in (b"", b"no database", bytes(8192), ended.read_bytes()[:100] + bytes(8192)):
        ended.write_bytes(content)
        refused(ended)


@contextlib.contextmanager
def full_disk(size):
    """For files of this process, the disk has `size` bytes."""
    usual = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, usual[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, usual)


def test_a_full_disk_at_the_first_trial_leaves_nothing(results):
    for size in (0, 5_000, 50_000):
        with pytest.raises(OSError, match="study-smoke.db could not be .*: free some disk space"), full_disk(size):
            search.run("smoke", trials=1, device="cpu")
        assert not search.path_of("smoke").exists()
    assert len(search.table(search.run("smoke", trials=1, device="cpu"))) == 1


def test_a_full_disk_in_a_trial_loses_that_trial_only(results, impatient, monkeypatch):
    search.run("smoke", trials=1, device="cpu")
    before, whole = told(search.study("smoke")), train.train

    def fills(*arguments, after_epoch, **options):
        def full(epoch, row):
            with full_disk(1000):
                after_epoch(epoch, row)

        return whole(*arguments, after_epoch=full, **options)

    with monkeypatch.context() as patch:
        patch.setattr(train, "train", fills)
        with pytest.raises(OSError, match="study-smoke.db could not be .*: free some disk space") as caught:
            search.run("smoke", trials=2, device="cpu")
        assert "\n" not in str(caught.value)
    assert told(search.study("smoke")).equals(before)
    assert len(search.table(search.run("smoke", trials=2, device="cpu"))) == 2
    assert states() == ["COMPLETE", "FAIL", "COMPLETE"]


def test_another_process_that_holds_the_file_is_waited_for(ended, monkeypatch):
    with contextlib.closing(sqlite3.connect(ended, isolation_level=None)) as other:
        other.execute("begin exclusive")
        monkeypatch.setattr(study_file, "WAIT", 0.1)
        with pytest.raises(OSError, match="study-smoke.db could not be read or written .*locked.*process that holds"):
            search.run("smoke", trials=4, device="cpu")
    assert len(search.table(search.study("smoke"))) == 3


KILLED_IN_A_WRITE = textwrap.dedent("""
    import os, sqlite3, sys
    database = sqlite3.connect(sys.argv[1], isolation_level=None)
    database.execute("pragma cache_size = 1")  # so that changes reach the file before the end of the transaction
    database.execute("begin immediate")
    database.execute("update trial_params set param_value = 0.1, distribution_json = distribution_json || 'x'")
    database.execute("update trial_values set value = 99")
    os._exit(1)
""")


def test_what_a_killed_process_had_half_written_is_taken_back(ended):
    before = told(search.study("smoke"))
    content = ended.read_bytes()
    subprocess.run([sys.executable, "-c", KILLED_IN_A_WRITE, str(ended)])
    assert ended.with_name(f"{ended.name}-journal").exists() and ended.read_bytes() != content
    assert told(search.study("smoke")).equals(before)
    assert len(search.table(search.run("smoke", trials=4, device="cpu"))) == 4


def test_the_best_trial_is_tested_beside_the_baseline_with_the_same_seeds(results, monkeypatch):
    with pytest.raises(FileNotFoundError, match="cifar_helpers search --profile smoke"):
        experiments.search_best("smoke")
    base = experiments.ablation("smoke")
    monkeypatch.setattr(search, "study", lambda profile: profile)
    for won, options in ((replace(base, crop=2, hidden=(8,)), 3), (replace(base, crop=2), 2), (base, 1)):
        monkeypatch.setattr(search, "best", lambda study, base, won=won: won)
        configs = experiments.search_best("smoke", seeds=3)
        assert [config.seed for config in configs] == options * [0, 1, 2]
        assert all(config.evaluate == "test" for config in configs)
        assert configs[:3] == experiments.activations("smoke", names=["relu"], seeds=3)  # records that are there
        assert {config.crop for config in configs[3:]} <= {2}
