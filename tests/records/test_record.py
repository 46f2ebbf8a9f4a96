import concurrent.futures
import dataclasses
import json
import multiprocessing
import shutil
import subprocess
import sys
import textwrap
from collections import OrderedDict

import numpy as np
import pytest
import torch
from torch import nn

from cifar_helpers import cli, data, experiments, records, train
from cifar_helpers.core import paths
from cifar_helpers.models.network import FAMILIES, Parts
from cifar_helpers.train import Config, cpu, device

TINY = Config("resnet18", width=0.125, data="synthetic", images=100, test_images=100, epochs=1, batch_size=50)
KEEP = ("weights", "steps", "logits", "dead_units", "tta")
OUTPUT_FILES = ("steps.npz", "logits.npz", "dead_units.csv", "weights.safetensors")


def test_second_get_reads_the_record(results, monkeypatch):
    first = records.get(TINY, profile="smoke")
    monkeypatch.setattr(train, "train", lambda *a, **k: pytest.fail("trained although there is a record"))
    second = records.get(TINY, profile="smoke")
    assert second.folder == first.folder == results / "smoke" / "runs" / "single" / f"resnet18-seed0-{TINY.hash}"
    assert second.history.equals(first.history)
    assert second.config == TINY
    assert second.record["synthetic"] is True
    assert {
        "config",
        "seed",
        "profile",
        "parameters",
        "test_accuracy",
        "test_loss",
        "train_accuracy",
        "train_loss",
        "seconds",
        "images_per_second",
        "cpu_seconds",
        "multiply_adds",
        "peak_memory_mb",
        "device",
        "threads",
        "matrix_units",
        "keep",
        "torch",
        "revision",
    } <= set(second.record)


def test_reported_accuracy_is_the_last_epochs(results):
    run = records.get(dataclasses.replace(TINY, epochs=3), profile="smoke")
    assert run.record["test_accuracy"] == run.history.test_accuracy.iloc[-1]


def test_weights_and_steps_are_kept_where_asked(results):
    config = dataclasses.replace(TINY, epochs=2)
    run = records.get(config, profile="smoke", keep=["weights", "steps"])
    assert run.steps.shape == (4,) and np.isfinite(run.steps).all()
    _, held = train.batches_for(config, data.synthetic(), "cpu")
    loss, accuracy = train.evaluate(run.model(), held)
    assert accuracy == pytest.approx(run.record["test_accuracy"], abs=3)  # half precision, and bf16 in the run
    measured = records.get(TINY, profile="smoke", keep=["logits", "dead_units", "shift:1"])
    logits, labels = measured.logits
    assert 100 * (logits.argmax(1) == labels).mean() == pytest.approx(measured.record["test_accuracy"], abs=1)
    assert {"epoch", "step", "layer", "units", "silent"} <= set(measured.measurement("dead_units"))
    assert measured.measurement("shift").equals(measured.measurement("shift:1"))
    assert (measured.folder / "dead_units.csv").exists() and (measured.folder / "shift-1.csv").exists()
    plain = records.get(dataclasses.replace(TINY, seed=1), profile="smoke")
    for missing in (plain.model, lambda: plain.logits, lambda: plain.measurement("shift")):
        with pytest.raises(FileNotFoundError, match=r"has no (weights|logits|shift): train it with keep=\["):
            missing()


def test_the_record_says_what_it_cost(results):
    run = records.get(TINY, profile="smoke", device="cpu")
    assert run.record["threads"] == torch.get_num_threads() and run.record["matrix_units"] == device.matrix_units("cpu")
    assert 0 < run.record["cpu_seconds"] < 20 * run.record["seconds"]
    assert run.record["multiply_adds"] == train.cost.multiply_adds(train.network(TINY)) * 100


def nothing_is_trained(monkeypatch):
    monkeypatch.setattr(train, "train", lambda *a, **k: pytest.fail("trained although there is a record"))


