"""Seconds for Grad-CAM of 500 images: each network that is looked into, at its last stage and for the predicted class.

    python benchmarks/grad_cam.py [--images 500] [--profile quick] > benchmarks/grad_cam.txt

The networks are those of `experiments.grad_cam_networks` for the profile; they are trained first where they have no
record. The time does not depend on what the images show, so they are made up. The first, small batch is not timed.
"""

import argparse
import time

import torch

from cifar_helpers import data, models, records
from cifar_helpers.analysis import grad_cam
from cifar_helpers.data.batches import Batches

if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--images", type=int, default=500)
    parser.add_argument("--profile", default="quick", choices=("smoke", "quick", "full"))
    options = parser.parse_args()
    cifar = data.synthetic(train=10, test=-(-options.images // 10) * 10)
    batches = Batches(
        cifar.test_images[: options.images],
        cifar.test_labels[: options.images],
        options.images,
        shuffle=False,
        crop=0,
        flip=False,
    )
    images, _ = next(batches.epoch())
    print(f"{records.device_name('cpu')}; torch {torch.__version__}; {options.images} images\n")
    for name, run in grad_cam.networks(options.profile).items():
        model = run.model().to(memory_format=torch.channels_last)
        grad_cam.grad_cam(model, images[:8])
        started = time.perf_counter()
        grad_cam.grad_cam(model, images)
        seconds = time.perf_counter() - started
        print(f"{models.TITLES[name]:16} {run.record['parameters']:10,} parameters {seconds:7.2f} s", flush=True)
