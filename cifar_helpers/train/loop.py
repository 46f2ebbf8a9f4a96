"""train(): one loop for every network, loss, optimizer and schedule. It reads from top to bottom."""

import math
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from torch import Tensor, nn

from cifar_helpers import data, models
from cifar_helpers.core.progress import bar
from cifar_helpers.core.revision import revision
from cifar_helpers.data.batches import Batches
from cifar_helpers.data.splits import VALIDATION_IMAGES
from cifar_helpers.models.fast_cnn import WhiteningConv
from cifar_helpers.train import checkpoint as checkpoints
from cifar_helpers.train import cost, cpu, outputs, schedules
from cifar_helpers.train.checkpoint import Progress
from cifar_helpers.train.config import Config
from cifar_helpers.train.cost import Stopwatch
from cifar_helpers.train.device import resolve_device
from cifar_helpers.train.evaluation import autocast, evaluate, predict
from cifar_helpers.train.losses import LOSSES
from cifar_helpers.train.measurements import MEASUREMENTS
from cifar_helpers.train.optimizers import optimizers_for
from cifar_helpers.train.test_time_augmentation import TestTimeAugmentation


@dataclass(frozen=True)
class Result:
    """What train() gives back."""

    # epoch, train_loss, train_accuracy (percent, of augmented images while the weights changed), test_loss,
    # test_accuracy (validation_* where the config says so), learning_rate (at the epoch's start), seconds (training:
    # the first epoch's with the network's preparation, the last one's with test-time augmentation if that is kept),
    # test_tta_accuracy (of the last epoch, if it is kept)
    history: pd.DataFrame
    model: models.Network
    keep: tuple[str, ...]  # the names that were asked for, sorted
    steps: np.ndarray  # (steps,) loss of every step, float32
    measured: dict[str, pd.DataFrame]  # by its name in `keep`: the rows of a measurement, with their step and epoch
    logits: np.ndarray | None  # (evaluated images, 10) float32, if kept
    labels: np.ndarray | None  # (evaluated images,) int64, beside the logits
    diverged: bool  # the loss became NaN or infinite; the history ends there
    images_per_second: float  # in training, by the history's seconds
    cpu_seconds: float  # of the process in the same time, all threads
    multiply_adds: int  # of the forward passes of all training images, see cost.py
    peak_memory_mb: float  # of the process on a CPU, of the allocator on a GPU
    revision: str | None  # of the code; several with commas where other code went on from a checkpoint


def train(
    config: Config,
    cifar: data.Cifar10,
    *,
    keep: Iterable[str] = (),
    device: str | None = None,
    checkpoint: Path | None = None,
    after_epoch: Callable[[int, dict], None] | None = None,
) -> Result:
    """Train by `config`, evaluate after each epoch, and keep what `keep` names (see outputs.py).

    With a `checkpoint` path, the state is kept there after each epoch, and a run that finds it goes on from it
    to the same history as if it had not been interrupted (the seconds excepted). `after_epoch(epoch, row)` is
    called with the epoch's row of the history when its checkpoint is on disk.
    """
    keep, device = outputs.check(keep), resolve_device(device)
    cost.reset_peak_memory(device)
    training, evaluation = batches_for(config, cifar, device)
    _check_small_side(config)
    with Stopwatch() as preparation:
        setup = set_up(config, training, evaluation, device)
        states = setup.model, setup.optimizers, setup.schedulers
        progress = checkpoints.restore(checkpoint, config, keep, *states)
    if (code := revision()) and code not in progress.revisions:
        progress.revisions.append(code)
    if not progress.rows:
        progress.cpu_seconds = preparation.cpu
    with bar(config.epochs * len(training), config.name, initial=len(progress.steps), unit="step") as shown:
        for epoch in range(len(progress.rows), config.epochs):
            if _diverged(progress):
                break
            row = train_epoch(setup, progress, epoch, shown.update)
            row["seconds"] += preparation.wall if epoch == 0 else 0.0
            shown.set_postfix(
                loss=f"{row['train_loss']:.3f}", accuracy=f"{row[f'{config.evaluate}_accuracy']:.2f}%", refresh=False
            )
            if checkpoint is not None:
                checkpoints.save(checkpoint, config, progress, *states)
            if after_epoch:
                after_epoch(epoch + 1, row)
    return _result(setup, progress, keep, device)


