"""Classes of one's own pictures, by the best network whose weights are there: in a clone, the fast one."""

import sys
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd

from cifar_helpers import data, experiments, records, train
from cifar_helpers.analysis import calibration
from cifar_helpers.core import paths
from cifar_helpers.data import user_images
from cifar_helpers.data.batches import Batches
from cifar_helpers.records import Run
from cifar_helpers.train.test_time_augmentation import TestTimeAugmentation

SUFFIXES = (".png", ".jpg", ".jpeg", ".webp", ".gif", ".bmp", ".tif", ".tiff")  # looked for in folders


def best(profile: str = "full") -> Run:
    """The record of the best network that has its weights: the wide fast one, else the fast one; ValueError says what
    to do where there is none.
    """
    for config in [*experiments.fast_wide(profile), *experiments.fast(profile)]:
        if (run := records.find(config, profile, keep=["weights"])) is not None:
            return run
    raise ValueError(
        f"there are no weights of the best model in {paths.runs(profile)}: python -m cifar_helpers train "
        f"fast_wide fast --profile {profile}, or name the folder of another record with --model"
    )


def named(folder: Path) -> Run:
    """The record in a folder; ValueError where it has no weights lists the records around it that have some."""
    if not all((folder / name).exists() for name in ("run.json", "weights.safetensors")):
        known = sorted(
            str(file.parent)
            for file in {*folder.parent.rglob("weights.safetensors"), *paths.runs("full").rglob("weights.safetensors")}
        )
        raise ValueError(
            f"{folder} is no record with weights; there are "
            + (", ".join(known) or 'none here: train one by records.get(config, keep=["weights"])')
        )
    return records.load(folder)


def sources(names: Iterable[str]) -> list[str]:
    """The names, each folder replaced by the pictures in it and below it, sorted."""
    return [
        found
        for name in names
        for found in (
            sorted(str(file) for file in Path(name).rglob("*") if file.suffix.lower() in SUFFIXES)
            if name != "-" and Path(name).is_dir()
            else [name]
        )
    ]


def read(name: str) -> np.ndarray:
    """A file, or for "-" the bytes of one picture on standard input, to (32, 32, 3) uint8, as `user_images.read`."""
    return user_images.read(sys.stdin.buffer.read() if name == "-" else Path(name))


def temperature(run: Run) -> float:
    """What the logits are divided by: fitted on held-out images that the same training on less images never saw, where
    that record is there and the loss trains for a softmax; else 1.
    """
    held = records.find(replace(run.config, evaluate="validation"), run.record["profile"], keep=["logits"])
    if held is None or calibration.READOUTS[run.config.loss] != "softmax":
        return 1.0
    return calibration.temperature(*held.logits)


def probabilities(run: Run, images: np.ndarray) -> np.ndarray:
    """Images (N, 32, 32, 3) uint8 to (N, 10), 0 to 1, each row's sum 1, on the CPU.

    With test-time augmentation where the run was evaluated so, and with its temperature.
    """
    model = TestTimeAugmentation(run.model()).eval() if "tta" in run.keep else run.model()
    batches = Batches(images, np.zeros(len(images), np.int64), 100, shuffle=False, crop=0, flip=False)
    logits, _ = train.predict(model, batches)
    return calibration.probabilities(logits.numpy() / temperature(run), calibration.READOUTS[run.config.loss])


def table(run: Run, names: list[str], images: np.ndarray, top: int = 1) -> pd.DataFrame:
    """Rows of picture, class, probability (0 to 1): the `top` most probable classes of each picture, best first."""
    if not 1 <= top <= len(data.CLASSES):
        raise ValueError(f"the classes told for each picture are 1 to {len(data.CLASSES)}, not {top}")
    rows = [
        (name, data.CLASSES[number], share[number])
        for name, share in zip(names, probabilities(run, images))
        for number in (-share).argsort()[:top]
    ]
    return pd.DataFrame(rows, columns=["picture", "class", "probability"])
