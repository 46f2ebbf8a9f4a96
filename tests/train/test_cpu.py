import copy

import pytest
import torch
from torch import nn
from torch.nn import functional
from torch.optim import _muon

from cifar_helpers import models
from cifar_helpers.train import cpu
from cifar_helpers.train.optimizers import Muon

torchs = _muon._zeropower_via_newtonschulz


def channels_last(*shape: int, seed: int = 0) -> torch.Tensor:
    values = torch.randn(*shape, generator=torch.Generator().manual_seed(seed))
    return values.to(memory_format=torch.channels_last)


def test_maps_stand_in_a_row_with_zeros_between():
    maps = channels_last(6, 2, 3, 4)
    rows = cpu.side_by_side(maps, 3)
    assert rows.shape == (2, 2, 3, 15) and rows.is_contiguous(memory_format=torch.channels_last)
    for number in range(6):
        row, place = divmod(number, 3)
        assert torch.equal(rows[row, :, :, 5 * place : 5 * place + 4], maps[number])
        assert not rows[row, :, :, 5 * place + 4].any()


@pytest.mark.parametrize(
    "number, width, count",
    [(1000, 7, 4), (1000, 3, 8), (128, 4, 8), (128, 2, 16), (2000, 5, 8), (7, 4, 7), (1, 4, 1), (997, 4, 1)],
)
def test_a_row_takes_a_divisor_of_the_number_of_images(number, width, count):
    assert cpu.per_row(number, width) == count


@pytest.mark.parametrize("side", [1, 2, 3, 4, 7])
def test_gradients_are_those_of_a_convolution(side):
    weight, images = channels_last(6, 5, 3, 3), channels_last(32, 5, side, side, seed=1)
    upstream = channels_last(32, 6, side, side, seed=2)
    found, expected = [], []
    for function, gradients in (
        (cpu._Convolution.apply, found),
        (lambda x, w: functional.conv2d(x, w, padding=1), expected),
    ):
        inputs = images.clone().requires_grad_(), weight.clone().requires_grad_()
        function(*inputs).backward(upstream)
        gradients += [tensor.grad for tensor in inputs]
    for one, other in zip(found, expected):
        torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-4)


def test_only_what_is_asked_for_is_computed():
    images, weight = channels_last(32, 5, 4, 4), channels_last(6, 5, 3, 3).requires_grad_()
    cpu._Convolution.apply(images, weight).sum().backward()
    assert images.grad is None and weight.grad is not None


def trained(network: nn.Module, batch: int, bfloat16: bool = True) -> tuple[torch.Tensor, torch.Tensor]:
    """Scores of a training step and all its gradients in a row."""
    network.train()
    with torch.autocast("cpu", torch.bfloat16, enabled=bfloat16):
        scores = network(channels_last(batch, 3, 32, 32))
    functional.cross_entropy(scores.float(), torch.arange(batch) % 10).backward()
    return scores.detach().float(), torch.cat([p.grad.flatten() for p in network.parameters() if p.grad is not None])


@pytest.mark.parametrize(
    "name, batch, tolerance", [("resnet18", 64, 0.01), ("resnext50_32x4d", 32, 0.1), ("densenet121", 32, 0.1)]
)
def test_networks_train_on_with_the_same_weights_and_nearly_the_same_scores_and_gradients(name, batch, tolerance):
    torch.manual_seed(0)
    plain = models.build(name, width=0.125).to(memory_format=torch.channels_last)
    fast, exact = copy.deepcopy(plain), copy.deepcopy(plain)
    cpu.speed_up(fast)
    assert fast.state_dict().keys() == plain.state_dict().keys()
    assert any(type(module) is cpu.Conv2d for module in fast.modules())
    for one, other, truth in zip(trained(plain, batch), trained(fast, batch), trained(exact, batch, bfloat16=False)):
        assert one.shape == other.shape and (other - one).norm() < tolerance * one.norm()
        assert (other - truth).norm() < 1.1 * (one - truth).norm()  # no further from float32 than torch's own
    images = channels_last(8, 3, 32, 32)
    with torch.inference_mode():
        assert torch.equal(fast.eval()(images), copy.deepcopy(fast).eval()(images))


def test_layers_of_a_network_are_used_as_they_fit():
    fast = models.build("resnet18", width=0.125).to(memory_format=torch.channels_last)
    cpu.speed_up(fast)
    kinds = {name: type(module) for name, module in fast.named_modules() if isinstance(module, nn.Conv2d)}
    assert kinds["stages.stage4.1.conv2"] is cpu.Conv2d
    assert kinds["stages.stage4.0.conv1"] is kinds["stages.stage4.0.downsample.0"] is nn.Conv2d  # strides
    used = []
    fast.stages.stage4[1].conv2.register_forward_hook(lambda m, i, out: used.append(out.grad_fn.name()))
    trained(fast, 64)
    assert len(used) == 1 and "_Convolution" in used[0]


def test_a_1x1_convolution_of_small_images_is_a_linear_layer():
    torch.manual_seed(0)
    layer = nn.Conv2d(6, 4, 1, bias=False)
    small, large = channels_last(5, 6, 8, 8), channels_last(5, 6, 16, 16)
    cpu.speed_up(nn.Sequential(layer))
    with torch.autocast("cpu", torch.bfloat16):
        found = layer(small)
        assert "Convolution" in layer(large).grad_fn.name()
    assert "Convolution" not in found.grad_fn.name() and found.is_contiguous(memory_format=torch.channels_last)
    torch.testing.assert_close(found.float(), functional.conv2d(small, layer.weight), rtol=0.02, atol=0.02)


