"""Config, train() and evaluate(): one loop for every network, loss, optimizer and schedule."""

import contextlib
import dataclasses
import hashlib
import json
import math
import pickle
import sys
import time
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from torch import nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from cifar_helpers import data, models
from cifar_helpers.core import files
from cifar_helpers.core.progress import bar
from cifar_helpers.data.batches import Batches
from cifar_helpers.models.fast_cnn import Whitening
from cifar_helpers.train import allocator, convolutions, losses, measurements, schedules
from cifar_helpers.train.optimizers import ALL as ALL_OPTIMIZERS
from cifar_helpers.train.optimizers import OPTIMIZERS, optimizers_for  # noqa: F401  (the report's four, for experiments)
from cifar_helpers.train.test_time_augmentation import TestTimeAugmentation

PRECISIONS = ("float32", "bfloat16")
DATASETS = ("cifar10", "synthetic")
EVALUATIONS = ("test", "validation")


@dataclass(frozen=True)
class Config:
    """Everything that changes a result. Rates are those of torch's optimizers; sizes are in pixels or images.

    Fields may be added: a field at its default is left out of the hash, so old records are still found.
    """

    model: str
    activation: str = "relu"
    hidden: tuple[int, ...] = ()
    dropout: float = 0.0
    width: float = 1.0
    batch_norm: bool = True  # False puts a learned shift per channel in the place of each
    loss: str = "cross_entropy"
    label_smoothing: float = 0.0  # share of the target that is spread over all classes
    optimizer: str = "sgd"
    learning_rate: float = 0.1
    momentum: float = 0.9  # of sgd (Nesterov), muon and rmsprop
    head_rate: float = 0.0  # rate of the last layer; 0 for learning_rate
    bias_rate: float = 0.0  # the same for the parameters of norms and other biases before the last layer
    muon_scale_tall: bool = True  # a tall matrix's step times sqrt(rows / columns), as torch has it
    muon_per_group: bool = False  # a grouped convolution is a matrix per group, not one across its groups
    weight_decay: float = 5e-4  # L2, through the optimizer
    l1: float = 0.0  # factor of the sum of |w| over weight matrices and filters
    schedule: str | Callable[[float], float] = "one_cycle"
    warmup: float = 0.0  # share of the run
    epochs: int = 30
    batch_size: int = 128
    data: str = "cifar10"
    images: int | None = None  # a fixed, class-balanced subset of the training images; None for all
    test_images: int | None = None  # the same for the images that are evaluated on
    evaluate: str = "test"  # "validation" holds 5,000 training images out and never reads the test set
    crop: int = 4  # padding of the random crop
    flip: bool = True
    alternate: bool = False  # each image flipped in every second epoch, instead of at random
    reflect: bool = False  # the crop's padding: the mirrored border instead of the mean colour
    cutout: int = 0  # side of the square, 0 for none
    small_side: int = 32  # images are scaled down to so many pixels a side ...
    small_share: float = 0.0  # ... in the first epochs, this share of the run
    tta: bool = False  # the last evaluation is repeated over six views of each image (views.py)
    precision: str = "bfloat16"  # of convolutions and matrix products, by autocast; weights stay float32
    compile: bool = False
    ema: float = 0.0  # decay per step of the averaged weights that are evaluated; 0 for none
    clip: float = 0.0  # largest norm of the gradient; 0 for none
    seed: int = 0
    keep_weights: bool = False
    keep_steps: bool = False  # the loss of every step
    keep_logits: bool = False  # of the evaluated images after the last epoch
    measure: str = ""  # a name in measurements.MEASUREMENTS: what is measured while the run goes on
    measure_every: int = 0  # steps from one measurement to the next; 0 for one at each epoch's end

    def __post_init__(self):
        choices = {
            "model": models.NAMES,
            "activation": models.ACTIVATIONS,
            "loss": tuple(losses.LOSSES),
            "optimizer": ALL_OPTIMIZERS,
            "precision": PRECISIONS,
            "data": DATASETS,
            "evaluate": EVALUATIONS,
            "measure": ("", *measurements.MEASUREMENTS),
        }
        for field, names in choices.items():
            if getattr(self, field) not in names:
                raise ValueError(f"unknown {field} {getattr(self, field)!r}; choose from {', '.join(names)}")
        if not (isinstance(self.schedule, str) and "@" in self.schedule):  # a record's: cannot be run, can be read
            schedules.resolve(self.schedule)
        for field in ("epochs", "batch_size"):
            if getattr(self, field) < 1:
                raise ValueError(f"{field} must be at least 1, not {getattr(self, field)}")
        if self.measure_every < 0:
            raise ValueError(f"measure_every must be at least 0, not {self.measure_every}")
        for field in ("images", "test_images"):
            if getattr(self, field) is not None and getattr(self, field) < 10:
                raise ValueError(f"{field} must be at least 10 (one of each class), not {getattr(self, field)}")
        object.__setattr__(self, "hidden", tuple(self.hidden))

    def to_dict(self) -> dict:
        """All fields as JSON knows them; a schedule of one's own by its label."""
        fields = {f.name: getattr(self, f.name) for f in dataclasses.fields(self)}
        return fields | {"hidden": list(self.hidden), "schedule": schedules.label(self.schedule)}

    @property
    def hash(self) -> str:
        """Eight hexadecimal digits over the fields that are not at their default."""
        defaults = {f.name: f.default for f in dataclasses.fields(self)} | {"hidden": []}
        changed = {name: value for name, value in self.to_dict().items() if value != defaults[name]}
        return hashlib.sha256(json.dumps(changed, sort_keys=True).encode()).hexdigest()[:8]

    @property
    def name(self) -> str:
        """The network, what sets the run apart for a reader, the seed: `resnet18-leaky_relu-seed1`."""
        told = {"activation": self.activation, "loss": self.loss, "optimizer": self.optimizer}
        return "-".join([self.model, *(v for f, v in told.items() if v != getattr(Config, f)), f"seed{self.seed}"])


