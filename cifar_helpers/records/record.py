"""A finished run on disk: find, load, write, complete."""

import contextlib
import functools
import json
import shutil
import textwrap
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from numbers import Real
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from cifar_helpers import models, train
from cifar_helpers.core import files, paths, profiles
from cifar_helpers.models.network import FAMILIES
from cifar_helpers.records import checksums, provenance
from cifar_helpers.records.checksums import DamagedRecord
from cifar_helpers.train import Config, Result, outputs

FIELDS = {  # those that are read, of every record; run.json has more
    "profile": str,
    "synthetic": bool,
    "config": dict,
    "parameters": int,
    "epochs": int,
    "seed": int,
    "diverged": bool,
    "seconds": Real,
    "images_per_second": Real,
    "multiply_adds": int,
    "device": str,
    "threads": int,
    "keep": list,
}


@dataclass(frozen=True, eq=False)
class Run:
    """One record on disk: runs/<experiment>/<name>-<hash>/."""

    folder: Path
    record: dict  # run.json: config, metrics of the last epoch, cost, machine, stored outputs
    history: pd.DataFrame  # a row per epoch, see train.Result

    @property
    def config(self) -> Config:
        return Config(**self.record["config"])

    @property
    def keep(self) -> tuple[str, ...]:
        """What the record has beside its history, as it was asked for: ("dead_units", "weights")."""
        return tuple(self.record["keep"])

    @property
    def device(self) -> str:
        """Where it ran, as tables say it; the records say `1 threads`."""
        return self.record["device"].replace(" 1 threads", " 1 thread")

    @property
    def steps(self) -> np.ndarray:
        """The loss of every step, float32, if `steps` was kept."""
        return _parsed(self._file("steps"), lambda file: np.load(file)["loss"])

    @property
    def logits(self) -> tuple[np.ndarray, np.ndarray]:
        """((N, 10) float32, (N,) int64): logits and labels of the evaluated images after the last epoch, if kept."""

        def read(file: Path) -> tuple[np.ndarray, np.ndarray]:
            with np.load(file) as arrays:
                return arrays["logits"].astype(np.float32), arrays["labels"].astype(np.int64)

        return _parsed(self._file("logits"), read)

    def measurement(self, name: str) -> pd.DataFrame:
        """The rows of a measurement ("landscape", or at one interval "landscape:50") with their epoch and step."""
        of_name = [kept for kept in self.keep if name in (kept, kept.partition(":")[0])]
        return _parsed(self._file(min(of_name, key=len, default=name)), pd.read_csv)

    @property
    def weights(self) -> Path:
        """The file of the trained weights, in half precision, if they were kept."""
        return self._file("weights")

    def model(self) -> models.Network:
        """The trained network in evaluation mode, float32 from half-precision weights."""
        return _parsed(self.weights, lambda file: with_weights(self.config, load_file(file)))

    def _file(self, name: str) -> Path:
        """The file of an output. FileNotFoundError: it was not kept. DamagedRecord: its checksum is wrong."""
        if name not in self.keep:
            raise FileNotFoundError(f'{self.folder.name} has no {name}: train it with keep=["{name}"]')
        return checksums.checked(self.folder / file_name(name))


def with_weights(config: Config, weights: dict[str, Tensor]) -> models.Network:
    """A config's network in evaluation mode, float32, with these tensors. RuntimeError where they do not fit."""
    model = train.network(config)
    model.load_state_dict({name: t.float() if t.is_floating_point() else t for name, t in weights.items()})
    return model.eval()


def file_name(output: str) -> str:
    """The file that holds an output: weights.safetensors, logits.npz, dead_units.csv, landscape-50.csv."""
    known = {"weights": "weights.safetensors", "logits": "logits.npz", "steps": "steps.npz", "tta": "history.csv"}
    return known.get(output, f"{output.replace(':', '-')}.csv")


def load(folder: Path) -> Run:
    """The record in a folder.

    DamagedRecord and OtherVersion, both ValueErrors, say which file is not as it was written, or which record is of
    other code, and what to do. Each file is checked when it is read; one of a record that was written before checksums
    existed is not.
    """
    record, history = (checksums.checked(folder / name) for name in ("run.json", "history.csv"))
    run = Run(folder, _parsed(record, lambda file: json.loads(file.read_bytes())), _parsed(history, pd.read_csv))
    if not isinstance(run.record, dict):
        raise DamagedRecord(record, "it does not hold the fields of a record")
    check_fields(run)
    if len(run.history) != run.record["epochs"]:
        raise DamagedRecord(history, f"it has {len(run.history)} rows for {run.record['epochs']} epochs")
    return run


