"""Milliseconds of a training step with torch's weight gradients and with ours, for small images on a CPU with AMX.

    python benchmarks/convolutions.py [--rounds 3] > benchmarks/convolutions.txt

Both sides take turns in one process, on the same made-up images and weights. Run on an otherwise idle machine.
"""

import argparse
import statistics
import sys

import torch
from steps import step_of

from cifar_helpers import records
from cifar_helpers.train import cpu

CASES = [
    ("fast_cnn", 1000, 32),
    ("fast_cnn", 1000, 24),
    ("resnet18", 128, 32),
    ("resnext50_32x4d", 128, 32),
    ("dpn26", 128, 32),
    ("dla", 128, 32),
    ("densenet121", 128, 32),
    ("vgg_a_bn", 128, 32),
]  # batch, side


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    if not cpu.available():
        sys.exit("this CPU has no AMX, so training leaves torch's own weight gradients")
    cpu.keep_freed()
    print(f"{records.device_name('cpu')}; torch {torch.__version__}; median of {options.rounds} turns\n")
    for name, batch, side in CASES:
        plain, ours = (step_of(name, batch, side, change=way) for way in (None, cpu.speed_up))
        pairs = [(plain(), ours()) for _ in range(options.rounds)]
        before, after = (statistics.median(times) for times in zip(*pairs))
        print(
            f"{name:16} batch {batch:4}, {side} pixels: torch's {before:6.0f} ms, ours {after:6.0f} ms, "
            f"ratio {after / before:.2f}",
            flush=True,
        )
