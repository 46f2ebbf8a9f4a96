"""Milliseconds of a step of Muon on this CPU: torch's way, which computes in bfloat16, and ours, in float32.

    python benchmarks/muon.py [--rounds 3] > benchmarks/muon.txt

The two take turns on the same made-up gradients, on one thread. cpu.py takes ours where the CPU emulates bfloat16.
"""

import argparse
import statistics
import time
from unittest import mock

import torch
from torch import nn

from cifar_helpers import models, records
from cifar_helpers.train import cpu
from cifar_helpers.train.optimizers import Muon

CASES = [("fast_cnn", 1.0), ("resnet18", 0.25), ("resnet18", 1.0)]  # network, width


def step(muon: Muon, emulated: bool) -> float:
    with mock.patch.object(cpu, "emulated", lambda: emulated):
        start = time.perf_counter()
        muon.step()
    return 1000 * (time.perf_counter() - start)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    torch.set_num_threads(1)
    emulated = "emulates bfloat16" if cpu.emulated() else "computes in bfloat16"
    print(f"{records.device_name('cpu')}, {emulated}; torch {torch.__version__}; median of {options.rounds} turns\n")
    for name, width in CASES:
        filters = [layer.weight for layer in models.build(name, width=width).modules() if isinstance(layer, nn.Conv2d)]
        for weight in filters:
            weight.grad = torch.randn_like(weight)
        muon = Muon(filters, lr=0.0)
        times = [(step(muon, False), step(muon, True)) for _ in range(options.rounds)]
        plain, ours = map(statistics.median, zip(*times))
        ratio = f"ours / torch's {ours / plain:.2f}"
        print(f"{name:9} width {width:4}: torch's {plain:6.0f} ms, ours {ours:4.0f} ms; {ratio}")
