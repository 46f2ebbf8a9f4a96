"""The state of a training after an epoch, to disk and back."""

import json
import pickle
import sys
import zipfile
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

import torch
from torch import nn
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LambdaLR

from cifar_helpers.core import files
from cifar_helpers.train import outputs
from cifar_helpers.train.config import Config


@dataclass
class Progress:
    """What the epochs of a run have given so far; it grows with each."""

    rows: list[dict] = field(default_factory=list)  # of the history
    steps: list[float] = field(default_factory=list)  # the loss of every step
    measured: dict[str, list[dict]] = field(default_factory=dict)  # rows of each measurement, by its name in `keep`
    cpu_seconds: float = 0.0  # of training: what is evaluated and measured is left out
    revisions: list[str] = field(default_factory=list)  # of the code: one, or more where other code went on


def save(path: Path, config: Config, progress: Progress, model: nn.Module, optimizers: list[Optimizer], schedulers):
    """Write the state under a temporary name and rename it. Batches need none: epoch k's draws come from (seed, k).

    Raises: OSError says what to do where it could not be written.
    """
    content = {
        "config": json.dumps(config.to_dict()),
        "progress": vars(progress),
        "model": model.state_dict(),
        "optimizers": [optimizer.state_dict() for optimizer in optimizers],
        "schedulers": [scheduler.state_dict() for scheduler in schedulers],
        "rng": torch.get_rng_state(),
        "cuda_rng": torch.cuda.get_rng_state_all() if torch.cuda.is_initialized() else [],
    }
    files.folder(path.parent)
    temporary = path.with_name(f"{path.name}.tmp")  # one name for all: a killed writer's is replaced
    try:
        torch.save(content, temporary)
    except (OSError, RuntimeError) as error:  # torch reports a full disk as a RuntimeError
        temporary.unlink(missing_ok=True)
        then = "start again: training goes on from the last checkpoint"
        raise files.unwritten(f"the checkpoint {path}", error, then) from error
    temporary.replace(path)


def restore(
    path: Path | None,
    config: Config,
    keep: Iterable[str],
    model: nn.Module,
    optimizers: list[Optimizer],
    schedulers: list[LambdaLR],
) -> Progress:
    """Set model, optimizers, schedulers and random numbers to the checkpoint's state; its progress, or an empty one.

    A checkpoint that cannot be used, or that lacks a requested measurement, is set aside with a message that says why.
    All other outputs are made at the end of the run, so a run can resume with a different list of outputs.
    """
    names = outputs.measured(keep)
    if path is None or not path.exists():
        return Progress(measured={name: [] for name in names})
    try:
        content = _read(path, config, names, model)
    except Exception as error:
        # torch's own text on a pickle that may run code is long, and tells how to run it
        reason = "it is no checkpoint" if isinstance(error, pickle.UnpicklingError) else str(error).split("\n")[0]
        aside = path.with_suffix(".rejected")
        path.replace(aside)
        print(
            f"{path.name} cannot be used ({reason}); set aside as {aside.name}, training from the start",
            file=sys.stderr,
        )
        return Progress(measured={name: [] for name in names})
    model.load_state_dict(content["model"])
    for optimizer, state in zip(optimizers, content["optimizers"]):
        optimizer.load_state_dict(state)
    for scheduler, state in zip(schedulers, content["schedulers"]):
        scheduler.load_state_dict(state)
    torch.set_rng_state(content["rng"])
    if content["cuda_rng"]:
        torch.cuda.set_rng_state_all(content["cuda_rng"])
    progress = Progress(**content["progress"])
    progress.measured = {name: progress.measured[name] for name in names}
    return progress


def _read(path: Path, config: Config, names: Iterable[str], model: nn.Module) -> dict:
    """The content of a checkpoint; an error says why it is not one of this training."""
    with zipfile.ZipFile(path) as archive:  # torch writes checksums into it, and does not read them
        if damaged := archive.testzip():
            raise ValueError(f"its part {damaged} is damaged")
    content = torch.load(path, weights_only=True, map_location="cpu")
    if content["config"] != json.dumps(config.to_dict()):
        raise ValueError("it belongs to another config")
    if missing := set(names) - set(content["progress"]["measured"]):
        raise ValueError(f"its epochs were trained without measuring {', '.join(sorted(missing))}")
    shapes, expected = ({n: t.shape for n, t in state.items()} for state in (content["model"], model.state_dict()))
    if shapes != expected:
        raise ValueError("its network has other parameters than today's")
    return content
