"""Milliseconds of a training step on the CPU, with the C library giving freed memory back and with it kept.

    python benchmarks/allocator.py [--repeats 3] > benchmarks/allocator.txt

The setting cannot be undone, so each measurement is a process of its own, turn and turn about. Run on an otherwise idle
machine. The images are made up: time does not depend on what they show.
"""

import argparse
import statistics
import subprocess
import sys
import time

import torch

from cifar_helpers import models, records, train
from cifar_helpers.train import cpu

CASES = {"fast_cnn": (1000, 32), "fast_cnn, 24 pixels": (1000, 24), "resnet18": (128, 32)}  # batch, side


def milliseconds(case: str, steps: int = 5) -> float:
    """The median step."""
    batch, side = CASES[case]
    model = models.build(case.split(",")[0]).to(memory_format=torch.channels_last)
    images = torch.randn(batch, 3, side, side).to(memory_format=torch.channels_last)
    labels, seconds = torch.arange(batch) % 10, []
    for _ in range(2 + steps):
        started = time.perf_counter()
        with train.autocast("cpu", "bfloat16"):
            logits = model(images)
        model.zero_grad()
        torch.nn.functional.cross_entropy(logits.float(), labels).backward()
        seconds.append(time.perf_counter() - started)
    return 1000 * statistics.median(seconds[2:])


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--one", choices=CASES, help=argparse.SUPPRESS)
    parser.add_argument("--keep", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.one:
        if options.keep and not cpu.keep_freed():
            sys.exit("there is no glibc here, so nothing to compare")
        print(milliseconds(options.one))
        sys.exit()
    print(f"{records.device_name('cpu')}; torch {torch.__version__}; median of {options.repeats} processes\n")
    for case, (batch, _) in CASES.items():
        times = {(): [], ("--keep",): []}
        for _ in range(options.repeats):
            for setting, found in times.items():
                command = [sys.executable, __file__, "--one", case, *setting]
                found.append(float(subprocess.run(command, check=True, capture_output=True, text=True).stdout))
        back, kept = (statistics.median(found) for found in times.values())
        print(
            f"{case:20} batch {batch:4}: given back {back:6.0f} ms, kept {kept:6.0f} ms, ratio {kept / back:.2f}",
            flush=True,
        )
