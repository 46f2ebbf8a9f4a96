"""Records that are asked for: read where they are there, trained where they or an output are missing."""

import concurrent.futures
import functools
import io
import pickle
import threading
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

import pandas as pd

from cifar_helpers import data, train
from cifar_helpers.core import files, paths, profiles
from cifar_helpers.records import record
from cifar_helpers.records.record import Run
from cifar_helpers.train import Config, Result, outputs

Keep = Iterable[str] | Callable[[Config], Iterable[str]]  # names of outputs, or those of each config
_ONE_TRAINING = threading.Lock()  # torch has one stream of random numbers per process


class OtherHistory(RuntimeError):
    """A record was to be completed, and its training gave another history this time."""


def get(
    config: Config,
    experiment: str = "single",
    profile: str | None = None,
    device: str | None = None,
    keep: Iterable[str] = (),
) -> Run:
    """The record of a config if there is one with all that `keep` names (train/outputs.py), else trains and writes it.

    A record that lacks an output is trained once more and completed. Another machine or number of threads may give
    another history; then the record stays as it is, the new training is put aside in build/, and OtherHistory says so.

    A second process that asks for the same record waits for the first, and takes over if that one is killed.
    """
    profile, keep = profiles.profile(profile), outputs.check(keep)
    if (run := record.find(config, profile, keep)) is not None:
        return run
    waiting = f"{profile}-{config.key} is being trained by another process; waiting for it"
    with files.lock(paths.CHECKPOINTS / f"{profile}-{config.key}.lock", waiting):
        if (run := record.find(config, profile, keep)) is not None:
            return run
        checkpoint = paths.CHECKPOINTS / f"{profile}-{config.key}.pt"
        device = train.resolve_device(device)
        incomplete = record.find(config, profile)
        # an error now, not after hours of training
        files.folder(incomplete.folder.parent if incomplete else paths.runs(profile) / experiment)
        if incomplete is not None:
            keep = outputs.check([*keep, *incomplete.keep])
            _refuse_if_put_aside(incomplete, keep)
        with _ONE_TRAINING:
            result = train.train(config, _dataset(config.data), keep=keep, device=device, checkpoint=checkpoint)
        if incomplete is None:
            run = record.write(config, result, experiment, profile, device)
        elif same_history(incomplete, result):
            run = record.complete(incomplete, result)
        else:
            number = len(_put_aside(incomplete))
            record.write_to(_aside(incomplete) / f"{config.key}-{number}", config, result, profile, device)
            checkpoint.unlink(missing_ok=True)
            _refuse_if_put_aside(incomplete, keep)
        checkpoint.unlink(missing_ok=True)
        assert run is not None
        return run


def same_history(run: Run, result: Result) -> bool:
    """Whether two trainings of one config gave the same numbers, to the last digit; seconds and added columns aside."""
    again = pd.read_csv(io.StringIO(result.history.to_csv(index=False)))  # as the record's was written and read
    columns = [name for name in run.history if name != "seconds" and "_tta_" not in name]
    return run.history[columns].equals(again[columns])


def _aside(run: Run) -> Path:
    return paths.CHECKPOINTS.parent / "other_history" / run.record["profile"] / run.folder.parent.name


def _put_aside(run: Run) -> list[Path]:
    """The folders of further trainings of a record, which gave another history."""
    return sorted(_aside(run).glob(f"{run.folder.name}-*"))


def _refuse_if_put_aside(run: Run, keep: Sequence[str]) -> None:
    """OtherHistory where a further training that has all of `keep` lies beside the record, since it is another one."""
    for folder in _put_aside(run):
        if set(keep) <= set((other := record.load(folder)).keep):
            raise OtherHistory(
                f"{run.folder.name} was trained again for {', '.join(sorted(set(keep) - set(run.keep)))}, and its "
                f"history is another one ({other.device} now, {run.device} then), so the record stays as it is. The "
                f"new training is in {folder}: move it to {run.folder} to use it instead"
            )


def get_all(
    configs: Sequence[Config],
    experiment: str = "single",
    profile: str | None = None,
    device: str | None = None,
    executor: concurrent.futures.Executor | None = None,
    keep: Keep = (),
) -> list[Run]:
    """The records of the configs in their order; what is missing is trained, side by side on an `executor`.

    The executor's workers are processes or machines (see execution.py); threads would train one after the other.
    `keep` is the same for all, or a function that gives each config's.
    A failed run does not stop the others; the first failure is raised when all have ended.
    """
    profile, kept = profiles.profile(profile), functools.partial(keep_of, keep)
    if executor is None:
        return [get(config, experiment, profile, device, kept(config)) for config in configs]
    found = {config: record.find(config, profile, kept(config)) for config in configs}
    missing = [config for config, run in found.items() if run is None]
    try:
        futures = [executor.submit(get, config, experiment, profile, device, kept(config)) for config in missing]
        failures = [error for future in futures if (error := future.exception())]
        if failures:
            raise failures[0]
    except (pickle.PicklingError, AttributeError) as error:
        if not any(callable(config.schedule) for config in configs):
            raise
        raise ValueError(
            "a schedule for other processes must be a function of a module, no lambda and none of a "
            f"notebook's ({error})"
        ) from error
    trained = {config: future.result() for config, future in zip(missing, futures)}
    return [found[config] or trained[config] for config in configs]


def keep_of(keep: Keep, config: Config) -> tuple[str, ...]:
    """The names of the outputs of a config, checked."""
    return outputs.check(keep(config) if callable(keep) else keep)


@functools.lru_cache(maxsize=1)
def _dataset(name: str) -> data.Cifar10:
    return data.synthetic() if name == "synthetic" else data.load()
