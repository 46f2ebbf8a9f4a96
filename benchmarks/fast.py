"""Seconds of a whole training on a CPU: the fast network against the published recipe that it builds on.

    python benchmarks/fast.py [--steps 6] [--turns 2] > benchmarks/fast.txt

airbench94 (arXiv 2404.00498) shows 9.9 epochs of whole images in batches of 1,024 to the same network, by SGD. Ours has
batches of 2,000, half of the epochs at 24 pixels, Muon, weight gradients of its own and freed memory kept. A few steps
of each kind are timed in processes of their own, turn and turn about, and multiplied by how many the training has; the
views of the test images come on top. Data and augmentation are this package's on both sides. Accuracy is not measured.
"""

import argparse
import itertools
import statistics
import subprocess
import sys
import time
from dataclasses import replace

import torch

from cifar_helpers import data, experiments, models, records, train
from cifar_helpers.data.batches import Batches
from cifar_helpers.train import Config, cpu
from cifar_helpers.train.test_time_augmentation import TestTimeAugmentation

OURS = experiments.fast_config("full")
BATCHES = replace(OURS, batch_size=1024, small_share=0.0)
PUBLISHED = replace(BATCHES, **experiments.ideas(BATCHES)["Muon"])
WARM_UP = 8
EPOCHS = {"ours": OURS.epochs, "published": 9.9}


def seconds_per_step(config: Config, model, images: Batches, side: int, count: int) -> float:
    """The median of so many steps, after those in which the kernels are set up and the memory settles."""
    optimizers = train.optimizers_for(config, model)
    model.train()
    seconds, started = [], time.perf_counter()
    for batch, labels in itertools.islice(images.epoch(), WARM_UP + count):
        if side < 32:
            batch = train.downscale(batch, side)
        with train.autocast("cpu", "bfloat16"):
            scores = model(batch)
        model.zero_grad()
        torch.nn.functional.cross_entropy(scores.float(), labels, label_smoothing=config.label_smoothing).backward()
        for optimizer in optimizers:
            optimizer.step()
        seconds.append(time.perf_counter() - started)
        started = time.perf_counter()
    return statistics.median(seconds[WARM_UP:])


def whole_training(side: str, count: int) -> float:
    """Seconds of all steps and the views."""
    config, cifar = (OURS if side == "ours" else PUBLISHED), data.load()
    if side == "ours":
        cpu.keep_freed()
    torch.manual_seed(0)
    model = models.build(config.model, config.activation).to(memory_format=torch.channels_last)
    if side == "ours" and cpu.available():
        cpu.speed_up(model)
    images, held = train.batches_for(config, cifar, "cpu")
    steps = EPOCHS[side] * len(images)
    shares = {config.small_side: config.small_share, 32: 1 - config.small_share}
    total = sum(
        share * steps * seconds_per_step(config, model, images, pixels, count)
        for pixels, share in shares.items()
        if share
    )
    started = time.perf_counter()
    train.evaluate(TestTimeAugmentation(model), held, precision="bfloat16")
    return total + time.perf_counter() - started


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--steps", type=int, default=6)
    parser.add_argument("--turns", type=int, default=2)
    parser.add_argument("--one", choices=EPOCHS, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.one:
        print(whole_training(options.one, options.steps))
        sys.exit()
    print(f"{records.device_name('cpu')}; torch {torch.__version__}; {options.turns} turns of {options.steps} steps\n")
    found = {side: [] for side in EPOCHS}
    for _ in range(options.turns):
        for side, times in found.items():
            command = [sys.executable, __file__, "--one", side, "--steps", str(options.steps)]
            times.append(float(subprocess.run(command, check=True, capture_output=True, text=True).stdout))
    for side, times in found.items():
        print(
            f"{side:10} {EPOCHS[side]:4} epochs: {statistics.mean(times):4.0f} s ({min(times):.0f} to {max(times):.0f})"
        )
    ratios = [ours / published for ours, published in zip(found["ours"], found["published"])]
    print(f"ratio {statistics.mean(ratios):.2f} ({min(ratios):.2f} to {max(ratios):.2f})")
