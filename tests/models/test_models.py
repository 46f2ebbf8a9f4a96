"""Sizes, shapes, and that an option reaches every place of every network."""

from collections import Counter

import pytest
import torch
from torch import nn
from torch.utils._python_dispatch import TorchDispatchMode

from cifar_helpers import models
from cifar_helpers.models.fast_cnn import IdentityConv, WhiteningConv
from cifar_helpers.models.network import FAMILIES, Parts, Shift
from cifar_helpers.train import cost

PARAMETERS = {
    "resnet18": 11_173_962,
    "resnet34": 21_282_122,
    "resnext50_32x4d": 22_992_714,
    "dpn26": 11_574_842,
    "dla": 16_291_386,
    "densenet121": 6_956_298,
    "vgg_a": 9_750_922,
    "vgg_a_bn": 9_756_426,
    "vgg_a_bn_noise": 9_756_426,
    "plain18": 11_000_138,
    "plain34": 21_108_298,
    "fast_cnn": 1_972_778,
    "fast_cnn_unwhitened": 1_972_778,
}
# The operator that each activation ends in: what the trace below counts.
OPERATORS = {
    "relu": "relu",
    "relu6": "hardtanh",
    "leaky_relu": "leaky_relu",
    "elu": "elu",
    "selu": "elu",
    "prelu": "_prelu_kernel",
    "softplus": "softplus",
    "sigmoid": "sigmoid",
    "softmax": "_softmax",
    "tanh": "tanh",
    "hardtanh": "hardtanh",
    "gelu": "gelu",
    "silu": "silu",
}
every_network = pytest.mark.parametrize("name", models.NAMES)


def small(name, **options):
    torch.manual_seed(0)
    return models.build(name, width=0.25, **options)


def images(count=2):
    return torch.randn(count, 3, 32, 32, generator=torch.Generator().manual_seed(1))


def parameters(network):
    return sum(p.numel() for p in network.parameters())


class Operators(TorchDispatchMode):
    """Counts every operator that runs below autograd, whether a module or a function called it."""

    def __init__(self):
        super().__init__()
        self.calls = Counter()

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        self.calls[function.overloadpacket.__name__.rstrip("_")] += 1  # relu and relu_ are one
        return function(*args, **(kwargs or {}))


def trace(network):
    with torch.no_grad(), Operators() as operators:
        network.eval()(images(1))
    return operators.calls


def test_names_cover_the_networks_of_the_report():
    assert set(PARAMETERS) <= set(models.NAMES) == set(models.TITLES)
    assert set(OPERATORS) <= set(models.ACTIVATIONS)


@pytest.mark.parametrize("name, count", PARAMETERS.items())
def test_parameters_are_exactly_those_of_the_original(name, count):
    with torch.device("meta"):
        assert parameters(models.build(name)) == count


@every_network
def test_stages_halve_the_image(name):
    sizes = {}
    network = small(name)
    for stage, module in models.stages(network).items():
        module.register_forward_hook(lambda _, __, output, stage=stage: sizes.update({stage: output.shape[-1]}))
    assert network(images()).shape == (2, 10)
    assert list(sizes.values()) == {"vgg": [16, 8, 4, 2, 1], "fas": [15, 7, 3]}.get(name[:3], [32, 16, 8, 4])
    assert list(sizes) == [f"stage{number}" for number in range(1, len(sizes) + 1)]


@every_network
def test_activation_reaches_every_place(name):
    places = trace(small(name, hidden=(16,)))["relu"]
    assert places > len(models.stages(small(name)))  # one in each stage at least, and one after the hidden layer
    for activation, operator in OPERATORS.items():
        calls = trace(small(name, hidden=(16,), activation=activation))
        assert calls[operator] == places, activation
        assert activation == "relu" or calls["relu"] == 0, activation


@every_network
def test_activations_are_one_per_place_and_not_in_place(name):
    network = small(name, activation="prelu", hidden=(16,))
    slopes = [module for module in network.modules() if isinstance(module, nn.PReLU)]
    assert len(slopes) == trace(network)["_prelu_kernel"]
    assert not [module for module in small(name).modules() if getattr(module, "inplace", False)]


@every_network
def test_hidden_layers_and_dropout(name):
    plain, deep = small(name), small(name, hidden=(256, 128), dropout=0.5)
    features = plain.head[-1].in_features
    linear = [module for module in deep.head if isinstance(module, nn.Linear)]
    assert [layer.out_features for layer in linear[-3:]] == [256, 128, 10]
    assert parameters(deep) - parameters(plain) == (features + 1) * 256 + 257 * 128 + 129 * 10 - (features + 1) * 10
    assert sum(isinstance(module, nn.Dropout) for module in deep.head) == len(linear) - 1
    assert not torch.equal(deep(images()), deep(images()))
    deep.eval()
    assert torch.equal(deep(images()), deep(images()))


@every_network
def test_gradients_reach_every_parameter(name):
    network = small(name, activation="prelu", hidden=(16,))
    nn.functional.cross_entropy(network(images(8)), torch.arange(8)).backward()
    trained = {key: p for key, p in network.named_parameters() if p.requires_grad}
    assert not [key for key, p in trained.items() if p.grad is None or not p.grad.any()]


@every_network
def test_memory_format_changes_nothing(name):
    network = small(name).double()
    batch = images(4).double()
    torch.manual_seed(0)  # one network draws noise
    expected = network(batch)
    torch.manual_seed(0)
    network.to(memory_format=torch.channels_last)
    torch.testing.assert_close(network(batch.contiguous(memory_format=torch.channels_last)), expected)


