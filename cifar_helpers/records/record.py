"""Records of finished runs: find, load, write; train what is missing."""

import concurrent.futures
import functools
import json
import pickle
import platform
import shutil
import subprocess
import threading
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file

from cifar_helpers import experiments, models, train
from cifar_helpers.core import files, paths
from cifar_helpers.train import Config, Result, convolutions

_ONE_TRAINING = threading.Lock()  # torch has one stream of random numbers per process
SUMS = "SHA256SUMS"  # of a record's other files, as the command sha256sum writes and checks them


class DamagedRecord(ValueError):
    """A file of a record is not what was written; the message says which, and what to do."""


@dataclass(frozen=True, eq=False)
class Run:
    """One record on disk: runs/<experiment>/<name>-<hash>/."""

    folder: Path
    record: dict  # run.json: config, metrics of the last epoch, what it took and where it ran
    history: pd.DataFrame  # a row per epoch, see train.Result

    @property
    def config(self) -> Config:
        return Config(**self.record["config"])

    @property
    def device(self) -> str:
        """Where it ran, as tables tell it; the records say `1 threads`."""
        return self.record["device"].replace(" 1 threads", " 1 thread")

    @property
    def steps(self) -> np.ndarray:
        """The loss of every step, where the config kept it."""
        return np.load(self._file("steps.npz", "keep_steps=True"))["loss"]

    @property
    def logits(self) -> tuple[np.ndarray, np.ndarray]:
        """((N, 10) float32, (N,) int64): logits and labels of the evaluated images after the last epoch."""
        with np.load(self._file("logits.npz", "keep_logits=True")) as file:
            return file["logits"].astype(np.float32), file["labels"].astype(np.int64)

    @property
    def measurements(self) -> pd.DataFrame:
        """What config.measure names, with the epoch and the step at which it was measured."""
        return pd.read_csv(self._file("measurements.csv", "measure='silent_units'"))

    @property
    def weights(self) -> Path:
        """The file of the trained weights, in half precision."""
        return self._file("weights.safetensors", "keep_weights=True")

    def model(self) -> models.Network:
        """The trained network in evaluation mode, float32 from half-precision weights."""
        config, file = self.config, self.weights
        try:
            weights = load_file(file)
        except SafetensorError as error:  # of a record without checksums
            raise _damaged(file, error) from error
        model = train.network(config)
        model.load_state_dict(
            {name: tensor.float() if tensor.is_floating_point() else tensor for name, tensor in weights.items()}
        )
        return model.eval()

    def _file(self, name: str, how: str) -> Path:
        if not (self.folder / name).exists():
            raise FileNotFoundError(f"{self.folder.name} has no {name}: train it with Config({how})")
        return _checked(self.folder / name)


def load(folder: Path) -> Run:
    """The record in a folder. DamagedRecord, a ValueError, says which file is not as it was written, and what to do.

    Each file is checked when it is read; a record without SHA256SUMS, of before they were written, is read unchecked.
    """
    record, history = (_checked(folder / name) for name in ("run.json", "history.csv"))
    return Run(folder, json.loads(record.read_text()), pd.read_csv(history))


def _checked(file: Path) -> Path:
    """The file, if the record's checksums hold or there are none."""
    if not file.exists():
        raise _damaged(file, "it is missing")
    if file.with_name(SUMS).exists() and not checksum_ok(file):
        raise _damaged(file, f"its checksum is not the one in {SUMS}")
    return file


def checksum_ok(file: Path) -> bool:
    """Whether the checksum of a record's file is among those written beside it."""
    sums = file.with_name(SUMS)
    return sums.exists() and files.checksum(file) in sums.read_text(errors="replace").splitlines()


def _damaged(file: Path, why: str | Exception) -> DamagedRecord:
    return DamagedRecord(
        f"{file.name} of the record {file.parent} is damaged ({why}): restore the folder (git restore, where it is "
        "committed), or remove it and train again"
    )


def write_checksums(folder: Path) -> None:
    """Write the checksums of a record's files beside them: `sha256sum -c SHA256SUMS` checks them too."""
    lines = [files.checksum(file) + "\n" for file in sorted(folder.iterdir()) if file.name != SUMS]
    (folder / SUMS).write_text("".join(lines), newline="\n")


