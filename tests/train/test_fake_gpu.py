"""Trainings on a pretended GPU: no machine that runs these tests has one, and no user's GPU may find the first mistake.

torch's FakeTensorMode computes shapes, types and devices and no values. Its tensors say that they are on "cuda", and an
operation raises where one of its tensors is on another device. What needs values (`.item()`) gets ones.
"""

import dataclasses

import numpy as np
import pytest
import torch
from torch._subclasses.fake_tensor import FakeTensor, FakeTensorMode, unset_fake_temporarily

from cifar_helpers import models, train
from cifar_helpers.data.batches import Batches
from cifar_helpers.train import cost, losses, schedules, test_time_augmentation
from cifar_helpers.train.optimizers import ALL as OPTIMIZERS

TINY = train.Config(  # the network with the fewest operations, two steps
    "fast_cnn", width=0.125, data="synthetic", images=40, test_images=10, epochs=1, batch_size=20
)
MUON_RATES = {"head_rate": 0.02, "bias_rate": 1.0}


def walk_back(loss):
    """What `loss.backward()` does, with no need of a GPU's driver: gradients into the `.grad` of all parameters."""
    order, seen, stack = [], set(), [(loss.grad_fn, False)]
    while stack:  # in the order of the forward pass
        node, is_ready = stack.pop()
        if is_ready:
            order.append(node)
        elif node not in seen:
            seen.add(node)
            stack += [(node, True), *((before, False) for before, _ in node.next_functions if before)]
    gradients = {loss.grad_fn: [torch.ones_like(loss)]}
    with torch.no_grad():
        for node in reversed(order):
            found = node(*gradients.pop(node))
            for (before, place), gradient in zip(node.next_functions, found if isinstance(found, tuple) else (found,)):
                if before is None or gradient is None:
                    continue
                expected = before._input_metadata[place]
                gradient = gradient.sum_to_size(expected.shape).to(expected.dtype)  # of what was broadcast or cast
                slots = gradients.setdefault(before, [None] * len(before._input_metadata))
                slots[place] = gradient if slots[place] is None else slots[place] + gradient


@pytest.fixture
def gpu(monkeypatch):
    """Inside this fixture all tensors are fake, and torch believes in a GPU."""
    ones = {
        "item": lambda tensor: 1.0,
        "tolist": lambda tensor: np.ones(tensor.shape).tolist(),
        "numpy": lambda tensor: np.ones(tensor.shape),
        "backward": walk_back,
    }
    for name, function in ones.items():
        monkeypatch.setattr(FakeTensor, name, function, raising=False)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(FakeTensorMode, "avoid_device_init", True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda *options: True)
    monkeypatch.setattr(torch.cuda, "is_current_stream_capturing", lambda: False)
    monkeypatch.setattr(torch.cuda, "reset_peak_memory_stats", lambda device: None)
    monkeypatch.setattr(torch.cuda, "max_memory_allocated", lambda device: 0)
    monkeypatch.setattr(cost, "multiply_adds_of_training", lambda *arguments: 0)  # torchinfo moves the network
    build = models.build

    def build_real(*arguments, **options):
        with unset_fake_temporarily():  # a fake parameter cannot be moved to another device, a real one can
            return build(*arguments, **options)

    monkeypatch.setattr(models, "build", build_real)
    with FakeTensorMode(allow_non_fake_inputs=True):
        yield


def train_on_gpu(cifar, **changes):
    """Train by TINY with the changes; all that comes out is on the GPU."""
    model = train.train(dataclasses.replace(TINY, **changes), cifar, device="cuda").model
    gradients = [parameter.grad for parameter in model.parameters() if parameter.requires_grad]
    tensors = [*model.parameters(), *model.buffers(), *gradients]
    assert {(type(tensor.data), tensor.device.type) for tensor in tensors} == {(FakeTensor, "cuda")}
    return model


@pytest.mark.parametrize("model", models.NAMES)
def test_network(gpu, cifar, model):
    train_on_gpu(cifar, model=model, images=20)


@pytest.mark.parametrize("activation", models.ACTIVATIONS)
def test_activation(gpu, cifar, activation):
    train_on_gpu(cifar, activation=activation, images=20)


@pytest.mark.parametrize("loss", losses.LOSSES)
def test_loss(gpu, cifar, loss):
    train_on_gpu(cifar, loss=loss, label_smoothing=0.1)


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_optimizer(gpu, cifar, optimizer):
    train_on_gpu(cifar, optimizer=optimizer, **MUON_RATES)


@pytest.mark.parametrize("schedule", schedules.SCHEDULES)
def test_schedule(gpu, cifar, schedule):
    train_on_gpu(cifar, schedule=schedule, warmup=0.5)


@pytest.mark.parametrize(
    "changes",
    [
        {"crop": 0, "flip": False},
        {"alternate": True},
        {"reflect": True},
        {"cutout": 8},
        {"small_side": 24, "small_share": 1.0},
        {"evaluate": "validation"},
        {"batch_norm": False},
        {"hidden": (16,), "dropout": 0.5},
        {"precision": "float32"},
        {"l1": 1e-4},
        {"model": "dpn26", "optimizer": "muon", "muon_per_group": True, "images": 20} | MUON_RATES,
        {"optimizer": "muon", "muon_scale_tall": False} | MUON_RATES,
    ],
    ids=lambda changes: "-".join(changes),
)
def test_option(gpu, cifar, changes):
    train_on_gpu(cifar, **changes)


def test_evaluation_and_its_augmentation(gpu, cifar):
    _, evaluated = train.batches_for(TINY, cifar, "cuda")
    model = train.network(TINY).to("cuda")
    for network in (model, test_time_augmentation.TestTimeAugmentation(model)):
        logits, labels = train.predict(network, evaluated, "bfloat16")
        assert logits.shape == (10, 10) and logits.device.type == labels.device.type == "cuda"
        train.evaluate(network, evaluated, precision="bfloat16")


def after(owner, name, change):
    """A patch: what `owner.name` gives, or its first argument where it gives nothing, is changed afterwards."""
    original = getattr(owner, name)

    def changed(*arguments, **options):
        given = original(*arguments, **options)
        return change(arguments[0] if given is None else given)

    return owner, name, changed


def statistics_to_cpu(batches):
    batches.mean = batches.mean.cpu()


def labels_to_cpu(batches):
    for images, labels in batches:
        yield images, labels.cpu()


def momentum_to_cpu(optimizer):
    for state in optimizer.state.values():
        state["momentum_buffer"] = state["momentum_buffer"].cpu()


@pytest.mark.parametrize(
    "patch",
    [
        after(Batches, "__init__", statistics_to_cpu),
        after(Batches, "epoch", labels_to_cpu),
        after(Batches, "_squares", torch.Tensor.cpu),
        after(losses, "one_hot", torch.Tensor.cpu),
        after(torch.optim.SGD, "step", momentum_to_cpu),
        after(torch.nn.functional, "pad", torch.Tensor.cpu),
    ],
    ids=["mean", "labels", "cutout", "targets", "momentum", "augmented"],
)
def test_a_tensor_left_on_the_cpu_is_an_error(gpu, cifar, monkeypatch, patch):
    """The proof that the tests above can fail."""
    monkeypatch.setattr(*patch)
    with pytest.raises(RuntimeError, match="Expected all tensors to be on the same device"):
        model = train_on_gpu(cifar, loss="mse", cutout=8)
        train.evaluate(test_time_augmentation.TestTimeAugmentation(model), train.batches_for(TINY, cifar, "cuda")[1])