def test_a_record_that_has_what_is_asked_is_not_trained_again(results, monkeypatch):
    run = records.get(TINY, profile="smoke", keep=["logits", "weights"])
    nothing_is_trained(monkeypatch)
    for keep in ([], ["weights"], "logits", ["weights", "logits"]):
        assert records.get(TINY, profile="smoke", keep=keep).folder == run.folder
        assert records.find(TINY, "smoke", keep=keep).keep == ("logits", "weights")
    assert records.find(TINY, "smoke", keep=["steps"]) is None and records.find(TINY, "smoke") is not None
    with pytest.raises(ValueError, match="unknown output 'weight'; choose from weights"):
        records.get(TINY, profile="smoke", keep=["weight"])


@pytest.fixture(scope="module")
def whole_and_bare(tmp_path_factory):
    """A record with all outputs, one with none, of the same training."""
    folders = {}
    for name, keep in (("whole", KEEP), ("bare", ())):
        root = tmp_path_factory.mktemp(name)
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(paths, "base", lambda profile, root=root: root / profile)
            patch.setattr(paths, "CHECKPOINTS", root / "checkpoints")
            folders[name] = records.get(TINY, "tiny", "smoke", "cpu", keep).folder
    return folders


def test_a_record_is_completed_by_what_is_asked_and_all_else_stays(results, whole_and_bare):
    whole = records.load(whole_and_bare["whole"])
    folder = shutil.copytree(whole_and_bare["bare"], results / "smoke/runs/tiny" / whole.folder.name)
    before, text = records.load(folder), (folder / "history.csv").read_text()
    (folder / "curves-12345678.npz").write_bytes(b"of the cache")
    records.update_checksum(folder / "curves-12345678.npz")
    completed = records.get(TINY, "another", "smoke", "cpu", ["logits", "dead_units"])
    assert completed.folder == folder and completed.keep == ("dead_units", "logits")
    assert (folder / "history.csv").read_text() == text
    assert completed.record == before.record | {"keep": ["dead_units", "logits"]}
    completed = records.get(TINY, "another", "smoke", "cpu", KEEP)
    assert completed.keep == whole.keep
    assert all((folder / name).read_bytes() == (whole.folder / name).read_bytes() for name in OUTPUT_FILES)
    assert completed.record["test_tta_accuracy"] == whole.record["test_tta_accuracy"]
    assert completed.history.test_tta_accuracy.equals(whole.history.test_tta_accuracy)
    assert (folder / "history.csv").read_text().splitlines()[1].startswith(text.splitlines()[1] + ",")
    assert (folder / "curves-12345678.npz").exists()
    lines = [line.split("  ")[1] for line in (folder / "SHA256SUMS").read_text().splitlines()]
    assert sorted(lines) == sorted(file.name for file in folder.iterdir() if file.name != "SHA256SUMS")
    assert all(records.checksum_ok(folder / name) for name in lines)
    assert not list((results / "smoke/runs").rglob(".*")) and not list(results.rglob("*.pt"))


def test_the_history_is_completed_without_changing_a_digit(results):
    config = dataclasses.replace(TINY, epochs=3, evaluate="validation")
    first = records.get(config, profile="smoke")
    text = (first.folder / "history.csv").read_text().splitlines()
    completed = records.get(config, profile="smoke", keep="tta")
    after = (completed.folder / "history.csv").read_text().splitlines()
    assert [line.rsplit(",", 1)[0] for line in after] == text and after[1].endswith(",") and after[2].endswith(",")
    assert completed.history.validation_tta_accuracy.notna().tolist() == [False, False, True]


