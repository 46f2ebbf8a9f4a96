import contextlib
import errno
import subprocess
import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from cifar_helpers import records
from cifar_helpers.analysis import grad_cam
from cifar_helpers.records import cache, checksums
from cifar_helpers.train import Config

TINY = Config("resnet18", width=0.125, data="synthetic", images=50, test_images=50, epochs=1, batch_size=50)


@pytest.fixture
def run(results):
    return records.get(TINY, profile="smoke", keep=["weights"])


class Measure:
    """Counts how often it was asked."""

    def __init__(self):
        self.times = 0

    def __call__(self):
        self.times += 1
        return {"a map/deletion": np.linspace(0, 1, 7, dtype=np.float32)[None] / 3, "labels": np.arange(3)}


def same(found):
    wanted = Measure()()
    assert list(found) == list(wanted)
    for name, values in wanted.items():
        assert found[name].dtype == values.dtype and np.array_equal(found[name], values)
    return True


def test_what_is_kept_is_read_to_the_last_digit(run):
    measure = Measure()
    assert same(cache.arrays(run, "curves", measure, images=7)) and same(cache.arrays(run, "curves", measure, images=7))
    assert measure.times == 1
    names = sorted(file.name for file in run.folder.glob("curves*"))
    assert len(names) == 1 and not list(run.folder.glob(".*"))
    subprocess.run(["sha256sum", "--check", "--strict", "SHA256SUMS"], cwd=run.folder, check=True, capture_output=True)
    assert names[0] in (run.folder / "SHA256SUMS").read_text()


def test_another_question_is_measured(run):
    measure = Measure()
    for name, asked in (("curves", {"images": 7}), ("curves", {"images": 8}), ("predictions", {"images": 7})):
        assert same(cache.arrays(run, name, measure, **asked))
    assert measure.times == 3 and len(list(run.folder.glob("*.npz"))) == 3


def test_other_weights_are_measured(run):
    measure = Measure()
    cache.arrays(run, "curves", measure)
    file = run.folder / "weights.safetensors"
    weights = load_file(file)
    save_file({name: torch.zeros_like(tensor) for name, tensor in weights.items()}, file)
    records.update_checksum(file)
    cache.arrays(run, "curves", measure)
    assert measure.times == 2


def test_a_damaged_file_is_measured_again_and_replaced(run):
    measure = Measure()
    cache.arrays(run, "curves", measure)
    (file,) = run.folder.glob("curves*")
    whole = file.read_bytes()
    file.write_bytes(whole[:-20])
    assert same(cache.arrays(run, "curves", measure)) and measure.times == 2
    assert file.read_bytes() == whole
    assert len((run.folder / "SHA256SUMS").read_text().splitlines()) == len(list(run.folder.iterdir())) - 1


def test_other_files_stay_damaged_when_one_is_added(run):
    (run.folder / "history.csv").write_text("not what was written")
    cache.arrays(run, "curves", Measure())
    with pytest.raises(records.DamagedRecord, match="history.csv"):
        records.load(run.folder)


def test_a_record_of_before_checksums_gets_them(run):
    (run.folder / "SHA256SUMS").unlink()
    measure = Measure()
    cache.arrays(run, "curves", measure)
    assert same(cache.arrays(run, "curves", measure)) and measure.times == 1
    assert records.load(run.folder).model()


@pytest.mark.parametrize("error", [OSError(errno.ENOSPC, "No space left on device"), OSError(errno.EROFS, "Read-only")])
def test_where_nothing_can_be_written_a_warning_says_what_to_do(run, monkeypatch, error):
    before = (run.folder / "SHA256SUMS").read_text()

    def fails(file, **arrays):
        file.write(b"half")
        raise error

    monkeypatch.setattr(np, "savez_compressed", fails)
    with pytest.warns(UserWarning, match="could not be written.*run this again"):
        assert same(cache.arrays(run, "curves", Measure()))
    assert not list(run.folder.glob("*.npz")) and not list(run.folder.glob(".*"))
    assert (run.folder / "SHA256SUMS").read_text() == before


def test_two_measurements_of_one_run_lose_no_checksum(run, monkeypatch):
    """SHA256SUMS is read, changed and written: two at once would each write what they had read."""
    update, both = checksums.update_checksum, threading.Barrier(2)

    def slowly(file):
        lines = (run.folder / "SHA256SUMS").read_text()
        with contextlib.suppress(threading.BrokenBarrierError):
            both.wait(0.5)  # without a lock, both are here at once
        assert (run.folder / "SHA256SUMS").read_text() == lines
        update(file)

    monkeypatch.setattr(checksums, "update_checksum", slowly)
    with ThreadPoolExecutor(2) as pool:
        list(pool.map(lambda name: cache.arrays(run, name, Measure()), ("curves", "predictions")))
    monkeypatch.undo()
    assert all(checksums.checksum_ok(file) for file in run.folder.glob("*.npz"))
    assert len(list(run.folder.glob("*.npz"))) == 2


def test_it_needs_weights(results):
    run = records.get(TINY, profile="smoke")
    with pytest.raises(FileNotFoundError, match='has no weights: train it with keep=."weights"'):
        cache.arrays(run, "curves", Measure())


def test_the_committed_files_are_those_of_the_committed_weights():
    """Else notebook 08 would measure anew, minutes in each clone, and nobody would notice."""

    def anew():
        pytest.fail("measured although it is committed")

    for run in grad_cam.networks("full").values():
        logits = cache.arrays(run, "predictions", anew, images="f9b1e213")["logits"]  # of the bytes of the test images
        curves = cache.arrays(run, "curves", anew, images=500, of=10_000, steps=8, orders=4)
        assert logits.shape == (10_000, 10) and {values.shape for values in curves.values()} == {(500, 9)}
        assert len(curves) == 8 and len(list(run.folder.glob("*.npz"))) == 2
