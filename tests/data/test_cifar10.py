"""The data set as arrays: made-up images, and the real ones' mean and standard deviation."""

import numpy as np
import pytest
import torch

from cifar_helpers import data, models
from cifar_helpers.data import download
from cifar_helpers.data.batches import Batches
from cifar_helpers.data.formats import CACHE


def test_synthetic_is_marked_balanced_and_the_same_for_a_seed():
    one, two, other = data.synthetic(seed=5), data.synthetic(seed=5), data.synthetic(seed=6)
    assert one.synthetic and one.train_images.shape == (2000, 32, 32, 3) and one.train_images.dtype == np.uint8
    assert np.bincount(one.train_labels).tolist() == [200] * 10
    assert np.bincount(one.test_labels).tolist() == [50] * 10
    assert np.array_equal(one.train_images, two.train_images)
    assert not np.array_equal(one.train_images, other.train_images)
    with pytest.raises(ValueError, match="at least 10"):
        data.synthetic(train=5)


def test_synthetic_classes_can_be_learnt_in_fifty_steps():
    torch.manual_seed(0)
    made = data.synthetic(train=640, test=200)
    model = models.build("resnet18", width=0.125).to(memory_format=torch.channels_last)
    batches = Batches(made.train_images, made.train_labels, 32, drop_last=True)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.02, momentum=0.9)
    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # two threads wait for each other longer than such a small network computes
    for epoch in range(2):
        for images, labels in batches.epoch(epoch):
            optimizer.zero_grad()
            torch.nn.functional.cross_entropy(model(images), labels).backward()
            optimizer.step()
    held = Batches(made.test_images, made.test_labels, 200, shuffle=False, crop=0, flip=False)
    images, labels = next(held.epoch())
    with torch.inference_mode():
        accuracy = (model.eval()(images).argmax(1) == labels).float().mean()
    torch.set_num_threads(threads)
    assert accuracy > 0.6, accuracy


@pytest.mark.skipif(not (data.cache_folder() / CACHE).exists(), reason="CIFAR-10 is not in the cache")
def test_cifar10_from_the_cache():
    cifar = data.Cifar10(**download.fetch(remotes=()))
    assert np.bincount(cifar.train_labels).tolist() == [5000] * 10
    values = np.arange(256) / 255
    for channel, (mean, std) in enumerate(zip(data.MEAN, data.STD)):
        share = np.bincount(cifar.train_images[..., channel].ravel(), minlength=256) / (50000 * 1024)
        assert share @ values == pytest.approx(mean, abs=1e-5)
        assert np.sqrt(share @ (values - mean) ** 2) == pytest.approx(std, abs=1e-5)