@pytest.mark.parametrize("moved", range(4))
def test_a_process_that_ends_while_it_completes_leaves_a_record_that_holds(results, whole_and_bare, monkeypatch, moved):
    """After each of the files that are moved into the record, it is read as the old one or as the new one."""
    folder = shutil.copytree(whole_and_bare["bare"], results / "smoke/runs/tiny" / whole_and_bare["bare"].name)
    count, replace = [], type(folder).replace

    def ends(path, target):
        if path.parent.name.endswith(".tmp") and path.parent.parent.name == "tiny":
            if len(count) == moved:
                raise KeyboardInterrupt
            count.append(path.name)
        return replace(path, target)

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(type(folder), "replace", ends)
        records.get(TINY, "tiny", "smoke", "cpu", ["logits", "weights", "tta"])
    run = records.load(folder)
    assert (
        run.keep == () and run.record["test_accuracy"] == records.load(whole_and_bare["bare"]).record["test_accuracy"]
    )
    completed = records.get(TINY, "tiny", "smoke", "cpu", ["logits", "weights", "tta"])
    assert completed.keep == ("logits", "tta", "weights") and completed.model() and len(completed.logits) == 2
    lines = [line.split("  ")[1] for line in (folder / "SHA256SUMS").read_text().splitlines()]
    assert sorted(lines) == ["history.csv", "logits.npz", "run.json", "weights.safetensors"]


def test_another_history_leaves_the_record_and_is_put_aside(results, whole_and_bare, monkeypatch):
    """As on a machine that sums in another order."""
    folder = shutil.copytree(whole_and_bare["bare"], results / "smoke/runs/tiny" / whole_and_bare["bare"].name)
    history = (folder / "history.csv").read_text()
    first, *others = history.splitlines()
    (folder / "history.csv").write_text("\n".join([first, *(line.replace("1,", "1,0.0", 1) for line in others)]) + "\n")
    records.write_checksums(folder)
    files = {file.name: file.read_bytes() for file in folder.iterdir()}
    for _ in range(2):  # the second time nothing is trained
        with pytest.raises(records.OtherHistory, match="trained again for weights.*stays as it is.*move it to"):
            records.get(TINY, "tiny", "smoke", "cpu", ["weights"])
        assert {file.name: file.read_bytes() for file in folder.iterdir()} == files
        nothing_is_trained(monkeypatch)
    (aside,) = (results / "other_history").rglob("run.json")
    assert records.load(aside.parent).model() and records.load(aside.parent).history.shape == (1, 7)
    assert not list(results.rglob("*.pt"))
    monkeypatch.undo()
    # what it has is enough for another question; what it has not is trained and put beside it
    monkeypatch.setattr(paths, "base", lambda profile: results / profile)
    monkeypatch.setattr(paths, "CHECKPOINTS", results / "checkpoints")
    with pytest.raises(records.OtherHistory):
        records.get(TINY, "tiny", "smoke", "cpu", ["steps"])
    assert len(list((results / "other_history").rglob("run.json"))) == 2


def test_an_output_that_is_gone_is_a_damaged_record(results):
    run = records.get(TINY, profile="smoke", keep=["weights"])
    run.weights.unlink()
    for asks in (lambda: records.get(TINY, profile="smoke", keep=["weights"]), lambda: run.weights):
        with pytest.raises(
            records.DamagedRecord, match="weights.safetensors of the record .* is damaged .it is missing"
        ):
            asks()
    assert records.get(TINY, profile="smoke").keep == ("weights",)


def test_hash_ignores_defaults_and_sees_every_change():
    assert Config("dla").hash == Config("dla", epochs=30, momentum=0.9).hash
    fields = {"epochs": 3, "seed": 1, "width": 0.5, "hidden": (5,), "schedule": lambda t: 1.0, "images": 100}
    assert (
        len({dataclasses.replace(Config("dla"), **{k: v}).hash for k, v in fields.items()} | {Config("dla").hash}) == 7
    )


