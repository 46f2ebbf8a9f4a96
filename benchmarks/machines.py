"""How far a run's accuracy moves when another machine trains it again: committed records against this machine.

    OMP_NUM_THREADS=1 python benchmarks/machines.py [--seeds 2] > benchmarks/machines.txt

The fast network's ablation baseline, three epochs a run. Beside each difference stands the spread over seeds on one
machine, which is what it has to be compared with.
"""

import argparse
import statistics

import torch

from cifar_helpers import data, experiments, records, train

if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--seeds", type=int, default=2)
    seeds = parser.parse_args().seeds
    configs = experiments.fast_ablation("full")
    baselines = [config for config in configs if experiments.label(config, configs[0]) == "baseline"]
    found = [(config, run) for config in baselines if (run := records.find(config, "full"))]
    cifar, here = data.load(), records.device_name("cpu")
    print(f"here: {here}; torch {torch.__version__}\n")
    differences = []
    for config, run in found[:seeds]:
        again = train.train(config, cifar, keep=run.keep, device="cpu").history
        pairs = list(zip(run.history["test_accuracy"], again["test_accuracy"]))
        differences.append(pairs[-1][1] - pairs[-1][0])
        print(f"seed {config.seed}: test % by epoch on {run.record['device']} and here", flush=True)
        print("  " + ", ".join(f"{recorded:.2f} and {found:.2f}" for recorded, found in pairs), flush=True)
        same = again.drop(columns="seconds").equals(run.history.drop(columns="seconds"))
        print(f"  the same to the last digit: {'yes' if same else 'no'}", flush=True)
    spread = statistics.stdev(run.record["test_accuracy"] for _, run in found)
    largest = max(map(abs, differences))
    print(f"\nlargest difference {largest:.2f} points; standard deviation over {len(found)} seeds {spread:.2f} points")
