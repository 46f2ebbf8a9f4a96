"""Peak memory of a ResNet18 training that holds all 50,000 images, a few steps at batch size 128.

    python benchmarks/memory.py > benchmarks/memory.txt

(benchmarks/batches.py has that of data.load().) The data must be in the cache.
"""

import itertools

from cifar_helpers import data, records, train
from cifar_helpers.data import batches

if __name__ == "__main__":
    whole = batches.Batches.epoch
    batches.Batches.epoch = lambda self, number=0: itertools.islice(whole(self, number), 4)
    result = train.train(train.Config("resnet18", epochs=1), data.load(), device="cpu")
    print(f"{records.device_name('cpu')}: {result.peak_memory_mb:.0f} MB at its peak")
