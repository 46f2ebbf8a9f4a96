"""What one measured step costs, in multiples of a plain training step.

    python benchmarks/landscape.py [--models vgg_a vgg_a_bn] [--batch 128] [--width 1] > benchmarks/landscape.txt

A plain step is training.py's: forward, backward and update, in the config's precision. A measurement comes on top of
it: `landscape` is a forward and backward pass at the start and at each of the step sizes, in float32; `shift` is one
gradient and two looks at the probe. With k steps from one measurement to the next, a run takes 1 + (multiple / k)
times as long. Both are timed in turns in one process; the ratio of the means is what counts.
"""

import argparse
import platform
import time

import torch

from cifar_helpers import data, models, records, train
from cifar_helpers.train import Config, measurements


def seconds(work, repeat: int, device: str) -> float:
    """Mean over `repeat` calls."""
    started = time.perf_counter()
    for _ in range(repeat):
        work()
    if device.startswith("cuda"):
        torch.cuda.synchronize()
    return (time.perf_counter() - started) / repeat


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--models", nargs="+", default=["vgg_a", "vgg_a_bn"])
    parser.add_argument("--batch", type=int, default=128)
    parser.add_argument("--width", type=float, default=1.0)
    parser.add_argument("--precision", choices=train.PRECISIONS, default="bfloat16")
    parser.add_argument("--steps", type=int, default=8, help="plain steps in a turn")
    parser.add_argument("--rounds", type=int, default=2, help="turns of each side")
    options = parser.parse_args()
    device = train.default_device()
    cifar = data.synthetic()  # the time does not depend on what the images show
    print(
        f"{records.device_name(device)}; torch {torch.__version__}, Python {platform.python_version()}; batch "
        f"{options.batch}, width {options.width:g}, training in {options.precision}\n"
    )
    print(f"{'network':12} {'measurement':12} {'plain step':>12} {'measuring':>12}   multiple")
    for name in options.models:
        config = Config(
            name,
            batch_size=options.batch,
            width=options.width,
            precision=options.precision,
            data="synthetic",
            momentum=0.0,
            weight_decay=0.0,
        )
        torch.manual_seed(0)
        model = models.build(name, width=options.width).to(device, memory_format=torch.channels_last).train()
        (optimizer,) = train.optimizers_for(config, model)
        batches, held = train.batches_for(config, cifar, device)
        images, labels = batch = next(batches.epoch(0))

        def step():
            with train.autocast(images.device.type, options.precision):
                logits = model(images)
            optimizer.zero_grad(set_to_none=True)
            torch.nn.functional.cross_entropy(logits.float(), labels).backward()
            optimizer.step()

        for measure in ("landscape", "shift"):

            def look():
                measurements.MEASUREMENTS[measure](model, batch, held, config)

            step(), look()  # the first ones prepare kernels
            turns = [(seconds(step, options.steps, device), seconds(look, 1, device)) for _ in range(options.rounds)]
            plain, measuring = (sum(side) / len(side) for side in zip(*turns))
            print(
                f"{name:12} {measure:12} {plain * 1e3:9.1f} ms {measuring * 1e3:9.1f} ms   {measuring / plain:8.1f}",
                flush=True,
            )


if __name__ == "__main__":
    main()
