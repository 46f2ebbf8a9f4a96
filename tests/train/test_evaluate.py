"""evaluate() and predict() against a count by hand, on a model that is wrong on known images."""

import numpy as np
import pytest
import torch
from torch import nn

from cifar_helpers import train
from cifar_helpers.data.batches import Batches

IMAGES = 130  # more than two batches of 50, and a last one that is not full
SETS = {
    "none": [],
    "the first": [0],
    "among the first 50": [3, 17, 49],
    "in the middle": range(50, 100),
    "in the last, smaller batch": range(100, 130),
    "the last": [129],
    "everywhere": [0, 49, 50, 64, 99, 100, 127, 129],
}


def numbered_images():
    """Image number n has the colour n everywhere; its label is n % 10."""
    numbers = np.arange(IMAGES)
    images = np.broadcast_to(numbers[:, None, None, None], (IMAGES, 32, 32, 3)).astype(np.uint8)
    return images, numbers % 10


class Lookup(nn.Module):
    """Reads an image's number from its first pixel; the score is 1 for its label, or for the next class if wrong."""

    def __init__(self, wrong, batches):
        super().__init__()
        self.answers = torch.arange(IMAGES) % 10
        self.answers[list(wrong)] = (self.answers[list(wrong)] + 1) % 10
        self.mean, self.scale = batches.mean[0], batches.scale[0]

    def forward(self, images):
        assert not self.training
        numbers = (images[:, 0, 0, 0] / self.scale + self.mean).round().long()
        return nn.functional.one_hot(self.answers[numbers], 10).float()


def check_evaluation(evaluate, wrong, batch_size):
    images, labels = numbered_images()
    batches = Batches(images, labels, batch_size, shuffle=False, crop=0, flip=False)
    loss, accuracy = evaluate(Lookup(wrong, batches), batches)
    right = IMAGES - len(wrong)
    all_scores = np.log(np.e + 9)  # of nine zeros and a one
    assert accuracy == pytest.approx(100 * right / IMAGES, abs=1e-9)
    assert loss == pytest.approx(all_scores - right / IMAGES, rel=1e-5)


@pytest.mark.parametrize("batch_size", [1, 7, 50, 64, 130, 500])
@pytest.mark.parametrize("wrong", SETS.values(), ids=SETS)
def test_evaluate_counts_every_image_once(wrong, batch_size):
    check_evaluation(train.evaluate, wrong, batch_size)


@pytest.mark.parametrize("batch_size", [7, 50, 500])
def test_predict_has_every_image_in_its_order(batch_size):
    images, labels = numbered_images()
    batches = Batches(images, labels, batch_size, shuffle=False, crop=0, flip=False)
    wrong = SETS["everywhere"]
    logits, found = train.predict(Lookup(wrong, batches), batches)
    assert logits.shape == (IMAGES, 10) and found.tolist() == labels.tolist()
    assert (logits.argmax(1) != found).nonzero().flatten().tolist() == wrong


# Wrong ways to evaluate, each of which the test has to notice


def of_batch(model, images, labels):
    logits = model.eval()(images)
    return nn.functional.cross_entropy(logits, labels).item(), 100 * (logits.argmax(1) == labels).double().mean().item()


def first_50_images(model, batches):
    images, labels = (torch.cat(parts)[:50] for parts in zip(*batches.epoch()))
    return of_batch(model, images, labels)


def mean_of_batches(model, batches):
    return tuple(np.mean([of_batch(model, *batch) for batch in batches.epoch()], axis=0))


def without_the_last_batch(model, batches):
    images, labels = (torch.cat(parts[:-1]) for parts in zip(*batches.epoch()))
    return of_batch(model, images, labels)


def all_images(model, batches):
    images, labels = (torch.cat(parts) for parts in zip(*batches.epoch()))
    return of_batch(model, images, labels)


@pytest.mark.parametrize("wrong", ["in the middle", "in the last, smaller batch", "the last"])
@pytest.mark.parametrize("mutant", [first_50_images, mean_of_batches, without_the_last_batch])
def test_a_wrong_evaluation_is_noticed(mutant, wrong):
    check_evaluation(all_images, SETS[wrong], 50)
    with pytest.raises(AssertionError):
        check_evaluation(mutant, SETS[wrong], 50)
