import dataclasses

import pytest
import torch
from torch import nn

from cifar_helpers import models
from cifar_helpers.train import Config
from cifar_helpers.train.optimizers import Muon, optimizers_for

FAST = Config(
    "fast_cnn",
    optimizer="muon",
    learning_rate=0.2,
    momentum=0.6,
    head_rate=0.02,
    bias_rate=5.0,
    weight_decay=0.01,
    width=0.25,
)


@pytest.mark.parametrize("memory_format", [torch.contiguous_format, torch.channels_last])
def test_a_step_of_muon_is_orthogonal_whatever_the_gradients_size(memory_format):
    torch.manual_seed(0)
    weight = nn.Parameter(torch.randn(8, 4, 3, 3).to(memory_format=memory_format))
    gradient = torch.randn(8, 4, 3, 3)
    steps = []
    for size in (1.0, 1e-3):
        weight.data.copy_(torch.ones(8, 4, 3, 3) / 6)  # of norm sqrt(8): it stays as it is
        optimizer = Muon([weight], lr=0.5, momentum=0.0)
        before, weight.grad = weight.detach().clone(), size * gradient.to(memory_format=memory_format)
        optimizer.step()
        steps.append((before - weight.detach()).flatten(1) / 0.5)
    torch.testing.assert_close(steps[0], steps[1], atol=0.05, rtol=0)
    singular = torch.linalg.svdvals(steps[0])
    assert singular.min() > 0.3 and singular.max() < 1.4  # three iterations bring them near 1, not to it
    assert (steps[0] * gradient.flatten(1)).sum() > 0  # downhill


def test_muon_keeps_the_filters_norm():
    weight = nn.Parameter(torch.randn(8, 4, 3, 3))
    weight.grad = torch.zeros_like(weight)
    Muon([weight], lr=0.5, momentum=0.6).step()
    assert weight.norm().item() == pytest.approx(8**0.5, rel=1e-5)


def muon_step(weight: torch.Tensor, gradient: torch.Tensor, **options) -> torch.Tensor:
    """The step of a filter (O, I, k, k) at the rate 1, as (O, I k k)."""
    parameter = nn.Parameter(nn.functional.normalize(weight, dim=(1, 2, 3)))  # of the norm that Muon sets
    parameter.grad, before = gradient.clone(), parameter.detach().clone()
    Muon([parameter], lr=1.0, momentum=0.0, **({"parts": {parameter: options.pop("groups", 1)}} | options)).step()
    return (before - parameter.detach()).flatten(1)


@pytest.mark.parametrize("memory_format", [torch.contiguous_format, torch.channels_last])
def test_a_grouped_filter_takes_the_steps_of_its_groups(memory_format):
    weight, gradient = (torch.randn(12, 4, 3, 3).to(memory_format=memory_format) for _ in range(2))
    whole = muon_step(weight, gradient, groups=3)
    for part in range(3):
        rows = slice(4 * part, 4 * part + 4)
        alone = muon_step(weight[rows], gradient[rows])
        torch.testing.assert_close(whole[rows], alone, atol=0.02, rtol=0)
    assert (whole - muon_step(weight, gradient)).abs().max() > 0.1  # one matrix across the groups is another step


def test_a_tall_matrix_has_the_longer_step_only_where_asked_for():
    tall, wide = (torch.randn(*shape, 1, 1) for shape in ((32, 8), (8, 32)))
    for weight, ratio in ((tall, 2.0), (wide, 1.0)):
        gradient = torch.randn_like(weight)
        scaled, plain = muon_step(weight, gradient), muon_step(weight, gradient, scale_tall=False)
        torch.testing.assert_close(scaled, ratio * plain, atol=0.02, rtol=0)


def test_muon_follows_a_schedule_in_all_its_groups():
    weights = [nn.Parameter(torch.randn(*shape, 1, 1)) for shape in ((32, 8), (8, 32))]
    optimizer = Muon(weights, lr=1.0, momentum=0.0, scale_tall=False)
    torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: 0.5)
    assert [group["lr"] for group in optimizer.param_groups] == [0.25, 0.5]


def test_each_parameter_has_one_rate_and_one_decay_per_step():
    model = models.build("fast_cnn", width=0.25)
    muon, sgd = optimizers_for(FAST, model)
    head, vectors = sgd.param_groups
    assert head["lr"] == 0.02 and head["params"] == list(model.head.parameters())  # its bias, too
    assert vectors["lr"] == 5.0 and all(p.dim() == 1 for p in vectors["params"])
    assert head["lr"] * head["weight_decay"] == pytest.approx(vectors["lr"] * vectors["weight_decay"])
    trained = [p for p in model.parameters() if p.requires_grad]
    assert len(muon.filters) + len(head["params"]) + len(vectors["params"]) == len(trained)


def test_other_optimizers_take_all_parameters_at_one_rate():
    model = models.build("resnet18", width=0.125)
    for name in ("sgd", "adam", "rmsprop", "adadelta"):
        (optimizer,) = optimizers_for(Config("resnet18", optimizer=name, learning_rate=0.3), model)
        (group,) = optimizer.param_groups
        assert group["lr"] == 0.3 and group["weight_decay"] == 5e-4
        assert len(group["params"]) == len(list(model.parameters()))


def test_muon_without_rates_for_the_rest_is_an_error():
    with pytest.raises(ValueError, match="head_rate and bias_rate"):
        optimizers_for(dataclasses.replace(FAST, bias_rate=0.0), models.build("fast_cnn", width=0.25))