@every_network
def test_gradients_keep_the_memory_format(name):
    """Batch norm's backward is several times slower on CPU where a gradient comes in NCHW order (a slice's does)."""
    network = small(name).to(memory_format=torch.channels_last)
    wrong = []

    def check(module, _, output):
        def look(gradient):
            shape = gradient.shape[2:]
            if shape.numel() > 1 and not gradient.is_contiguous(memory_format=torch.channels_last):
                wrong.append(module)

        output.register_hook(look)

    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.register_forward_hook(check)
    network(images().contiguous(memory_format=torch.channels_last)).sum().backward()
    assert not wrong


@pytest.mark.parametrize("depth", (18, 34))
def test_plain_networks_are_the_resnets_without_their_shortcuts(depth):
    with torch.device("meta"):
        residual, plain = models.build(f"resnet{depth}"), models.build(f"plain{depth}")
    shortcuts = sum(parameters(module) for name, module in residual.named_modules() if name.endswith("downsample"))
    assert parameters(plain) == parameters(residual) - shortcuts < parameters(residual)
    convolutions = [
        sum(isinstance(module, nn.Conv2d) and module.kernel_size == (3, 3) for module in network.modules())
        for network in (residual, plain)
    ]
    assert convolutions == [depth - 1, depth - 1]


def test_plain_block_adds_nothing_to_its_input():
    block = models.stages(small("plain18"))["stage1"][0]
    for module in block.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.zeros_(module.weight)
    assert not block(images().repeat(1, 6, 1, 1)[:, :16]).any()  # a shortcut would let the input through


def test_whitened_patches_have_no_correlation():
    layer = WhiteningConv()
    batch = torch.nn.functional.avg_pool2d(images(200), 3, 1, 1)  # neighbours that are alike
    layer.fit(batch, floor=0.0)
    features = layer(batch).transpose(0, 1).flatten(1)
    assert torch.equal(features[:12], -features[12:])
    torch.testing.assert_close(features[:12] @ features[:12].T / features.shape[1], torch.eye(12), atol=1e-3, rtol=0)


def test_every_convolution_is_counted():
    """torchinfo counts the positions of a layer whose class is called a Conv, and other weights once."""
    whitened, plain = (cost.multiply_adds(models.build(name)) for name in ("fast_cnn", "fast_cnn_unwhitened"))
    assert whitened == plain


def test_a_network_made_by_hand_can_be_built(monkeypatch):
    def mine(width):
        return Parts(nn.Conv2d(3, 4, 3), [nn.ReLU()], 4)

    monkeypatch.setitem(FAMILIES, "mine", mine)
    assert models.build("mine")(torch.zeros(1, 3, 32, 32)).shape == (1, 10)


def test_identity_convolution_passes_its_input_on():
    batch = torch.randn(2, 8, 5, 5)
    torch.testing.assert_close(IdentityConv(8, 20)(batch)[:, :8], batch)


@every_network
def test_no_batch_norm_leaves_a_shift_per_channel(name):
    usual, network = small(name), small(name, batch_norm=False).double().eval()  # no noise
    norms = [module for module in usual.modules() if isinstance(module, nn.BatchNorm2d)]
    assert not [module for module in network.modules() if isinstance(module, nn.BatchNorm2d)]
    assert parameters(network) == parameters(usual) - sum(norm.num_features for norm in norms)
    shifts = [module for module in network.modules() if isinstance(module, Shift)]
    assert [shift.bias.shape for shift in shifts] == [norm.weight.shape for norm in norms]
    batch = images().double()
    with torch.no_grad():
        before = network(batch)
        for shift in shifts:
            shift.bias += 0.5
            assert not torch.allclose(network(batch), before)
            shift.bias -= 0.5
        assert torch.equal(network(batch), before)


def test_a_shift_acts_like_the_bias_of_the_convolution_before_it():
    block = small("plain18", batch_norm=False).stem
    reference = nn.Conv2d(3, 16, 3, padding=1)
    with torch.no_grad():
        block[0].weight.copy_(reference.weight)
        block[1].bias.copy_(reference.bias)
    torch.testing.assert_close(block[:2](images()), reference(images()))


@pytest.mark.parametrize("width", (0.1, 0.25, 0.5, 1.5))
@every_network
def test_width_scales_the_filters(name, width):
    with torch.device("meta"):
        network = models.build(name, width=width)
        full = parameters(models.build(name))
        assert network(torch.empty(1, 3, 32, 32)).shape == (1, 10)
        assert (parameters(network) < full) == (width < 1)
        if width == 0.25:
            assert parameters(network) < full / 10


@pytest.mark.parametrize(
    ("options", "words"),
    (
        ({"name": "resnet"}, models.NAMES),
        ({"activation": "swish"}, models.ACTIVATIONS),
        ({"dropout": 0.5}, ("dropout", "hidden=(256, 128)")),
        ({"dropout": 1.0, "hidden": (8,)}, ("dropout", "1.0")),
        ({"hidden": (256, 0)}, ("hidden", "(256, 0)")),
        ({"width": 0}, ("width", "0")),
    ),
)
def test_errors_name_the_choices(options, words):
    with pytest.raises(ValueError) as error:
        models.build(**{"name": "resnet18"} | options)
    assert all(word in str(error.value) for word in words)
