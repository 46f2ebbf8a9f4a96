"""Batches: the same augmentation as a plain loop over images, equal classes, clear errors."""

import numpy as np
import pytest
import torch

from cifar_helpers.data import MEAN, STD, split, subset
from cifar_helpers.data.batches import Batches


def normalised(image):
    """(32, 32, 3) uint8 -> (3, 32, 32) float, one image at a time, as a reader would write it."""
    scaled = (image / 255 - np.array(MEAN)) / np.array(STD)
    return scaled.transpose(2, 0, 1)


def by_hand(cifar, batches, draws, i):
    """Image i of the epoch by padding, cutting, mirroring and blanking it alone."""
    index, top, left, flip, row, column = (
        int(draws[name][i]) for name in ("index", "top", "left", "flip", "row", "column")
    )
    p = batches.crop
    padded = np.empty((32 + 2 * p, 32 + 2 * p, 3), np.uint8)
    padded[:] = np.round(255 * np.array(MEAN))
    padded[p : p + 32, p : p + 32] = cifar.train_images[index]
    window = padded[top : top + 32, left : left + 32]
    window = normalised(window[:, ::-1] if flip else window)
    if batches.cutout:
        half = batches.cutout // 2
        window[
            :, max(row - half, 0) : row - half + batches.cutout, max(column - half, 0) : column - half + batches.cutout
        ] = 0
    return window, cifar.train_labels[index]


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"crop": 0},
        {"flip": False},
        {"cutout": 8},
        {"cutout": 7, "crop": 2},
        {"crop": 0, "flip": False, "shuffle": False},
    ],
)
def test_every_image_is_what_a_loop_over_images_makes(cifar, options):
    batches = Batches(cifar.train_images, cifar.train_labels, 64, seed=3, **options)
    images, labels = (torch.cat(parts).numpy() for parts in zip(*batches.epoch(2)))
    draws = batches.draws(2)
    assert len(images) == len(cifar.train_images)
    for i in range(len(images)):
        image, label = by_hand(cifar, batches, draws, i)
        np.testing.assert_allclose(images[i], image, atol=1e-5)
        assert labels[i] == label


def test_draws_use_their_whole_range(cifar):
    batches = Batches(np.concatenate([cifar.train_images] * 10), np.concatenate([cifar.train_labels] * 10), 64)
    draws = batches.draws(0)
    assert set(draws["top"].tolist()) == set(draws["left"].tolist()) == set(range(9))
    assert abs(draws["flip"].float().mean() - 0.5) < 0.05
    assert torch.equal(draws["index"].sort().values, torch.arange(len(batches.labels)))


def test_cutout_blanks_one_square_of_each_image(cifar):
    plain, cut = (
        next(Batches(cifar.train_images, cifar.train_labels, 200, cutout=size).epoch(0))[0] for size in (0, 8)
    )
    changed = (plain != cut).any(1).sum((1, 2))
    assert changed.max() == 64  # a whole square
    assert changed.min() >= 16  # a quarter of it, where the centre is in a corner
    assert cut[(plain != cut)].abs().max() == 0


def test_an_epoch_is_the_same_each_time_and_unlike_the_next(cifar):
    first, again, resumed = (Batches(cifar.train_images, cifar.train_labels, 64, seed=1) for _ in range(3))
    list(again.epoch(0))  # what came before leaves no trace
    for (a, x), (b, y), (c, z) in zip(first.epoch(1), again.epoch(1), resumed.epoch(1), strict=True):
        assert torch.equal(a, b) and torch.equal(a, c) and torch.equal(x, y) and torch.equal(x, z)
    assert not torch.equal(first.draws(1)["index"], first.draws(2)["index"])
    assert not torch.equal(first.draws(1)["top"], first.draws(2)["top"])
    other = Batches(cifar.train_images, cifar.train_labels, 64, seed=2)
    assert not torch.equal(first.draws(1)["index"], other.draws(0)["index"])


def test_shapes_types_and_length(cifar):
    batches = Batches(cifar.train_images[:130], cifar.train_labels[:130], 64)
    shapes = [tuple(images.shape) for images, _ in batches.epoch(0)]
    assert shapes == [(64, 3, 32, 32), (64, 3, 32, 32), (2, 3, 32, 32)] and len(batches) == 3
    images, labels = next(batches.epoch(0))
    assert images.dtype == torch.float32 and labels.dtype == torch.int64
    assert images.is_contiguous(memory_format=torch.channels_last)
    dropped = Batches(cifar.train_images[:130], cifar.train_labels[:130], 64, drop_last=True)
    assert len(dropped) == len(list(dropped.epoch(0))) == 2