def check_fields(run: Run) -> None:
    """OtherVersion where a field of a record is missing, of another type, or unknown to this code."""
    try:
        fields = FIELDS | {f"{run.config.evaluate}_accuracy": Real}
        outputs.check(run.keep)
        for name, kind in fields.items():
            if not isinstance(run.record[name], kind):
                raise TypeError(f"{name} is {run.record[name]!r}")
    except (ValueError, TypeError, KeyError) as error:
        reason = f"{error} is missing" if isinstance(error, KeyError) else str(error)
        raise OtherVersion(run.folder, reason) from error


def _parsed(file: Path, parse: Callable[[Path], Any]) -> Any:
    """What `parse` reads from a file of a record; DamagedRecord where it cannot."""
    try:
        return parse(file)
    except (OSError, MemoryError):  # say nothing of the content
        raise
    except Exception as error:  # as many kinds of errors as there are parsers
        raise DamagedRecord(file, f"it cannot be read: {textwrap.shorten(str(error), 200)}") from error


def find(config: Config, profile: str | None = None, keep: Iterable[str] = ()) -> Run | None:
    """The record of a config under any experiment of the profile; None without one, or one that lacks an output.

    Raises: DamagedRecord where a file that the record should have is gone, OtherNetwork where the network of the
    config's name has been changed since.
    """
    keep = outputs.check(keep)
    for folder in sorted(paths.runs(profiles.profile(profile)).glob(f"*/{config.key}")):
        if (run := load(folder)).config.hash != config.hash:
            raise DamagedRecord(folder / "run.json", "its config is not the one that the folder's name tells")
        check_network(run, config)
        if set(keep) <= set(run.keep):
            for name in keep:
                if not (file := folder / file_name(name)).exists():
                    raise DamagedRecord(file, "it is missing")
            return run
    return None


class OtherVersion(ValueError):
    """A record that is as it was written, by code that knew other fields or other values of them."""

    def __init__(self, folder: Path, why: str):
        super().__init__(
            f"the record {folder} is not one of this version of the code ({why}): use the version that wrote it "
            "(git pull, if that is a newer one), or move the folder away"
        )


class OtherNetwork(ValueError):
    """A record is of a network that had the same name and other parameters."""


def check_network(run: Run, config: Config) -> None:
    names = ("model", "activation", "hidden", "dropout", "width", "batch_norm")
    shape = Config(**{name: getattr(config, name) for name in names})
    digits, parameters = _today(FAMILIES[config.model], shape)
    # records written before the fingerprint existed have only the number
    if (run.record.get("network", digits), run.record["parameters"]) != (digits, parameters):
        raise OtherNetwork(
            f"the record {run.folder} was trained with another network of the name {config.model} "
            f"({run.record['parameters']:,} parameters; today's has {parameters:,}): give the changed network another "
            "name, or move the record away to train it again"
        )


@functools.lru_cache
def _today(family: Callable, config: Config) -> tuple[str, int]:
    """Fingerprint and number of parameters of a network, as the code has it; another `family` is another network."""
    with torch.device("meta"):  # shapes only
        network = train.network(config)
    return models.fingerprint(network), sum(p.numel() for p in network.parameters())


def write(config: Config, result: Result, experiment: str, profile: str, device: str) -> Run:
    """Write a record under a temporary name and rename it, so that it is there whole or not at all.

    Raises: OSError says what to do where it could not be written.
    """
    return write_to(paths.runs(profile) / experiment / config.key, config, result, profile, device)


