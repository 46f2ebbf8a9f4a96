"""Images per second of a training step: our loop against the plain loop that everyone starts from.

    python benchmarks/training.py [--models resnet18 dla] [--steps 8] > benchmarks/training.txt

Plain: float32, channels first, DataLoader with two workers and torchvision transforms, as in most tutorials.
Ours: the step of cifar_helpers/train/loop.py with Batches on the device, bfloat16 autocast, channels_last. Both sides
train the same network on the same images at batch size 128, in turns in one process, data included; the ratio of the
means is what counts.
"""

import argparse
import itertools
import platform
import time

import torch
import torchvision
from torch import nn
from torch.utils.data import DataLoader
from torchvision.transforms import v2

from cifar_helpers import data, experiments, models, records, train
from cifar_helpers.data.batches import Batches
from cifar_helpers.train import Config


class Plain(torch.utils.data.Dataset):
    """The transforms of most tutorials: random crop and flip, to tensor, normalise."""

    def __init__(self, cifar: data.Cifar10):
        self.images, self.labels = cifar.train_images, cifar.train_labels
        self.transform = v2.Compose(
            [
                v2.ToImage(),
                v2.RandomCrop(32, padding=4),
                v2.RandomHorizontalFlip(),
                v2.ToDtype(torch.float32, scale=True),
                v2.Normalize(data.MEAN, data.STD),
            ]
        )

    def __len__(self):
        return len(self.labels)

    def __getitem__(self, index):
        return self.transform(self.images[index]), int(self.labels[index])


def steps(batches, model, optimizer, precision):
    """A generator that makes one training step each time it is asked, and gives the number of images."""
    model.train()
    for images, labels in batches:
        with train.autocast("cpu", precision):
            logits = model(images)
        loss = nn.functional.cross_entropy(logits.float(), labels)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        yield len(labels)


def plain(name: str, cifar: data.Cifar10):
    torch.manual_seed(0)
    model = models.build(name)
    loader = DataLoader(Plain(cifar), batch_size=128, shuffle=True, num_workers=2)
    return steps(loader, model, *train.optimizers_for(Config(name), model), "float32")


def ours(name: str, cifar: data.Cifar10):
    torch.manual_seed(0)
    model = models.build(name).to(memory_format=torch.channels_last)
    batches = Batches(cifar.train_images, cifar.train_labels, 128)
    forever = itertools.chain.from_iterable(batches.epoch(k) for k in itertools.count())
    return steps(forever, model, *train.optimizers_for(Config(name), model), "bfloat16")


def images_per_second(step, count: int) -> float:
    next(step)  # the first step sets up workers and primitives
    started = time.perf_counter()
    images = sum(next(step) for _ in range(count))
    return images / (time.perf_counter() - started)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--models", nargs="+", default=list(experiments.TABLE_1))
    parser.add_argument("--steps", type=int, default=8)
    parser.add_argument("--rounds", type=int, default=2, help="turns of each side")
    options = parser.parse_args()
    cifar = data.load()
    print(
        f"{records.device_name('cpu')}; torch {torch.__version__}, torchvision {torchvision.__version__}, "
        f"Python {platform.python_version()}; batch 128, {options.rounds} turns of {options.steps} steps\n"
    )
    print(f"{'network':16} {'plain':>9} {'ours':>9}   images/s   ratio   (over the turns)")
    for name in options.models:
        speeds = {plain: [], ours: []}
        for _ in range(options.rounds):
            for side in speeds:
                step = side(name, cifar)
                speeds[side].append(images_per_second(step, options.steps))
                del step  # ends the DataLoader's workers before the other side's turn
        a, b = (sum(values) / len(values) for values in speeds.values())
        print(f"{name:16} {a:9.1f} {b:9.1f} {'':10} {b / a:6.2f}", flush=True)


if __name__ == "__main__":
    main()