def test_without_autocast_or_with_a_prime_number_of_images_it_is_torchs_own():
    torch.manual_seed(0)
    fast = nn.Sequential(nn.Conv2d(4, 4, 3, padding=1, bias=False))
    cpu.speed_up(fast)
    assert "_Convolution" not in fast(channels_last(32, 4, 4, 4)).grad_fn.name()
    with torch.autocast("cpu", torch.bfloat16):
        assert "_Convolution" not in fast(channels_last(97, 4, 4, 4)).grad_fn.name()
        assert "_Convolution" in fast(channels_last(32, 4, 4, 4)).grad_fn.name()


@pytest.mark.parametrize(
    "changes",
    [dict(stride=2), dict(groups=2), dict(bias=True), dict(padding=0), dict(dilation=2), dict(padding_mode="reflect")],
)
def test_other_convolutions_stay_as_they_are(changes):
    layer = nn.Conv2d(4, 4, 3, **{"padding": 1, "bias": False} | changes)
    cpu.speed_up(nn.Sequential(layer))
    assert type(layer) is nn.Conv2d


@pytest.mark.parametrize("name", ["resnet18", "resnext50_32x4d", "fast_cnn"])
def test_in_float32_the_network_is_as_near_the_exact_one_as_in_torchs_bfloat16(name):
    torch.manual_seed(0)
    plain = models.build(name, width=0.125).to(memory_format=torch.channels_last)
    other, exact = copy.deepcopy(plain), copy.deepcopy(plain)
    cpu.in_float32(other)
    assert {type(module) for module in other.modules() if isinstance(module, nn.Conv2d)} == {cpu.Float32Conv2d}
    assert other.state_dict().keys() == plain.state_dict().keys()
    for one, found, truth in zip(trained(plain, 32), trained(other, 32), trained(exact, 32, bfloat16=False)):
        assert 0 < (found - truth).norm() < 1.1 * (one - truth).norm()
    plain.load_state_dict(other.state_dict())
    images = channels_last(8, 3, 32, 32)
    with torch.inference_mode():  # without autocast, nothing is rounded
        assert torch.equal(other.eval()(images), plain.eval()(images))


@pytest.mark.parametrize("options", [dict(stride=2), dict(groups=2), dict(bias=False), dict(padding_mode="reflect")])
def test_in_float32_operands_and_result_are_rounded_as_by_torch(options):
    torch.manual_seed(0)
    layer = nn.Conv2d(4, 4, 3, **{"padding": 1} | options)
    images = channels_last(2, 4, 8, 8)
    with torch.autocast("cpu", torch.bfloat16):
        expected = layer(images)
        cpu.in_float32(nn.Sequential(layer))
        found = layer(images)
    assert found.dtype == torch.bfloat16
    torch.testing.assert_close(found, expected, rtol=0.01, atol=0.01)  # a unit of bfloat16's last place is 0.008
    assert (found == expected).float().mean() > 0.95


@pytest.mark.parametrize("shape", [(8, 27), (64, 16), (96, 96)])
def test_newton_schulz_in_float32_is_torchs_to_bfloat16s_rounding(shape):
    torch.manual_seed(0)
    given = torch.randn(shape), (3.4445, -4.7750, 2.0315), 3, 1e-7
    expected, found = torchs(*given).float(), cpu._newton_schulz(*given)
    exact = cpu_exact(*given)
    assert (found - exact).norm() < 1.1 * (expected - exact).norm() < 0.05 * exact.norm()
    assert torch.equal(given[0], torch.randn(shape, generator=torch.Generator().manual_seed(0)))  # left as it was


def cpu_exact(gradient, coefficients, steps, eps):
    """The same in float64: odd polynomials of the singular values."""
    left, values, right = torch.linalg.svd(gradient.double(), full_matrices=False)
    values = values / gradient.double().norm()
    for _ in range(steps):
        values = sum(factor * values**power for factor, power in zip(coefficients, (1, 3, 5)))
    return left @ torch.diag(values) @ right


@pytest.mark.parametrize("emulated", [True, False])
def test_muon_goes_through_float32_only_where_bfloat16_is_emulated(monkeypatch, emulated):
    used = []
    monkeypatch.setattr(cpu, "emulated", lambda: emulated)
    monkeypatch.setattr(cpu, "_newton_schulz", lambda *given: used.append(1) or torchs(*given))
    weight = nn.Parameter(torch.randn(4, 3, 3, 3))
    weight.grad = torch.randn_like(weight)
    Muon([weight], lr=0.1).step()
    assert bool(used) == emulated and _muon._zeropower_via_newtonschulz is torchs


@pytest.mark.parametrize(
    "amx, avx512, intel, way",
    [(True, True, True, "speed_up"), (False, True, True, "in_float32"), (False, False, False, "in_float32")]
    + [(False, True, False, None)],
)
def test_each_cpu_gets_its_way(monkeypatch, amx, avx512, intel, way):
    used = []
    monkeypatch.setattr(cpu.platform, "machine", lambda: "x86_64")
    monkeypatch.setattr(cpu, "available", lambda: amx)
    monkeypatch.setattr(torch.cpu, "_is_avx512_bf16_supported", lambda: avx512)
    monkeypatch.setattr(cpu, "_intel", lambda: intel)
    for name in ("speed_up", "in_float32"):
        monkeypatch.setattr(cpu, name, lambda model, name=name: used.append(name))
    cpu.prepare(nn.Sequential(), "bfloat16")
    assert used == ([way] if way else [])
    cpu.prepare(nn.Sequential(), "float32")
    assert len(used) == bool(way)  # torch's own are the fastest
