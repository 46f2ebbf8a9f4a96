"""Trainings side by side: a record made anywhere is the record made alone."""

import dataclasses
import multiprocessing
import os
import signal
import sys
import time
from pathlib import Path

import pytest
import torch

from cifar_helpers import cli, data, records, train
from cifar_helpers.core import paths
from cifar_helpers.experiments import search
from cifar_helpers.records import execution
from cifar_helpers.train import Config

TINY = Config(
    "resnet18", width=0.125, data="synthetic", images=100, test_images=100, epochs=1, batch_size=50, precision="float32"
)
CONFIGS = [dataclasses.replace(TINY, seed=seed) for seed in range(4)]


def redirect(folder):
    """What the `results` fixture does, in a worker process, whose number it gives back."""
    paths.base, paths.CHECKPOINTS = lambda profile: folder / profile, folder / "checkpoints"
    time.sleep(0.2)  # so that the other worker takes the other call
    return os.getpid()


@pytest.fixture
def alone(monkeypatch):
    """The histories of CONFIGS, trained in this process with as many threads as a worker has."""
    before = torch.get_num_threads()
    torch.set_num_threads(execution.threads(2))
    yield [
        train.train(config, data.dataset("smoke"), device="cpu").history.drop(columns="seconds") for config in CONFIGS
    ]
    torch.set_num_threads(before)


def same(found, alone):
    for run, history in zip(found, alone, strict=True):
        assert run.history.drop(columns="seconds").equals(history)


@pytest.mark.slow
def test_processes(results, alone):
    with execution.processes(2) as pool:
        redirected = set()
        while len(redirected) < 2:  # workers start when they like, and the first may take both calls
            redirected |= {future.result() for future in [pool.submit(redirect, results) for _ in range(2)]}
        same(records.get_all(CONFIGS, "tiny", "smoke", executor=pool), alone)
    assert len(list((results / "smoke/runs/tiny").iterdir())) == 4


@pytest.mark.attack
def test_dask_worker_killed_in_its_run_loses_only_that_run(results, alone):
    distributed = pytest.importorskip("distributed")

    threads = execution.threads(2)

    class Redirect(distributed.WorkerPlugin):  # a worker that is started again has it too
        def setup(self, worker, folder=results, threads=threads):
            redirect(folder)
            torch.set_num_threads(threads)

    long = dataclasses.replace(TINY, epochs=30, seed=9)
    cluster = distributed.LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=None)
    with cluster, execution.dask(cluster.scheduler_address) as executor:
        client = executor._client
        client.register_plugin(Redirect())
        pids = client.run(os.getpid)
        waiting = executor.submit(records.get, long, "tiny", "smoke", "cpu")
        until(lambda: list((results / "checkpoints").glob("*.pt")))
        busy = next(address for address, calls in client.processing().items() if calls)
        os.kill(pids[busy], signal.SIGKILL)
        same(records.get_all(CONFIGS, "tiny", "smoke", executor=executor), alone)
        run = waiting.result(timeout=300)
    expected = train.train(long, data.dataset("smoke"), device="cpu").history.drop(columns="seconds")
    same([run], [expected])
    assert sorted(folder.name for folder in (results / "smoke/runs/tiny").iterdir()) == sorted(
        f"{config.name}-{config.hash}" for config in (long, *CONFIGS)
    )


def until(condition, seconds=120):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "waited for too long"
        time.sleep(0.2)


@pytest.mark.attack
def test_dask_run_that_costs_every_worker_is_one_clear_error():
    distributed = pytest.importorskip("distributed")
    import dask

    with (
        dask.config.set({"distributed.scheduler.allowed-failures": 0}),
        distributed.LocalCluster(n_workers=1, threads_per_worker=1, dashboard_address=None) as cluster,
        pytest.raises(RuntimeError, match="died.*same command again"),
        execution.dask(cluster.scheduler_address) as executor,
    ):
        executor.submit(os._exit, 9).result()


@pytest.mark.attack
def test_dask_scheduler_that_is_lost_is_one_clear_error():
    distributed = pytest.importorskip("distributed")
    cluster = distributed.LocalCluster(n_workers=1, threads_per_worker=1, dashboard_address=None)
    with pytest.raises(RuntimeError, match="scheduler was lost"), execution.dask(cluster.scheduler_address) as executor:
        future = executor.submit(time.sleep, 600)
        cluster.close()
        future.result()


def test_dask_that_is_not_installed_is_one_clear_error(monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "distributed", None)
    assert cli.main(["train", "table_1", "--profile", "smoke", "--scheduler", "tcp://127.0.0.1:9"]) == 1
    assert "pip install -e '.[cluster]'" in capsys.readouterr().err