def test_failed_write_leaves_no_half_record_and_keeps_the_checkpoint(results, monkeypatch):
    def full_disk(*_, **__):
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr("pandas.DataFrame.to_csv", full_disk)
        with pytest.raises(OSError, match="could not be written.*No space left.*free some disk"):
            records.get(TINY, profile="smoke")
    assert not list((results / "smoke" / "runs").rglob("run.json"))
    assert not list((results / "smoke" / "runs").rglob("*.tmp"))
    assert list(paths.CHECKPOINTS.glob("*.pt"))
    trained = train.train(TINY, data.synthetic(), device="cpu")
    assert (
        records.get(TINY, profile="smoke")
        .history.drop(columns="seconds")
        .equals(trained.history.drop(columns="seconds"))
    )


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """A record with every kind of file."""
    root = tmp_path_factory.mktemp("whole")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(paths, "base", lambda profile: root / profile)
        trained = train.train(TINY, data.synthetic(), device="cpu", keep=KEEP)
        return records.write(TINY, trained, "tiny", "smoke", "cpu").folder


@pytest.fixture
def record(whole, tmp_path, monkeypatch):
    """A copy of it, to be damaged."""
    monkeypatch.setattr(paths, "base", lambda profile: tmp_path / profile)
    return shutil.copytree(whole, tmp_path / "smoke/runs/tiny" / whole.name)


def read_all(folder):
    run = records.load(folder)
    return run.history, run.steps, run.logits, run.measurement("dead_units"), run.model()


FILES = ("run.json", "history.csv", *OUTPUT_FILES)