@dataclass(frozen=True)
class Setup:
    """What a training works with; the epochs change the state inside."""

    config: Config
    training: Batches  # with the config's augmentation
    evaluation: Batches
    model: models.Network
    optimizers: list[torch.optim.Optimizer]
    schedulers: list[torch.optim.lr_scheduler.LambdaLR]


def set_up(config: Config, training: Batches, evaluation: Batches, device: str) -> Setup:
    """Seed torch's random numbers and make the network, its optimizers and their schedules."""
    torch.manual_seed(config.seed)
    model = network(config)
    model = model.to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]  # not in torch's types
    if device == "cpu":
        cpu.prepare(model, config.precision)
    for module in model.modules():
        if isinstance(module, WhiteningConv):
            module.fit(next(training.epoch(0))[0])
    optimizers = optimizers_for(config, model)
    total, factor = config.epochs * len(training), schedules.resolve(config.schedule, config.warmup)
    schedulers = [
        torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: float(factor(min(step / total, 1.0))))
        for optimizer in optimizers
    ]
    return Setup(config, training, evaluation, model, optimizers, schedulers)


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


def _check_small_side(config: Config) -> None:
    """ValueError where the network's pooling leaves nothing of the small images of the first epochs."""
    if not (side := config.small_side * bool(config.small_share)):
        return
    with torch.device("meta"), torch.no_grad():  # shapes only
        model = network(config).eval()
        try:
            model(torch.empty(1, 3, side, side))
        except RuntimeError as error:
            raise ValueError(f"small_side={side} is too small for the network {config.model} ({error})") from error