def update_checksum(file: Path) -> None:
    """Add or replace the checksum of one file of a record; those of the others stay as they are, damaged or not."""
    sums = file.with_name(SUMS)
    if not sums.exists():  # of before they were written
        return write_checksums(file.parent)
    lines = [line for line in sums.read_text(errors="replace").splitlines() if not line.endswith(f"  {file.name}")]
    temporary = sums.with_name(f".{SUMS}")
    temporary.write_text("".join(f"{line}\n" for line in [*lines, files.checksum(file)]), newline="\n")
    temporary.replace(sums)


def find(config: Config, profile: str | None = None) -> Run | None:
    """The record of a config under any experiment of the profile, or None."""
    folders = sorted(paths.runs(experiments.profile(profile)).glob(f"*/{config.name}-{config.hash}"))
    return load(folders[0]) if folders else None


def get(config: Config, experiment: str = "single", profile: str | None = None, device: str | None = None) -> Run:
    """The record of a config if there is one, else trains and writes it.

    A second process that asks for the same record waits for the first, and takes over if that one is killed.
    """
    profile = experiments.profile(profile)
    key = f"{config.name}-{config.hash}"
    if (run := find(config, profile)) is not None:
        return run
    files.folder(paths.runs(profile) / experiment)  # told now, not after hours of training
    told = f"{profile}-{key} is being trained by another process; waiting for it"
    with files.lock(paths.CHECKPOINTS / f"{profile}-{key}.lock", told):
        if (run := find(config, profile)) is not None:
            return run
        checkpoint = paths.CHECKPOINTS / f"{profile}-{key}.pt"
        device = train.resolve_device(device)
        with _ONE_TRAINING:
            result = train.train(config, _dataset(config.data), device=device, checkpoint=checkpoint)
        run = write(config, result, experiment, profile, device)
        checkpoint.unlink(missing_ok=True)
        return run


def get_all(
    experiment: str,
    profile: str | None = None,
    device: str | None = None,
    executor: concurrent.futures.Executor | None = None,
    configs: list[Config] | None = None,
) -> list[Run]:
    """The records of an experiment in its order; what is missing is trained, side by side on an `executor`.

    The executor's workers are processes or machines (see executors.py); threads would train one after the other.
    `configs` stand in for the experiment's own: `experiments.activations(profile, names=["relu", "silu"])`.
    A failed run does not stop the others; the first failure is raised when all have ended.
    """
    profile = experiments.profile(profile)
    configs = experiments.configs(experiment, profile) if configs is None else configs
    if executor is None:
        return [get(config, experiment, profile, device) for config in configs]
    found = {config: find(config, profile) for config in configs}
    missing = [config for config, run in found.items() if run is None]
    try:
        futures = [executor.submit(get, config, experiment, profile, device) for config in missing]
        failures = [error for future in futures if (error := future.exception())]
        if failures:
            raise failures[0]
    except (concurrent.futures.BrokenExecutor, pickle.PicklingError, AttributeError) as error:
        raise _explained(error, configs) from error
    trained = {config: future.result() for config, future in zip(missing, futures)}
    return [found[config] or trained[config] for config in configs]


def recorded(experiment: str, profile: str | None = None, configs: list[Config] | None = None) -> list[Run]:
    """The runs that a notebook shows, in the experiment's order.

    Of `full` only those that have a record, since training the others takes hours: a line says which command does.
    Of the other profiles all of them, trained where they are missing.
    """
    profile = experiments.profile(profile)
    if profile != "full":
        return get_all(experiment, profile, configs=configs)
    configs = experiments.configs(experiment, profile) if configs is None else configs
    found = [run for config in configs if (run := find(config, profile))]
    if len(found) < len(configs):
        print(
            f"{len(configs) - len(found)} of {len(configs)} runs of {experiment} not yet run: "
            f"python -m cifar_helpers train {experiment} --profile {profile}"
        )
    return found


def missing(configs: list[Config], profile: str) -> list[Config]:
    """Those that have no record, or one without the weights that the config keeps."""

    def there(config):
        run = find(config, profile)
        return run and (not config.keep_weights or (run.folder / "weights.safetensors").exists())

    return [config for config in configs if not there(config)]