@pytest.mark.parametrize("damage", ["a flipped bit", "cut short"])
@pytest.mark.parametrize("name", [*FILES, "SHA256SUMS"])
def test_a_damaged_file_is_named_with_what_to_do(record, name, damage):
    read_all(record)
    content = bytearray((record / name).read_bytes())
    if damage == "cut short":
        content = content[: len(content) // 2]
    else:
        content[len(content) // 3] ^= 1
    (record / name).write_bytes(content)
    named = "|".join(FILES) if name == "SHA256SUMS" else name
    with pytest.raises(ValueError, match=rf"({named}) of the record {record} is damaged .*git restore.*train again"):
        read_all(record)


def test_checksums_are_those_of_the_command_sha256sum(record):
    assert sorted(path.name for path in record.iterdir()) == sorted([*FILES, "SHA256SUMS"])
    lines = (record / "SHA256SUMS").read_text().splitlines()
    assert [line.split("  ")[1] for line in lines] == sorted(FILES)
    if not shutil.which("sha256sum"):
        pytest.skip("sha256sum is missing")
    subprocess.run(["sha256sum", "--check", "--strict", "SHA256SUMS"], cwd=record, check=True, capture_output=True)


def test_a_record_of_before_the_checksums_is_read(record):
    (record / "SHA256SUMS").unlink()
    read_all(record)
    (record / "weights.safetensors").write_bytes((record / "weights.safetensors").read_bytes()[:-1000])
    with pytest.raises(ValueError, match=f"weights.safetensors of the record {record} is damaged"):
        read_all(record)


@pytest.mark.parametrize("content", [b"", b"[]", b"\xff\xfe{}", b"PK\x05\x06" + bytes(18)])
@pytest.mark.parametrize("name", FILES)
def test_a_file_that_cannot_be_read_is_named_though_its_checksum_holds(record, name, content):
    if name == "dead_units.csv":
        content = b""  # nearly all else is a table without a row
    (record / name).write_bytes(content)
    records.write_checksums(record)
    with pytest.raises(ValueError, match=rf"^{name} of the record {record} is damaged .*train again$"):
        read_all(record)


@pytest.mark.parametrize(
    ("changed", "why"),
    [
        ({"config": {"model": "resnet18", "newer": 3}}, "newer"),
        ({"config": {"model": "resnet18", "optimizer": "lion"}}, "unknown optimizer 'lion'"),
        ({"config": {"model": "resnet18", "learning_rate": -1}}, "learning_rate is a number in"),
        ({"config": {}}, "model"),
        ({"config": None}, "config is None|argument after"),
        ({"keep": ["sharpness"]}, "unknown output 'sharpness'"),
        ({"keep": 3}, "int"),
        ({"seconds": "long"}, "seconds is 'long'"),
        ({"epochs": None}, "epochs is None"),
        ({"device": None}, "device is None"),
        ({"test_accuracy": [1]}, "test_accuracy is"),
    ],
)
def test_a_record_of_another_version_is_one_sentence(record, changed, why):
    file = record / "run.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | changed))
    records.write_checksums(record)
    told = rf"^the record {record} is not one of this version of the code \(.*({why}).*\): .*git pull.*move the folder"
    with pytest.raises(ValueError, match=told):
        records.load(record)


@pytest.mark.parametrize("name", ["config", "keep", "seconds", "device", "profile", "test_accuracy", "parameters"])
def test_a_field_that_is_missing_is_named(record, name):
    content = json.loads((record / "run.json").read_text())
    del content[name]
    (record / "run.json").write_text(json.dumps(content))
    records.write_checksums(record)
    with pytest.raises(ValueError, match=rf"the record {record} is not one of this version .*{name}' is missing"):
        records.load(record)


def test_without_memory_no_file_is_called_damaged(record, monkeypatch):
    monkeypatch.setattr("cifar_helpers.records.record.load_file", lambda file: (_ for _ in ()).throw(MemoryError))
    with pytest.raises(MemoryError):
        records.load(record).model()


def test_a_record_under_the_name_of_another_is_not_taken_for_it(record):
    other = dataclasses.replace(TINY, seed=TINY.seed + 1)
    record.rename(record.with_name(f"{other.name}-{other.hash}"))
    with pytest.raises(ValueError, match="run.json of the record .* is damaged .its config is not the one"):
        records.find(other, "smoke")


def test_a_file_that_is_gone_is_a_damaged_record(record):
    (record / "history.csv").unlink()
    with pytest.raises(ValueError, match=f"history.csv of the record {record} is damaged .it is missing.*git restore"):
        records.load(record)


def test_damaged_runs_are_not_taken_for_missing_ones(tmp_path, monkeypatch, record):
    """A run that has no record is; one whose record is damaged must not be overlooked."""
    config = records.load(record).config
    monkeypatch.setattr(paths, "base", lambda profile: tmp_path / "smoke")
    assert experiments.missing("tiny", "full", [config]) == []
    (record / "history.csv").write_text("epoch\n")
    with pytest.raises(ValueError, match="history.csv of the record .* is damaged"):
        experiments.missing("tiny", "full", [config])


class Evil:
    """As a pickle, it makes a file when it is loaded."""

    def __init__(self, made):
        self.made = made

    def __reduce__(self):
        return (open, (str(self.made), "w"))


@pytest.mark.parametrize("sealed", [True, False])
def test_weights_and_logits_that_hold_code_do_not_run_it(record, tmp_path, sealed):
    torch.save({"conv.weight": Evil(tmp_path / "ran")}, record / "weights.safetensors")
    np.savez(record / "logits.npz", logits=np.array([Evil(tmp_path / "ran")]), labels=np.zeros(1))
    if sealed:  # by who made it
        records.write_checksums(record)
    else:
        (record / "SHA256SUMS").unlink()
    run = records.load(record)
    with pytest.raises(ValueError, match="weights.safetensors of the record .* is damaged"):
        run.model()
    with pytest.raises(ValueError, match="allow_pickle=False"):
        _ = run.logits
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize("device", ["cuda", "cuda:7", "tpu"])
def test_a_device_that_is_not_there_is_one_sentence(results, monkeypatch, capsys, device):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setitem(experiments.EXPERIMENTS, "tiny", lambda profile: [TINY])
    for command in (["train", "tiny"], ["search"]):
        assert cli.main([*command, "--profile", "smoke", "--device", device]) == 1
        told = f"error: this machine has no device '{device}' that torch can use; choose from cpu\n"
        assert capsys.readouterr() == ("", told)
    with pytest.raises(ValueError, match="choose from cpu"):
        train.train(TINY, data.synthetic(), device=device)


def test_the_train_command_tells_of_a_run_that_diverged(results, monkeypatch, capsys):
    diverges = dataclasses.replace(TINY, epochs=3, learning_rate=1e30, schedule="constant")
    monkeypatch.setitem(experiments.EXPERIMENTS, "tiny", lambda profile: [diverges, TINY])
    assert cli.main(["train", "tiny", "--profile", "smoke"]) == 0
    first, second = capsys.readouterr().out.splitlines()
    assert "images/s, it diverged, so it ended there" in first and "diverged" not in second
    run = records.find(diverges, "smoke")
    assert run.record["diverged"] and run.record["epochs"] < 3 and run.history["train_loss"].isna().iloc[-1]


def test_full_shows_what_is_recorded_and_never_trains(results, monkeypatch, capsys):
    configs = [dataclasses.replace(TINY, seed=seed) for seed in (0, 1)]
    monkeypatch.setitem(experiments.EXPERIMENTS, "tiny", lambda profile: configs)
    trained = train.train(configs[1], data.synthetic(), device="cpu")
    kept = records.write(configs[1], trained, "tiny", "full", "cpu")
    monkeypatch.setattr(train, "train", lambda *a, **k: pytest.fail("trained in the full profile"))
    assert [run.folder for run in experiments.recorded("tiny", "full")] == [kept.folder]
    told = "1 of 2 runs of tiny not yet run (resnet18): python -m cifar_helpers train tiny --profile full"
    assert told in capsys.readouterr().out
    monkeypatch.setattr(train, "train", lambda *a, **k: trained)
    assert len(experiments.recorded("tiny", "smoke")) == 2  # other profiles train


SCRIPT = textwrap.dedent("""
    import os, sys
    from pathlib import Path
    from cifar_helpers import records, train
    from cifar_helpers.core import paths
    base = Path(sys.argv[1])
    paths.base = lambda profile: base / profile
    paths.CHECKPOINTS = base / "checkpoints"
    whole, mode = train.train, sys.argv[2]
    def announced(*a, **k):
        print("training", flush=True)
        if mode == "die":
            k["after_epoch"] = lambda epoch, row: os._exit(9)   # as by kill -9
        return whole(*a, **k)
    train.train = announced
    config = train.Config("resnet18", width=0.125, data="synthetic", images=100, test_images=100, epochs=4,
                             batch_size=50)
    print(records.get(config, profile="smoke").history.drop(columns="seconds").to_csv())
""")


def start(folder, mode):
    return subprocess.Popen(
        [sys.executable, "-c", SCRIPT, str(folder), mode],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=paths.ROOT,
    )


@pytest.mark.attack
def test_killed_process_is_continued_and_two_share_one_record(results, tmp_path):
    died = start(tmp_path, "die")
    died.communicate(timeout=120)
    assert died.returncode == 9
    assert list((tmp_path / "checkpoints").glob("*.pt"))
    two = [start(tmp_path, "live") for _ in range(2)]
    texts = [process.communicate(timeout=180) for process in two]
    assert [process.returncode for process in two] == [0, 0], texts
    outputs = [out for out, _ in texts]
    assert sum("training" in out for out in outputs) == 1  # the other waited
    histories = {out.replace("training\n", "") for out in outputs}
    fresh, _ = start(tmp_path / "fresh", "live").communicate(timeout=120)
    assert histories == {fresh.replace("training\n", "")}  # to the last digit


def test_get_all_on_any_executor_keeps_the_others_when_one_fails(results, monkeypatch):
    good = [dataclasses.replace(TINY, seed=seed) for seed in (0, 1)]
    bad = dataclasses.replace(TINY, batch_size=101)
    monkeypatch.setitem(experiments.EXPERIMENTS, "tiny", lambda profile: [good[0], bad, good[1]])
    with concurrent.futures.ThreadPoolExecutor(1) as pool, pytest.raises(ValueError, match="batch_size 101"):
        experiments.get_all("tiny", "smoke", executor=pool)
    assert all(records.find(config, "smoke") for config in good)


def redirect(folder):
    """What the `results` fixture does, in a worker process."""
    torch.set_num_threads(1)
    paths.base, paths.CHECKPOINTS = lambda profile: folder / profile, folder / "checkpoints"


def test_process_pool(results, monkeypatch):
    monkeypatch.setitem(experiments.EXPERIMENTS, "tiny", lambda profile: [TINY])
    context = multiprocessing.get_context("spawn")
    with concurrent.futures.ProcessPoolExecutor(1, context, redirect, (results,)) as pool:
        assert experiments.get_all("tiny", "smoke", executor=pool)[0].record["experiment"] == "tiny"


def test_unknown_names_list_the_choices(monkeypatch):
    with pytest.raises(ValueError, match="unknown experiment 'table_9'; choose from table_1"):
        experiments.configs("table_9", "smoke")
    with pytest.raises(ValueError, match="unknown profile 'fast'; choose from smoke, quick, full"):
        experiments.profile("fast")
    monkeypatch.setenv("CIFAR_PROFILE", "smoke")
    assert experiments.profile() == "smoke" and experiments.profile("full") == "full"


@pytest.mark.parametrize("profile", experiments.PROFILES)
def test_every_experiment_has_configs_in_every_profile(profile):
    read_others = {
        "losses_tuned",
        "ten_epoch_losses",
        "activations_tuned",
        "optimizers",
        "ten_epoch_optimizers",
        "search_best",
        "shortcuts_and_batch_norm",
    }  # the records of a sweep or of the search
    for name in set(experiments.EXPERIMENTS) - read_others:
        configs = experiments.configs(name, profile)
        assert configs and len({c.hash for c in configs}) == len(configs)
        assert all((c.data == "synthetic") == (profile == "smoke") for c in configs)


def test_device_name_tells_whether_matrix_units_are_used(monkeypatch):
    for available in (True, False):
        monkeypatch.setattr(cpu, "available", lambda available=available: available)
        name = records.device_name("cpu")
        assert (" with AMX, " in name) == available and name.endswith(f", {torch.get_num_threads()} threads")


@pytest.mark.parametrize(
    "options", [dict(hidden=(8,), dropout=0.5), dict(activation="prelu"), dict(batch_norm=False), dict(width=0.25)]
)
def test_every_option_of_a_network_is_part_of_what_its_record_is_compared_with(results, options):
    config = dataclasses.replace(TINY, **options)
    run = records.get(config, profile="smoke")
    assert records.find(config, "smoke").folder == run.folder


def test_a_changed_network_does_not_meet_the_record_of_the_old_one(results, monkeypatch):
    """Of the same name, with another number of filters, or with the same number of parameters in other places."""

    def tiny(filters, name="conv"):
        def parts(width):
            stem = nn.Sequential(OrderedDict({name: nn.Conv2d(3, filters, 3)}))
            return Parts(stem, [nn.Identity()], filters)

        return parts

    monkeypatch.setitem(FAMILIES, "tiny", tiny(8))
    config = Config("tiny", data="synthetic", images=50, test_images=50, batch_size=25, epochs=1, precision="float32")
    run = records.get(config, profile="smoke")
    assert records.find(config, "smoke").folder == run.folder
    for changed in (tiny(4), tiny(8, "first")):
        monkeypatch.setitem(FAMILIES, "tiny", changed)
        for ask in (records.find, records.get):
            with pytest.raises(ValueError, match="trained with another network of the name tiny .* another name, or"):
                ask(config, profile="smoke")
    assert records.load(run.folder).record == run.record