def test_the_caller_keeps_its_images(cifar):
    before = cifar.train_images.copy()
    for images, _ in Batches(cifar.train_images, cifar.train_labels, 64, crop=0, cutout=8).epoch(0):
        images.zero_()
    assert np.array_equal(before, cifar.train_images)


@pytest.mark.parametrize(
    "change, message",
    [
        ({"images": np.zeros((4, 32, 32, 3), np.float32)}, "images must be uint8"),
        ({"images": np.zeros((4, 3, 32, 32), np.uint8)}, "images must be uint8 of shape"),
        ({"images": np.zeros((0, 32, 32, 3), np.uint8), "labels": np.zeros(0, np.uint8)}, "images must be"),
        ({"labels": np.zeros(3, np.uint8)}, "labels must be integers of shape"),
        ({"labels": np.zeros(4, np.float32)}, "labels must be integers"),
        ({"batch_size": 0}, "batch_size must be at least 1, not 0"),
        ({"crop": -1}, "crop must be at least 0"),
        ({"cutout": -1}, "cutout must be"),
        ({"seed": -1}, "seed must be"),
    ],
)
def test_bad_input_is_one_clear_error(change, message):
    good = {"images": np.zeros((4, 32, 32, 3), np.uint8), "labels": np.zeros(4, np.uint8), "batch_size": 2}
    with pytest.raises(ValueError, match=message):
        Batches(**good | change)


def test_alternating_flip_shows_both_sides_in_two_epochs(cifar):
    batches = Batches(cifar.train_images, cifar.train_labels, 64, alternate=True)
    flips = torch.stack(
        [
            torch.zeros(400, dtype=torch.int64).scatter(0, draws["index"], draws["flip"])
            for draws in map(batches.draws, range(4))
        ]
    )
    assert torch.equal(flips[0], flips[2]) and torch.equal(flips[1], flips[3])
    assert (flips[0] + flips[1] == 1).all() and abs(flips[0].float().mean() - 0.5) < 0.1
    unflipped = Batches(cifar.train_images, cifar.train_labels, 64, alternate=True, flip=False)
    assert not unflipped.draws(0)["flip"].any()


def test_reflected_border_is_numpys(cifar):
    batches = Batches(cifar.train_images[:5], cifar.train_labels[:5], 5, crop=3, reflect=True)
    expected = np.pad(cifar.train_images[:5], ((0, 0), (3, 3), (3, 3), (0, 0)), mode="reflect")
    assert np.array_equal(batches.bytes.view(5, 38, 38, 3).numpy(), expected)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_a_gpu_sees_the_same_batches(cifar):
    pairs = zip(
        *(
            Batches(cifar.train_images, cifar.train_labels, 64, cutout=8, device=device).epoch(1)
            for device in ("cpu", "cuda")
        ),
        strict=True,
    )
    for (cpu, labels), (gpu, gpu_labels) in pairs:
        assert torch.equal(cpu, gpu.cpu()) and torch.equal(labels, gpu_labels.cpu())


def test_split_has_equal_classes_and_shares_nothing(cifar):
    train, held = split(cifar.train_labels, 50, seed=4)
    assert np.bincount(cifar.train_labels[held]).tolist() == [5] * 10
    assert not set(train) & set(held) and len(train) + len(held) == len(cifar.train_labels)
    again = split(cifar.train_labels, 50, seed=4)
    assert np.array_equal(train, again[0]) and np.array_equal(held, again[1])
    assert not np.array_equal(held, split(cifar.train_labels, 50, seed=5)[1])
    for wrong in (0, 55, 400):
        with pytest.raises(ValueError, match="validation must be a multiple of the 10 classes"):
            split(cifar.train_labels, wrong)


@pytest.mark.parametrize("count", [1, 15, 100, 400])
def test_subset_is_sorted_fixed_and_balanced(cifar, count):
    chosen = subset(cifar.train_labels, count)
    assert len(set(chosen)) == count and np.array_equal(chosen, np.sort(chosen))
    assert np.ptp(np.bincount(cifar.train_labels[chosen], minlength=10)) <= 1
    assert np.array_equal(chosen, subset(cifar.train_labels, count))


def test_subset_names_a_wrong_count(cifar):
    for count in (0, 401):
        with pytest.raises(ValueError, match="count must be from 1 to the 400 labels"):
            subset(cifar.train_labels, count)