def _explained(error: Exception, configs: list[Config]) -> Exception:
    """What went wrong with an executor, in words that say what to do; any other error as it is."""
    if isinstance(error, concurrent.futures.BrokenExecutor):
        return RuntimeError(
            "a worker process was killed (was the memory full?); what was finished is kept: give the "
            "same command again, with fewer workers if need be"
        )
    if isinstance(error, (pickle.PicklingError, AttributeError)) and any(callable(c.schedule) for c in configs):
        return ValueError(
            f"a schedule for other processes must be a function of a module, no lambda and none of a "
            f"notebook's ({error})"
        )
    return error


def write(config: Config, result: Result, experiment: str, profile: str, device: str) -> Run:
    """Write a record under a temporary name and rename it, so that it is there whole or not at all."""
    folder = paths.runs(profile) / experiment / f"{config.name}-{config.hash}"
    last = result.history.iloc[-1].to_dict()
    record = {
        "name": config.name,
        "hash": config.hash,
        "experiment": experiment,
        "profile": profile,
        "synthetic": config.data == "synthetic",
        "config": config.to_dict(),
        "seed": config.seed,
        "parameters": sum(p.numel() for p in result.model.parameters()),
        **{metric: value for metric, value in last.items() if metric.endswith(("_loss", "_accuracy"))},
        "epochs": len(result.history),
        "diverged": result.diverged,
        "seconds": result.history["seconds"].sum(),
        "images_per_second": result.images_per_second,
        "peak_memory_mb": result.peak_memory_mb,
        "device": device_name(device),
        "torch": torch.__version__,
        "revision": revision(),
    }
    temporary = folder.with_name(f".{folder.name}.tmp")  # one name for all: a killed writer's is replaced
    try:
        shutil.rmtree(temporary, ignore_errors=True)
        temporary.mkdir(parents=True)
        result.history.to_csv(temporary / "history.csv", index=False)
        if config.keep_steps:
            np.savez_compressed(temporary / "steps.npz", loss=result.steps)
        if config.keep_logits:
            assert result.logits is not None and result.labels is not None
            largest = np.finfo(np.float16).max
            logits = result.logits.clip(-largest, largest).astype(np.float16)
            np.savez_compressed(temporary / "logits.npz", logits=logits, labels=result.labels.astype(np.uint8))
        if config.measure:
            result.measured.to_csv(temporary / "measurements.csv", index=False)
        if config.keep_weights:
            save_file(
                {
                    name: (tensor.half() if tensor.is_floating_point() else tensor).contiguous().cpu()
                    for name, tensor in result.model.state_dict().items()
                },
                temporary / "weights.safetensors",
            )
        (temporary / "run.json").write_text(json.dumps(record, indent=1) + "\n")
        write_checksums(temporary)
        temporary.rename(folder)
    except (OSError, SafetensorError) as error:  # the second for weights on a full disk
        shutil.rmtree(temporary, ignore_errors=True)
        then = "give the same command again: its checkpoint is kept"
        raise files.unwritten(f"the record {folder}", error, then) from error
    return load(folder)


def device_name(device: str) -> str:
    """`NVIDIA H100 …` or `AMD EPYC, 2 threads`; `Intel(R) Xeon(R) Processor with AMX, 2 threads`.

    Whether AMX is switched on makes machines of one name several times as fast or slow.
    """
    if device.startswith("cuda"):
        return torch.cuda.get_device_name(device)
    name = platform.processor() or platform.machine()
    if (info := Path("/proc/cpuinfo")).exists():
        found = [line.split(":", 1)[1].strip() for line in info.read_text().splitlines() if "model name" in line]
        name = found[0] if found else name
    return f"{name}{' with AMX' if convolutions.available() else ''}, {torch.get_num_threads()} threads"


def revision() -> str | None:
    """The git revision of the code, `+` behind it where files differ from it; None outside a checkout."""
    git = ["git", "-C", str(paths.ROOT)]
    try:
        head = subprocess.run([*git, "rev-parse", "--short", "HEAD"], capture_output=True, text=True, check=True)
        changed = subprocess.run(
            [*git, "status", "--porcelain", "--", "cifar_helpers"], capture_output=True, text=True, check=True
        )
    except (OSError, subprocess.CalledProcessError):
        return None
    return head.stdout.strip() + ("+" if changed.stdout.strip() else "")


@functools.lru_cache(maxsize=1)
def _dataset(name: str):
    return experiments.dataset("smoke" if name == "synthetic" else "full")