@dataclass(frozen=True)
class Result:
    """What train() gives back."""

    # epoch, train_loss, train_accuracy (percent, of augmented images while the weights changed), test_loss,
    # test_accuracy (validation_* where the config says so), learning_rate (at the epoch's start), seconds (training:
    # the first epoch's with the network's preparation, the last one's with the views), test_tta_accuracy with views
    history: pd.DataFrame
    model: nn.Module  # the weights that were evaluated (the average, where ema is set)
    steps: np.ndarray  # (steps,) loss of every step, float32
    measured: pd.DataFrame  # the rows of the config's measurement, with their step and epoch; empty without one
    logits: np.ndarray | None  # (evaluated images, 10) float32, where the config keeps them
    labels: np.ndarray | None  # (evaluated images,) int64, beside the logits
    diverged: bool  # the loss left the numbers; the history ends there
    images_per_second: float  # in training, evaluation left out
    peak_memory_mb: float  # of the process on a CPU, of the allocator on a GPU


def default_device() -> str:
    return "cuda" if torch.cuda.is_available() else "cpu"


def resolve_device(device: str | None) -> str:
    """The device of that name, or where none is named the default; ValueError where this machine lacks it."""
    gpus = ["cuda", *(f"cuda:{number}" for number in range(torch.cuda.device_count()))]
    names = ["cpu", *(gpus if torch.cuda.is_available() else [])]
    if device and device not in names:
        raise ValueError(f"this machine has no device {device!r} that torch can use; choose from {', '.join(names)}")
    return device or default_device()