def test_dask_worker_of_two_threads_is_refused():
    distributed = pytest.importorskip("distributed")
    two = distributed.LocalCluster(n_workers=1, threads_per_worker=2, processes=False, dashboard_address=None)
    with two as cluster, pytest.raises(ValueError, match="--nthreads 1"), execution.dask(cluster.scheduler_address):
        pass


def test_schedule_that_cannot_travel_is_one_clear_error(results):
    config = dataclasses.replace(TINY, schedule=lambda t: 1 - t)
    with execution.processes(1) as pool, pytest.raises(ValueError, match="function of a module"):
        records.get_all([config], "tiny", "smoke", executor=pool)


def test_killed_process_pool_says_what_to_do(results):
    with pytest.raises(RuntimeError, match="same command again, with fewer workers"), execution.processes(1) as pool:
        future = pool.submit(os._exit, 9)
        future.exception()
        records.get_all([TINY], "tiny", "smoke", executor=pool)


def killed(config, *arguments):
    os.kill(os.getpid(), signal.SIGKILL)


def test_a_killed_worker_names_the_runs_that_it_may_have_trained(results):
    named = ", ".join(f"{config.name}-{config.hash}" for config in CONFIGS[:1])
    with (
        pytest.raises(RuntimeError, match=f"killed in one of these runs: {named} .was"),
        execution.processes(1) as pool,
    ):
        futures = [pool.submit(killed, config) for config in CONFIGS]
        futures[-1].result()


def test_a_killed_worker_of_a_search_names_its_file_and_what_to_do(results, monkeypatch, capsys):
    monkeypatch.setattr(search, "work", killed)
    assert cli.main(["search", "--profile", "smoke", "--workers", "2"]) == 1
    told = capsys.readouterr().err
    assert f"killed in the search {search.path_of('smoke')} (was the memory full?)" in told
    assert (
        "what was finished is kept: give the same command again, with fewer workers" in told and told.count("\n") == 1
    )


def sleep(folder):
    """In a process group of its own: one worker sleeps, the other waits for work."""
    os.setsid()
    os.dup2(os.open(folder / "err", os.O_WRONLY | os.O_CREAT), 2)
    try:
        with execution.processes(2) as pool:
            sleeping = pool.submit(time.sleep, 600)
            # from its start on, or its imports would print a traceback
            assert signal.SIGINT in pool.submit(signal.pthread_sigmask, signal.SIG_BLOCK, []).result()
            (folder / "started").write_text(" ".join(str(child.pid) for child in multiprocessing.active_children()))
            (folder / "started").rename(folder / "pids")
            sleeping.result()
    except KeyboardInterrupt:
        sys.exit(130)


@pytest.mark.attack
@pytest.mark.parametrize("end", [signal.SIGKILL, signal.SIGINT])
def test_workers_end_with_the_process_that_started_them(tmp_path, end):
    process = multiprocessing.get_context("spawn").Process(target=sleep, args=(tmp_path,))
    process.start()
    try:
        until((tmp_path / "pids").exists)
        if end == signal.SIGINT:
            os.killpg(process.pid, end)  # as a terminal does with Ctrl-C
        else:
            process.kill()
        process.join(100)
        assert process.exitcode == (130 if end == signal.SIGINT else -end)
    finally:
        process.kill()
    stats = [Path("/proc") / pid / "stat" for pid in (tmp_path / "pids").read_text().split()]
    assert len(stats) == 2
    until(lambda: not any(stat.exists() and stat.read_text().split()[2] != "Z" for stat in stats))
    assert (tmp_path / "err").read_text() == ""


def test_what_has_a_record_needs_no_worker(results):
    run = records.get(TINY, "tiny", "smoke")

    class Refuses:
        def submit(self, *arguments):
            raise AssertionError("submitted")

    assert records.get_all([TINY], "tiny", "smoke", executor=Refuses())[0].folder == run.folder


def test_train_command_takes_several_experiments_and_names_an_unknown_one(capsys):
    assert cli.main(["train", "table_1", "table_9", "--profile", "smoke"]) == 1
    assert "unknown experiment 'table_9'; choose from table_1" in capsys.readouterr().err


@pytest.mark.parametrize("workers", [1, 2, 1000])
def test_workers_share_the_cores(workers):
    assert 1 <= execution.threads(workers) <= max(1, os.cpu_count() // workers)


def test_no_workers_at_all_is_an_error(capsys):
    assert cli.main(["train", "table_1", "--profile", "smoke", "--workers", "0"]) == 1
    assert "one worker or more, not 0" in capsys.readouterr().err


def test_processes_and_a_cluster_exclude_each_other(capsys):
    with pytest.raises(SystemExit):
        cli.main(["train", "table_1", "--workers", "2", "--scheduler", "tcp://127.0.0.1:9"])
    assert "not allowed with argument --workers" in capsys.readouterr().err
