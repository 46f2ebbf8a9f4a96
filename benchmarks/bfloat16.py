"""Milliseconds of a training step in bfloat16 on a CPU without units for it: torch's way, ours, and float32.

    python benchmarks/bfloat16.py [--rounds 5] > benchmarks/bfloat16.txt

A process for each set of instructions, which oneDNN and torch are told not to exceed; in it the three take turns on the
same made-up images and weights, on one thread.
"""

import argparse
import os
import statistics
import subprocess
import sys

import torch
from steps import step_of

from cifar_helpers import records
from cifar_helpers.train import cpu

KINDS = {"AVX2": "avx2", "AVX512_CORE": "avx512", "AVX512_CORE_BF16": "avx512"}  # oneDNN's name, torch's
CASES = [("resnet18", 0.25, 128), ("vgg_a_bn", 0.25, 128), ("densenet121", 0.25, 32)]  # network, width, batch


def measure(kind: str, rounds: int) -> None:
    torch.set_num_threads(1)
    cpu.keep_freed()
    for name, width, batch in CASES:
        ways: list[dict] = [{}, {"change": cpu.in_float32}, {"precision": "float32"}]
        steps = [step_of(name, batch, width=width, **way) for way in ways]
        plain, ours, single = (
            statistics.median(times) for times in zip(*([s() for s in steps] for _ in range(rounds)))
        )
        print(
            f"{kind:16} {name:12} width {width}, batch {batch:3}: torch's {plain:6.0f} ms, ours {ours:5.0f} ms, "
            f"float32 {single:5.0f} ms; ours / torch's {ours / plain:.2f}, ours / float32 {ours / single:.2f}",
            flush=True,
        )


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--kind", choices=KINDS, help="measure within this process")
    options = parser.parse_args()
    if options.kind:
        measure(options.kind, options.rounds)
    else:
        torch.set_num_threads(1)
        print(
            f"{records.device_name('cpu')}; torch {torch.__version__}; median of {options.rounds} turns\n", flush=True
        )
        for kind, capability in KINDS.items():
            limits = {"ONEDNN_MAX_CPU_ISA": kind, "ATEN_CPU_CAPABILITY": capability}
            command = [sys.executable, __file__, "--kind", kind, "--rounds", str(options.rounds)]
            subprocess.run(command, env=os.environ | limits, check=True)