def batches_for(config: Config, cifar: data.Cifar10, device: str) -> tuple[Batches, Batches]:
    """Training batches with the config's augmentation, and evaluation batches without any."""
    if cifar.synthetic != (config.data == "synthetic"):
        raise ValueError(
            f"the config asks for {config.data} images; these are {'synthetic' if cifar.synthetic else 'cifar10'}"
        )
    images, labels = cifar.train_images, cifar.train_labels
    held_images, held_labels = cifar.test_images, cifar.test_labels
    if config.evaluate == "validation":
        train, rest = data.split(labels, validation=min(5000, len(labels) // 10))
        held_images, held_labels, images, labels = images[rest], labels[rest], images[train], labels[train]
    if config.images is not None:
        chosen = data.subset(labels, config.images)
        images, labels = images[chosen], labels[chosen]
    if config.test_images is not None:
        chosen = data.subset(held_labels, config.test_images)
        held_images, held_labels = held_images[chosen], held_labels[chosen]
    if len(images) < config.batch_size:
        raise ValueError(f"batch_size {config.batch_size} is larger than the {len(images)} training images")
    # The last, smaller batch is left out: another epoch's shuffle brings its images, and batch norm needs many.
    training = Batches(
        images,
        labels,
        config.batch_size,
        device=device,
        seed=config.seed,
        crop=config.crop,
        flip=config.flip,
        cutout=config.cutout,
        drop_last=True,
        alternate=config.alternate,
        reflect=config.reflect,
    )
    held = Batches(held_images, held_labels, 500, device=device, shuffle=False, crop=0, flip=False)
    return training, held


def network(config: Config) -> models.Network:
    """The config's network with fresh weights, which torch's global generator draws."""
    return models.build(
        config.model,
        activation=config.activation,
        hidden=config.hidden,
        dropout=config.dropout,
        width=config.width,
        batch_norm=config.batch_norm,
    )


def downscale(images: torch.Tensor, side: int) -> torch.Tensor:
    """Images (B, 3, H, W) scaled to (B, 3, side, side), smoothed as far as they shrink."""
    return nn.functional.interpolate(images, size=(side, side), mode="bilinear", antialias=True).contiguous(
        memory_format=torch.channels_last
    )


@torch.inference_mode()
def predict(model: nn.Module, batches: Batches, precision: str = "float32") -> tuple[torch.Tensor, torch.Tensor]:
    """(logits (N, classes) float32, labels (N,) int64) of the model in evaluation mode over batches of one epoch."""
    model.eval()
    logits, labels = [], []
    for images, batch_labels in batches.epoch(0):
        with autocast(images.device.type, precision):
            logits.append(model(images).float())
        labels.append(batch_labels)
    return torch.cat(logits), torch.cat(labels)


def evaluate(model: nn.Module, batches: Batches, loss: str = "cross_entropy", precision: str = "float32"):
    """(mean loss, accuracy in percent) of the model in evaluation mode over batches of one epoch."""
    logits, labels = predict(model, batches, precision)
    correct = (logits.argmax(1) == labels).double().mean()
    return losses.LOSSES[loss](logits, labels, 0.0).item(), 100 * correct.item()


def autocast(device_type: str, precision: str):
    return torch.autocast(device_type, dtype=torch.bfloat16, enabled=precision == "bfloat16")


def train(
    config: Config,
    cifar: data.Cifar10,
    *,
    device: str | None = None,
    checkpoint: Path | None = None,
    after_epoch: Callable[[int, dict], None] | None = None,
) -> Result:
    """Train by `config` and evaluate after each epoch.

    With a `checkpoint` path, the state is kept there after each epoch, and a run that finds it goes on from it
    to the same history as if it had not been interrupted (the seconds excepted). `after_epoch(epoch, row)` is
    called with the epoch's row of the history when its checkpoint is on disk.
    """
    device = resolve_device(device)
    allocator.keep_freed()
    _reset_peak_memory(device)
    training, held = batches_for(config, cifar, device)
    began = time.perf_counter()
    torch.manual_seed(config.seed)
    model = network(config)
    model = model.to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]  # not in torch's types
    if device == "cpu" and config.precision == "bfloat16" and not config.compile:
        convolutions.prepare(model)
    for module in model.modules():
        if isinstance(module, Whitening):
            module.fit(next(training.epoch(0))[0])
    optimizers = optimizers_for(config, model)
    total = config.epochs * len(training)
    factor = schedules.resolve(config.schedule, config.warmup)
    steppers = [
        torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: float(factor(min(step / total, 1.0))))
        for optimizer in optimizers
    ]
    average = None
    if config.ema:
        average = AveragedModel(model, multi_avg_fn=get_ema_multi_avg_fn(config.ema), use_buffers=True)
    state = _State(model, average, optimizers, steppers)
    rows, steps, measured = state.restore(checkpoint, config)
    forward = torch.compile(model) if config.compile else model
    evaluated = average.module if average else model
    penalised = [p for p in model.parameters() if p.dim() > 1]
    criterion = losses.LOSSES[config.loss]
    measure = measurements.MEASUREMENTS.get(config.measure)

    def measure_now(epoch: int, step: int, batch) -> float:
        """The seconds that it took."""
        assert measure is not None  # it is called where the config names a measurement
        before = time.perf_counter()
        measured.extend({"epoch": epoch, "step": step, **row} for row in measure(model, batch, held, config))
        return time.perf_counter() - before

    diverged = bool(rows) and not math.isfinite(rows[-1]["train_loss"])
    preparation = time.perf_counter() - began
    with bar(total, config.name, initial=len(steps), unit="step") as progress:
        for epoch in range(len(rows), 0 if diverged else config.epochs):
            started, rate = time.perf_counter(), optimizers[0].param_groups[0]["lr"]
            started -= preparation if epoch == 0 else 0
            step_losses, correct = [], torch.zeros((), device=device, dtype=torch.int64)
            model.train()
            for step, (images, labels) in enumerate(training.epoch(epoch), start=epoch * len(training)):
                if measure and config.measure_every and step % config.measure_every == 0:
                    started += measure_now(epoch + 1, step, (images, labels))  # no part of the training's time
                if epoch < config.small_share * config.epochs:
                    images = downscale(images, config.small_side)
                with autocast(images.device.type, config.precision):
                    logits = forward(images)
                loss = criterion(logits.float(), labels, config.label_smoothing)
                step_losses.append(loss.detach())
                if config.l1:
                    loss = loss + config.l1 * sum(p.abs().sum() for p in penalised)
                model.zero_grad(set_to_none=True)
                loss.backward()
                if config.clip:
                    nn.utils.clip_grad_norm_(model.parameters(), config.clip)
                for optimizer, scheduler in zip(optimizers, steppers):
                    optimizer.step()
                    scheduler.step()
                if average:
                    average.update_parameters(model)
                correct += (logits.argmax(1) == labels).sum()
                progress.update()
            epoch_losses = torch.stack(step_losses).float().cpu()
            seconds = time.perf_counter() - started
            held_loss, held_accuracy = evaluate(evaluated, held, config.loss, config.precision)
            views = {}
            if config.tta and epoch + 1 == config.epochs:
                started = time.perf_counter()
                views = {
                    f"{config.evaluate}_tta_accuracy": evaluate(
                        TestTimeAugmentation(evaluated), held, config.loss, config.precision
                    )[1]
                }
                seconds += time.perf_counter() - started  # a part of the method, so of its time
            rows.append(
                {
                    "epoch": epoch + 1,
                    "train_loss": epoch_losses.double().mean().item(),
                    "train_accuracy": 100 * correct.item() / (len(training) * config.batch_size),
                    f"{config.evaluate}_loss": held_loss,
                    f"{config.evaluate}_accuracy": held_accuracy,
                    "learning_rate": rate,
                    "seconds": seconds,
                    **views,
                }
            )
            steps += epoch_losses.tolist()
            progress.set_postfix(loss=f"{rows[-1]['train_loss']:.3f}", accuracy=f"{held_accuracy:.2f}%", refresh=False)
            if measure and not config.measure_every:
                measure_now(epoch + 1, step + 1, (images, labels))
            state.save(checkpoint, config, rows, steps, measured)
            if after_epoch:
                after_epoch(epoch + 1, rows[-1])
            if not math.isfinite(rows[-1]["train_loss"]):
                diverged = True
                break
    history = pd.DataFrame(rows)
    trained_images = len(history) * len(training) * config.batch_size
    kept_logits = kept_labels = None
    if config.keep_logits:
        kept_logits, kept_labels = (tensor.cpu().numpy() for tensor in predict(evaluated, held, config.precision))
    return Result(
        history,
        evaluated,
        np.array(steps, dtype=np.float32),
        pd.DataFrame(measured),
        kept_logits,
        kept_labels,
        diverged,
        trained_images / history["seconds"].sum(),
        _peak_memory_mb(device),
    )


