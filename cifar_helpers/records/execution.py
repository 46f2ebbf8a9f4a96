"""Where trainings run side by side: executors for `records.get_all`, on this machine's cores or on a dask cluster.

Always in processes, one training in each at a time: torch has one stream of random numbers per process.
"""

import contextlib
import os
import signal
import threading
from collections.abc import Iterator
from concurrent.futures import BrokenExecutor, CancelledError, Executor, Future, ProcessPoolExecutor
from multiprocessing import active_children, get_context, parent_process

import torch

from cifar_helpers.train import Config

AGAIN = "what was finished is kept: give the same command again"


@contextlib.contextmanager
def processes(workers: int, work: str = "") -> Iterator[Executor]:
    """So many processes on this machine; each has its share of the cores. RuntimeError where one is killed.

    work: what its message calls the work of calls that are given no config ("the search FILE").
    """
    context = get_context("spawn")  # a fork after torch has started its threads hangs
    others = set(active_children())
    pool = _Pool(workers, context, _begin, (threads(workers),))
    try:
        yield pool
        pool.shutdown()
    except BrokenExecutor as error:
        lost = pool.lost()[:workers]
        names = f" in one of these runs: {', '.join(lost)}" if lost else f" in {work}" * bool(work)
        raise RuntimeError(
            f"a worker process was killed{names} (was the memory full?); {AGAIN}, with fewer workers if need be"
        ) from error
    except KeyboardInterrupt:  # else the pool waits until all that it was given is done
        for worker in set(active_children()) - others:
            worker.terminate()
        raise
    finally:
        pool.shutdown(cancel_futures=True)


class _Pool(ProcessPoolExecutor):
    """Workers that Ctrl-C does not reach, so that no traceback of theirs is printed: this process ends them."""

    def __init__(self, *options):
        super().__init__(*options)
        self.runs: list[tuple[str, Future]] = []

    def submit(self, *call, **options):
        before = signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGINT])
        try:
            future = super().submit(*call, **options)  # it may start a worker, which inherits what is blocked
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)
        self.runs += [(config.key, future) for config in call if isinstance(config, Config)]
        return future

    def lost(self) -> list[str]:
        """The runs that were under way or waiting when a worker was killed, in their order."""
        return [run for run, future in self.runs if not future.done() or isinstance(future.exception(), BrokenExecutor)]


def _begin(count: int) -> None:
    """What a worker does first: so many threads, and an end when the process that started it is killed."""
    torch.set_num_threads(count)

    def follow(parent):
        parent.join()
        os._exit(1)

    threading.Thread(target=follow, args=[parent_process()], daemon=True).start()


@contextlib.contextmanager
def dask(address: str) -> Iterator[Executor]:
    """The workers of the dask scheduler at `address` (tcp://host:8786).

    All of them need this package, the data set and one runs folder. A worker that dies loses its own run only: dask
    gives it to another worker, which goes on from the checkpoint where it can see it. ValueError where a worker
    would train two runs at once, ImportError where dask is not installed, OSError where no scheduler answers,
    RuntimeError where the scheduler is lost, or one run has cost four workers.
    """
    try:
        from distributed import Client, KilledWorker
    except ImportError as error:
        raise ImportError(
            "a dask cluster needs the package distributed: pip install -e '.[cluster]' in the repository"
        ) from error
    with Client(address) as client:
        client.wait_for_workers(1, timeout=60)
        if any(worker["nthreads"] > 1 for worker in client.scheduler_info(n_workers=-1)["workers"].values()):
            raise ValueError(
                "a worker of more than one thread would mix up the random numbers of two trainings: "
                "start each with dask worker ADDRESS --nthreads 1"
            )
        try:
            yield client.get_executor(pure=False)
        except KilledWorker as error:
            raise RuntimeError(
                "several workers died, one after the other, in the same run (was the memory full?); " + AGAIN
            ) from error
        except CancelledError as error:  # what dask makes of all runs when the scheduler is gone; it has no text
            raise RuntimeError(f"the scheduler was lost; {AGAIN}") from error


def threads(workers: int) -> int:
    """Torch's threads in each of so many processes that share this machine; ValueError where these are none."""
    if workers < 1:
        raise ValueError(f"trainings need one worker or more, not {workers}")
    return max(1, (os.cpu_count() or 1) // workers)
