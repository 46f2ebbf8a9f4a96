"""Every field of a Config does something. The original parsed options that did nothing."""

import dataclasses
import functools
from typing import NamedTuple

import numpy as np
import pytest

from cifar_helpers import data, train

CIFAR = data.synthetic(train=400, test=100)
TINY = train.Config(
    "resnet18", width=0.125, data="synthetic", images=100, test_images=50, epochs=2, batch_size=50, learning_rate=0.05
)
MUON = {"optimizer": "muon", "head_rate": 0.02, "bias_rate": 0.1}


# What a field may change


def losses(config):
    """Of each epoch, in training and in evaluation."""
    values = train.train(config, CIFAR, device="cpu").history[["train_loss", "test_loss"]].to_numpy()
    assert np.isfinite(values).all()
    return values.tolist()


def training_images(config):
    """The batches of two epochs: `alternate` shows its other side in the second."""
    training, _ = train.batches_for(config, CIFAR, "cpu")
    return [images.tolist() for epoch in range(2) for images, _ in training.epoch(epoch)]


def evaluated_images(config):
    _, evaluated = train.batches_for(config, CIFAR, "cpu")
    return [images.tolist() for images, _ in evaluated.epoch()]


def parameters(config):
    return [tuple(parameter.shape) for parameter in train.network(config).parameters()]


def is_accepted(config):
    try:
        return bool(train.batches_for(config, CIFAR, "cpu"))
    except ValueError:
        return False


class Case(NamedTuple):
    value: object  # of the field, where TINY has another
    differs: object  # the function above whose outcome has to change
    beside: dict = {}  # other fields, without which this one has nothing to act on


CASES = {
    "model": Case("plain18", parameters),
    "activation": Case("elu", losses),
    "hidden": Case((16,), parameters),
    "dropout": Case(0.5, losses, {"hidden": (16,)}),
    "width": Case(0.25, parameters),
    "batch_norm": Case(False, parameters),
    "loss": Case("mse", losses),
    "label_smoothing": Case(0.2, losses),
    "optimizer": Case("adam", losses),
    "learning_rate": Case(0.01, losses),
    "momentum": Case(0.5, losses),
    "head_rate": Case(0.01, losses),
    "bias_rate": Case(0.01, losses),
    "muon_scale_tall": Case(False, losses, MUON),
    "muon_per_group": Case(True, losses, MUON | {"model": "dpn26"}),
    "weight_decay": Case(0.1, losses),
    "l1": Case(1e-3, losses),
    "schedule": Case("constant", losses),
    "warmup": Case(0.5, losses),
    "epochs": Case(3, losses),
    "batch_size": Case(20, losses),
    "data": Case("cifar10", is_accepted),
    "images": Case(200, training_images),
    "test_images": Case(100, evaluated_images),
    "evaluate": Case("validation", evaluated_images, {"test_images": None}),
    "crop": Case(2, training_images),
    "flip": Case(False, training_images),
    "alternate": Case(True, training_images),
    "reflect": Case(True, training_images),
    "cutout": Case(8, training_images),
    "small_side": Case(24, losses, {"small_share": 0.5}),
    "small_share": Case(0.5, losses, {"small_side": 24}),
    "precision": Case("float32", losses),
    "seed": Case(1, losses),
}


@functools.cache
def outcome(differs, config):
    return differs(config)


def test_every_field_has_its_case():
    fields = {field.name for field in dataclasses.fields(train.Config)}
    assert fields == set(CASES)


@pytest.mark.parametrize("field", CASES)
def test_every_option_does_something(field):
    value, differs, beside = CASES[field]
    config = dataclasses.replace(TINY, **beside)
    changed = dataclasses.replace(config, **{field: value})
    assert changed.hash != config.hash
    assert outcome(differs, changed) != outcome(differs, config)


@pytest.mark.parametrize("differs", [losses, training_images, evaluated_images, parameters, is_accepted])
def test_without_a_change_nothing_differs(differs):
    """The proof that the test above can fail."""
    assert differs(TINY) == differs(TINY)
