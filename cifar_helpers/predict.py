"""Classify a user's pictures with the best network whose weights are there: in a clone, the fast one."""

import contextlib
import functools
import os
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from torch import Tensor, nn

from cifar_helpers import data, experiments, records, train
from cifar_helpers.analysis import calibration
from cifar_helpers.core import paths
from cifar_helpers.core.progress import bar
from cifar_helpers.core.text import printable
from cifar_helpers.data import user_images
from cifar_helpers.data.batches import Batches
from cifar_helpers.records import Run
from cifar_helpers.train.test_time_augmentation import TestTimeAugmentation

READABLE = (
    ".png .apng .jpg .jpeg .jpe .jfif .jif .mpo .webp .gif .bmp .dib .tif .tiff .avif .avifs .jp2 .j2k .j2c .jpc .jpf "
    ".jpx .ppm .pgm .pbm .pnm .pfm"
)
UNREADABLE = (
    ".heic .heif .hif .jxl .svg .svgz .psd .xcf .eps .ico .icns .tga .qoi .exr .hdr .pcx .raw .dng .cr2 .cr3 .nef .arw "
    ".orf .rw2 .raf"
)
# searched for in a folder: the second to be named as errors
SUFFIXES = frozenset(READABLE.split() + UNREADABLE.split())
BATCH = 100  # pictures that are read before their classes are printed


def best(profile: str = "full") -> Run:
    """The record of the best network that has its weights: the wide fast one, else the fast one.

    Raises:
        ValueError: where there is none; it says what to do.
    """
    for config in [*experiments.fast_wide(profile), *experiments.fast(profile)]:
        if (run := records.find(config, profile, keep=["weights"])) is not None:
            return run
    if not (paths.ROOT / "pyproject.toml").exists():
        raise ValueError(
            f"this package is installed in {Path(__file__).parent}, apart from its repository, which holds the weights "
            "in runs/fast: install a clone with pip install -e, or name a record's folder with --model"
        )
    raise ValueError(
        f"there are no weights of the best model in {paths.runs(profile)}: python -m cifar_helpers train "
        f"fast_wide fast --profile {profile}, or name the folder of another record with --model"
    )


def named(name: str) -> Run:
    """The record in a folder.

    Raises:
        ValueError: where there is no record with weights; it lists those in the folder, beside it and in runs/.
    """
    folder = Path(name)
    if name and all((folder / file).exists() for file in ("weights.safetensors", "run.json")):
        return records.load(folder)
    places = ((folder, "*"), (folder.parent, "*"), (paths.runs("full"), "*/*"))
    weights = {file.resolve() for root, pattern in places for file in root.glob(f"{pattern}/weights.safetensors")}
    known = ", ".join(sorted(_short(file.parent) for file in weights)) or f"none in {paths.runs('full')}"
    raise ValueError(printable(f"{name or 'an empty name'} is no record with weights; there are {known}"))


def _short(path: Path) -> str:
    """Relative to the current folder, if it lies in it."""
    return str(path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path)


def description(run: Run) -> str:
    """The network, its accuracy and its classes, in a sentence or two."""
    accuracies = [run.record[name] for name in ("test_tta_accuracy", "test_accuracy") if name in run.record]
    of = "made-up" if run.record["synthetic"] else "CIFAR-10's"
    return (
        f"{run.config.model} of {_short(run.folder.resolve())}"
        + (f", right for {accuracies[0]:.1f} % of {of} test images" if accuracies else "")
        + f". Whatever a picture shows, the answer is one of ten classes: {', '.join(data.CLASSES)}"
    )


@dataclass(frozen=True)
class Sources:
    """What the names on the command line stand for."""

    pictures: list[str] = field(default_factory=list)  # files, and "-" for standard input
    errors: list[str] = field(default_factory=list)  # a sentence for each name or folder that cannot be read
    notes: list[str] = field(default_factory=list)  # a sentence for each thing that was left out


def sources(names: Iterable[str]) -> Sources:
    """The names, each folder replaced by the pictures in it and below it, sorted; links to folders are followed."""
    found = Sources()
    for name in names:
        if not name:
            found.errors.append("the name of a picture is empty")
        elif name != "-" and os.path.isdir(name):  # pathlib's raises where a name is too long
            _search(name, found)
        else:
            found.pictures.append(name)
    return found


def _search(top: str, found: Sources) -> None:
    """Add the pictures in a folder and below it. It goes into each folder once, so that links in a circle end."""
    folders, seen = [top], dict[tuple[int, int], str]()
    pictures: list[str] = []
    others: list[str] = []
    while folders:
        folder = folders.pop()
        try:
            status = os.stat(folder)
            if (first := seen.setdefault((status.st_dev, status.st_ino), folder)) != folder:
                found.notes.append(f"{folder} is the same folder as {first} and is left out")
                continue
            for entry in sorted(os.scandir(folder), key=lambda entry: entry.path, reverse=True):
                if entry.is_dir():
                    folders.append(entry.path)
                else:
                    (pictures if Path(entry.name).suffix.lower() in SUFFIXES else others).append(entry.path)
        except OSError as error:
            found.errors.append(f"the folder {folder} cannot be read: {error.strerror}")
    found.pictures.extend(sorted(pictures))
    if others:
        few = ", ".join(sorted(others)[:3]) + (f" and {len(others) - 3:,} more" if len(others) > 3 else "")
        found.notes.append(f"left out, since the names do not end like those of pictures: {few}")
    if not pictures:
        found.errors.append(f"there is no picture in {top}")