def batches_for(config: Config, cifar: data.Cifar10, device: str) -> tuple[Batches, Batches]:
    """Training batches with the config's augmentation, and evaluation batches without any."""
    if cifar.synthetic != (config.data == "synthetic"):
        raise ValueError(
            f"the config asks for {config.data} images; these are {'synthetic' if cifar.synthetic else 'cifar10'}"
        )
    images, labels = cifar.train_images, cifar.train_labels
    other_images, other_labels = cifar.test_images, cifar.test_labels
    if config.evaluate == "validation":
        train, rest = data.split(labels, validation=min(VALIDATION_IMAGES, len(labels) // 10))
        other_images, other_labels, images, labels = images[rest], labels[rest], images[train], labels[train]
    images, labels = _subset(images, labels, "images", config.images)
    other_images, other_labels = _subset(other_images, other_labels, "test_images", config.test_images)
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
    return training, Batches(other_images, other_labels, 500, device=device, shuffle=False, crop=0, flip=False)


def _subset(images: np.ndarray, labels: np.ndarray, field: str, count: int | None) -> tuple[np.ndarray, np.ndarray]:
    """So many of the images, None for all, for a field of the config."""
    if count is None:
        return images, labels
    if count > len(images):
        raise ValueError(f"{field}={count} is more than the {len(images)} images that there are")
    chosen = data.subset(labels, count)
    return images[chosen], labels[chosen]


def train_epoch(setup: Setup, progress: Progress, epoch: int, after_step: Callable[[], object]) -> dict:
    """One pass over the training images and its evaluation: the history's next row, which `progress` now holds."""
    config, measuring, losses = setup.config, Stopwatch(), []
    rate, first = setup.optimizers[0].param_groups[0]["lr"], epoch * len(setup.training)
    correct = torch.zeros((), device=setup.training.labels.device, dtype=torch.int64)
    setup.model.train()
    with Stopwatch() as watch:
        for step, batch in enumerate(_batches(setup, epoch), start=first):
            with measuring:
                measure(setup, progress, epoch, step, batch, at_end=False)
            loss, right = train_step(setup, *batch)
            losses.append(loss)
            correct += right
            after_step()
        step_losses = torch.stack(losses).float().cpu()
    measure(setup, progress, epoch, step + 1, batch, at_end=True)
    evaluated_loss, evaluated_accuracy = evaluate(setup.model, setup.evaluation, config.loss, config.precision)
    progress.cpu_seconds += watch.cpu - measuring.cpu
    progress.steps += step_losses.tolist()
    progress.rows.append(
        {
            "epoch": epoch + 1,
            "train_loss": step_losses.double().mean().item(),
            "train_accuracy": 100 * correct.item() / (len(setup.training) * config.batch_size),
            f"{config.evaluate}_loss": evaluated_loss,
            f"{config.evaluate}_accuracy": evaluated_accuracy,
            "learning_rate": rate,
            "seconds": watch.wall - measuring.wall,
        }
    )
    return progress.rows[-1]


def _batches(setup: Setup, epoch: int) -> Iterator[tuple[Tensor, Tensor]]:
    """Images (B, 3, side, side) and labels (B,) of an epoch, scaled down in the first ones where the config says so."""
    small = epoch < setup.config.small_epochs
    for images, labels in setup.training.epoch(epoch):
        yield downscale(images, setup.config.small_side) if small else images, labels


def downscale(images: Tensor, side: int) -> Tensor:
    """Images (B, 3, H, W) scaled to (B, 3, side, side), smoothed as far as they shrink."""
    return nn.functional.interpolate(images, size=(side, side), mode="bilinear", antialias=True).contiguous(
        memory_format=torch.channels_last
    )


def train_step(setup: Setup, images: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
    """One step on a batch: its loss without the L1 penalty and how many answers were right, both before the step."""
    config, model = setup.config, setup.model
    with autocast(images.device.type, config.precision):
        logits = model(images)
    loss = LOSSES[config.loss](logits.float(), labels, config.label_smoothing)
    total = loss
    if config.l1:
        total = loss + config.l1 * sum(p.abs().sum() for p in model.parameters() if p.dim() > 1)
    model.zero_grad(set_to_none=True)
    total.backward()
    for optimizer, scheduler in zip(setup.optimizers, setup.schedulers):
        optimizer.step()
        scheduler.step()
    return loss.detach(), (logits.argmax(1) == labels).sum()


def measure(setup: Setup, progress: Progress, epoch: int, step: int, batch: tuple[Tensor, Tensor], at_end: bool):
    """Add the rows of what is due before this step, or at the end of the epoch, to the progress."""
    for name, interval in outputs.measured(progress.measured).items():
        if at_end != (interval == 0) or (interval and step % interval):
            continue
        rows = MEASUREMENTS[name.partition(":")[0]](setup.model, batch, setup.evaluation, setup.config)
        progress.measured[name] += [{"epoch": epoch + 1, "step": step, **row} for row in rows]


def _diverged(progress: Progress) -> bool:
    return bool(progress.rows) and not math.isfinite(progress.rows[-1]["train_loss"])


def _result(setup: Setup, progress: Progress, keep: tuple[str, ...], device: str) -> Result:
    config, model = setup.config, setup.model
    if "tta" in keep:
        with Stopwatch() as watch:
            _, accuracy = evaluate(TestTimeAugmentation(model), setup.evaluation, config.loss, config.precision)
        progress.rows[-1][f"{config.evaluate}_tta_accuracy"] = accuracy
        progress.rows[-1]["seconds"] += watch.wall  # a part of the method, so of its time
        progress.cpu_seconds += watch.cpu
    logits = labels = None
    if "logits" in keep:
        logits, labels = (tensor.cpu().numpy() for tensor in predict(model, setup.evaluation, config.precision))
    history, images = pd.DataFrame(progress.rows), len(setup.training) * config.batch_size
    return Result(
        history=history,
        model=model,
        keep=keep,
        steps=np.array(progress.steps, dtype=np.float32),
        measured={name: pd.DataFrame(rows) for name, rows in progress.measured.items()},
        logits=logits,
        labels=labels,
        diverged=_diverged(progress),
        images_per_second=len(history) * images / history["seconds"].sum(),
        cpu_seconds=progress.cpu_seconds,
        multiply_adds=cost.multiply_adds_of_training(model, config, len(history), images),
        peak_memory_mb=cost.peak_memory_mb(device),
        revision=", ".join(progress.revisions) or None,
    )
