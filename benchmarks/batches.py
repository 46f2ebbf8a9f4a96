"""Images per second of the augmented batches alone, beside the DataLoader that everyone starts from.

Both in one run on the same images: random crop with 4 pixels of padding, random flip, normalisation, batch 128.
Two threads suffer where other processes hold the cores; one does not.
Run: python benchmarks/batches.py [--images N]
"""

import argparse
import os
import platform
import subprocess
import sys
import time

import torch
import torchvision
from torch.utils.data import DataLoader, Dataset
from torchvision import transforms

from cifar_helpers import data
from cifar_helpers.data.batches import Batches

BATCH = 128
LOAD = """
import time
from cifar_helpers import data
started = time.perf_counter()
data.load()
seconds = time.perf_counter() - started
# Linux only; getrusage would count the process that started this one
peak = next(line for line in open("/proc/self/status") if line.startswith("VmHWM"))
print(f"{seconds:.2f} {int(peak.split()[1]) * 1024 / 1e6:.0f}")
"""


class Plain(Dataset):
    """What torchvision.datasets.CIFAR10 does for an item: a PIL picture through the transforms."""

    def __init__(self, images, labels):
        self.images, self.labels = images, labels
        self.transform = transforms.Compose(
            [
                transforms.RandomCrop(32, padding=4),
                transforms.RandomHorizontalFlip(),
                transforms.ToTensor(),
                transforms.Normalize(data.MEAN, data.STD),
            ]
        )

    def __len__(self):
        return len(self.labels)

    def __getitem__(self, index):
        return self.transform(transforms.functional.to_pil_image(self.images[index])), int(self.labels[index])


def images_per_second(batches) -> float:
    """Over one pass without its first batch, which starts the workers."""
    batches, count = iter(batches), 0
    next(batches)
    started = time.perf_counter()
    for images, _ in batches:
        count += len(images)
    return count / (time.perf_counter() - started)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=int, default=20000, help="training images that a pass goes over")
    count = parser.parse_args().images
    cifar = data.load()
    seconds, megabytes = subprocess.check_output([sys.executable, "-c", LOAD], text=True).split()
    images, labels = cifar.train_images[:count], cifar.train_labels[:count]
    ours = Batches(images, labels, BATCH)
    loader = DataLoader(Plain(images, labels), BATCH, shuffle=True, num_workers=2)
    threads = torch.get_num_threads()
    speeds = {"DataLoader, 2 workers": [], "Batches, 1 thread": [], f"Batches, {threads} threads": []}
    for k in range(3):  # in turn, so that a busy machine slows all of them
        for number, (name, measured) in zip((threads, 1, threads), speeds.items()):
            torch.set_num_threads(number)
            measured.append(images_per_second(loader if "Loader" in name else ours.epoch(k)))
    best = {name: max(measured) for name, measured in speeds.items()}

    print(
        f"torch {torch.__version__}, torchvision {torchvision.__version__}, {platform.machine()}, "
        f"{os.cpu_count()} cores, {count} images, batch {BATCH}, best of 3 rounds\n"
    )
    print("| augmented batches | images/s | ratio |\n| --- | ---: | ---: |")
    for name, speed in best.items():
        print(f"| {name} | {speed:,.0f} | {speed / best['DataLoader, 2 workers']:.1f} |")
    print()
    print("| data.load() from the cache, in a fresh process | |\n| --- | ---: |")
    print(f"| seconds | {seconds} |\n| peak memory of its process | {megabytes} MB |")


if __name__ == "__main__":
    main()