def read(name: str) -> np.ndarray:
    """A file, or for "-" the bytes of one picture on standard input, to (32, 32, 3) uint8, as `user_images.read`."""
    if name != "-":
        with _quiet():
            return user_images.read(Path(name))
    if sys.stdin is None:
        raise ValueError("-: standard input is closed")
    content = sys.stdin.buffer.read(user_images.MAX_BYTES + 1)
    with _quiet():
        return user_images.read(content, "-: the file")


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Without what C libraries write to standard error: libtiff's own lines about damaged files."""
    try:
        before = os.dup(2)
    except OSError:  # it is closed
        yield
        return
    with open(os.devnull, "w") as nothing:
        os.dup2(nothing.fileno(), 2)
    try:
        yield
    finally:
        os.dup2(before, 2)
        os.close(before)


class Probabilities(nn.Module):
    """Images (B, 3, 32, 32) to the probability of each class (B, 10): logits over the temperature, then the readout
    that the loss trains for, see `calibration.probabilities`.
    """

    def __init__(self, model: nn.Module, temperature: float, readout: str):
        super().__init__()
        self.model, self.temperature, self.readout = model, temperature, readout

    def forward(self, images: Tensor) -> Tensor:
        logits = self.model(images).float().numpy()
        return torch.from_numpy(calibration.probabilities(logits / self.temperature, self.readout))


@functools.lru_cache(maxsize=1)
def network(run: Run) -> nn.Module:
    """The trained network as `Probabilities`; their mean over test-time augmentation, where its accuracy is with it."""
    model = Probabilities(run.model(), temperature(run), calibration.READOUTS[run.config.loss])
    augmented = any(name.endswith("tta_accuracy") for name in run.record)
    return TestTimeAugmentation(model) if augmented else model


def temperature(run: Run) -> float:
    """What the logits are divided by (Guo et al. 2017, arXiv 1706.04599); 1 changes nothing.

    It is fitted on the logits that a second run, with the same config, recorded of its validation images: logits of
    single images, without test-time augmentation. So it divides the logits of each single image, an augmented one too,
    and test-time augmentation then averages probabilities. It is not for a mean of logits, which would have a best
    temperature of its own. 1 where there is no such run, or where the loss trains for no softmax.
    """
    if calibration.READOUTS[run.config.loss] != "softmax":
        return 1.0
    validation = records.find(replace(run.config, evaluate="validation"), run.record["profile"], keep=["logits"])
    if validation is None:
        return 1.0
    fitted = calibration.temperature(*validation.logits)
    return fitted if np.isfinite(fitted) else 1.0


def probabilities(run: Run, images: np.ndarray) -> np.ndarray:
    """Images (N, 32, 32, 3) uint8 to (N, 10), 0 to 1, each row's sum 1, on the CPU.

    Raises:
        ValueError: where the network gives NaN or infinity.
    """
    batches = Batches(images, np.zeros(len(images), np.int64), 100, shuffle=False, crop=0, flip=False)
    found, _ = train.predict(network(run), batches)
    if not found.isfinite().all():
        raise ValueError(
            f"the network of {_short(run.folder)} gives NaN or infinity instead of probabilities: its training "
            "diverged or its weights are damaged; name another record with --model"
        )
    return found.numpy()


def table(run: Run, names: list[str], images: np.ndarray, top: int = 1) -> pd.DataFrame:
    """Rows of picture, class, probability (0 to 1): the `top` most probable classes of each picture, best first."""
    rows = [
        (name, data.CLASSES[number], shares[number])
        for name, shares in zip(names, probabilities(run, images))
        for number in (-shares).argsort()[:top]
    ]
    return pd.DataFrame(rows, columns=["picture", "class", "probability"])


def command(names: list[str], model: str | None = None, top: int = 1, weights: str | None = None) -> int:
    """Print the `top` most probable classes of each picture: `python -m cifar_helpers predict`.

    names: files, folders, "-" for standard input. model: a record's folder (default: the best).
    weights: in its place a file of `pack`. Answers go to standard
    output; the network, its classes and what is wrong to standard error. A picture that cannot be read is named there,
    and the others get their answer.

    Returns the exit code: 0; 1 where a picture or a folder cannot be read.
    """
    if not 1 <= top <= len(data.CLASSES):
        raise ValueError(f"the number of classes for each picture is 1 to {len(data.CLASSES)}, not {top}")
    run: Run = records.unpack(Path(weights)) if weights else best() if model is None else named(model)
    try:
        return _print_classes(run, sources(names), top)
    except BrokenPipeError:  # the reader has seen enough, as in `predict photos/ | head -1`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # for what Python flushes when it ends
        return 0


def _print_classes(run: Run, found: Sources, top: int) -> int:
    failed = bool(found.errors)
    with bar(len(found.pictures), "pictures", unit="picture", delay=2) as progress:

        def say(text: str, stream) -> None:
            with progress.external_write_mode():  # not into the bar
                print(printable(text, getattr(stream, "encoding", None)), file=stream, flush=True)

        if run.record["synthetic"]:
            say("SYNTHETIC: this network knows made-up images only", sys.stderr)
        say(f"network: {description(run)}", sys.stderr)
        for text in [*(f"error: {text}" for text in found.errors), *(f"note: {text}" for text in found.notes)]:
            say(text, sys.stderr)
        for start in range(0, len(found.pictures), BATCH):
            names, images = [], []
            for name in found.pictures[start : start + BATCH]:
                try:
                    images.append(read(name))
                    names.append(name)
                except (OSError, ValueError) as error:
                    reason = f"{name}: {error.strerror}" if isinstance(error, OSError) else str(error)
                    say(f"error: {reason}", sys.stderr)
                    failed = True
                progress.update()
            if images:
                for row in table(run, names, np.stack(images), top).itertuples():
                    say(f"{row.picture}: {row[2]} {100 * row.probability:.1f} %", sys.stdout)
    return int(failed)