def _reset_peak_memory(device: str) -> None:
    """Forget the peaks of earlier runs; memory that this process still holds from them counts on."""
    if device.startswith("cuda"):
        torch.cuda.reset_peak_memory_stats()
    elif (file := Path("/proc/self/clear_refs")).exists():
        with contextlib.suppress(OSError):  # some containers forbid it; then earlier runs count
            file.write_text("5")


def _peak_memory_mb(device: str) -> float:
    if device.startswith("cuda"):
        return torch.cuda.max_memory_allocated() / 1e6
    if (status := Path("/proc/self/status")).exists():
        return next(int(line.split()[1]) for line in status.open() if line.startswith("VmHWM")) * 1024 / 1e6
    import resource  # not on Windows

    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6  # bytes on macOS


@dataclass(frozen=True)
class _State:
    """All that an epoch changes, to disk and back. Batches need no state: epoch k's draws come from (seed, k)."""

    model: nn.Module
    average: nn.Module | None
    optimizers: list[torch.optim.Optimizer]
    schedulers: list[torch.optim.lr_scheduler.LambdaLR]

    def save(
        self, path: Path | None, config: Config, rows: list[dict], steps: list[float], measured: list[dict]
    ) -> None:
        if path is None:
            return
        content = {
            "config": json.dumps(config.to_dict()),
            "rows": rows,
            "steps": steps,
            "measured": measured,
            "model": self.model.state_dict(),
            "optimizers": [optimizer.state_dict() for optimizer in self.optimizers],
            "schedulers": [scheduler.state_dict() for scheduler in self.schedulers],
            "average": self.average.state_dict() if self.average else None,
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

    def restore(self, path: Path | None, config: Config) -> tuple[list, list, list]:
        """Rows, step losses and measurements so far; three empty lists where there is nothing to go on from."""
        if path is None or not path.exists():
            return [], [], []
        try:
            with zipfile.ZipFile(path) as archive:  # torch writes checksums into it, and does not read them
                if damaged := archive.testzip():
                    raise ValueError(f"its part {damaged} is damaged")
            content = torch.load(path, weights_only=True, map_location="cpu")
            if content["config"] != json.dumps(config.to_dict()):
                raise ValueError("it belongs to another config")
        except Exception as error:
            # torch's own text on a pickle that may run code is long, and tells how to run it
            told = "it is no checkpoint" if isinstance(error, pickle.UnpicklingError) else str(error).split("\n")[0]
            aside = path.with_suffix(".rejected")
            path.replace(aside)
            print(
                f"{path.name} cannot be used ({told}); set aside as {aside.name}, training from the start",
                file=sys.stderr,
            )
            return [], [], []
        self.model.load_state_dict(content["model"])
        for optimizer, kept in zip(self.optimizers, content["optimizers"]):
            optimizer.load_state_dict(kept)
        for scheduler, kept in zip(self.schedulers, content["schedulers"]):
            scheduler.load_state_dict(kept)
        if self.average:
            self.average.load_state_dict(content["average"])
        torch.set_rng_state(content["rng"])
        if content["cuda_rng"]:
            torch.cuda.set_rng_state_all(content["cuda_rng"])
        return content["rows"], content["steps"], content["measured"]