def write_to(folder: Path, config: Config, result: Result, profile: str, device: str) -> Run:
    """The same into any folder; the name of its parent is the experiment."""
    record = {
        "name": config.name,
        "hash": config.hash,
        "experiment": folder.parent.name,
        "profile": profile,
        "synthetic": config.data == "synthetic",
        "config": config.to_dict(),
        "seed": config.seed,
        "network": models.fingerprint(result.model),
        "parameters": sum(p.numel() for p in result.model.parameters()),
        **_metrics(result.history),
        "epochs": len(result.history),
        "diverged": result.diverged,
        "seconds": result.history["seconds"].sum(),
        "cpu_seconds": result.cpu_seconds,  # of all threads; null in older records
        "images_per_second": result.images_per_second,
        "multiply_adds": result.multiply_adds,  # of the forward passes of all training images, see train/cost.py
        "peak_memory_mb": result.peak_memory_mb,
        "device": provenance.device_name(device),
        "threads": torch.get_num_threads(),
        "matrix_units": provenance.matrix_units(device),  # "AMX" or null
        "torch": torch.__version__,
        "revision": result.revision,
        "keep": list(result.keep),
    }
    temporary = folder.with_name(f".{folder.name}.tmp")  # one name for all: a killed writer's is replaced
    with _cleaned_up(temporary, f"the record {folder}"):
        result.history.to_csv(temporary / "history.csv", index=False)
        _write_outputs(temporary, result.keep, result)
        _write_json(temporary, record)
        checksums.write_checksums(temporary)
        temporary.rename(folder)
    return load(folder)


def complete(run: Run, result: Result) -> Run:
    """Add to a record the outputs that it lacks, from a second training with the same history; all else stays.

    Its numbers and its seconds stay those of the first training; a column for test-time augmentation is added where
    that was not kept. A reader, or a process that is killed, finds the old record or the completed one.
    """
    missing = [name for name in result.keep if name not in run.keep]
    column = f"{run.config.evaluate}_tta_accuracy"
    record = run.record | {"keep": sorted({*run.keep, *missing})}
    if "tta" in missing:
        record[column] = result.history[column].iloc[-1]
    temporary = run.folder.with_name(f".{run.folder.name}.tmp")
    with _cleaned_up(temporary, f"the record {run.folder}"):
        if "tta" in missing:  # as text, so that no digit of the others changes
            added = [column, *("" if np.isnan(value) else repr(float(value)) for value in result.history[column])]
            lines = checksums.checked(run.folder / "history.csv").read_text().splitlines()
            text = "".join(f"{line},{value}\n" for line, value in zip(lines, added))
            (temporary / "history.csv").write_text(text, newline="\n")
        _write_outputs(temporary, missing, result)
        _write_json(temporary, record)
        # run.json, which says what is there, comes last
        ready = sorted(temporary.iterdir(), key=lambda file: file.name == "run.json")
        checksums.replace_files(run.folder, ready)
        temporary.rmdir()
    return load(run.folder)


def _metrics(history: pd.DataFrame) -> dict:
    """Losses and accuracies of the last epoch."""
    return {name: value for name, value in history.iloc[-1].items() if name.endswith(("_loss", "_accuracy"))}


def _write_json(folder: Path, record: dict) -> None:
    (folder / "run.json").write_text(json.dumps(record, indent=1) + "\n")


def _write_outputs(folder: Path, keep: Iterable[str], result: Result) -> None:
    for name in keep:
        file = folder / file_name(name)
        match name:
            case "tta":
                pass  # a column of the history
            case "steps":
                np.savez_compressed(file, loss=result.steps)
            case "logits":
                assert result.logits is not None and result.labels is not None
                largest = np.finfo(np.float16).max
                logits = result.logits.clip(-largest, largest).astype(np.float16)
                np.savez_compressed(file, logits=logits, labels=result.labels.astype(np.uint8))
            case "weights":
                save_file(
                    {
                        name: (tensor.half() if tensor.is_floating_point() else tensor).contiguous().cpu()
                        for name, tensor in result.model.state_dict().items()
                    },
                    file,
                )
            case _:
                result.measured[name].to_csv(file, index=False)


@contextlib.contextmanager
def _cleaned_up(temporary: Path, what: str) -> Iterator[None]:
    """An empty folder inside; an error removes it, and is an OSError that says what to do."""
    try:
        shutil.rmtree(temporary, ignore_errors=True)
        temporary.mkdir(parents=True)
        yield
    except (OSError, SafetensorError) as error:  # the second for weights on a full disk
        shutil.rmtree(temporary, ignore_errors=True)
        raise files.unwritten(what, error, "give the same command again: its checkpoint is kept") from error
