"""What is measured per depth, on inputs where the answer is known."""

import numpy as np
import pytest
import torch
from torch import nn

from cifar_helpers import experiments, models
from cifar_helpers.analysis import probes
from cifar_helpers.models.network import Network, Parts


def one_convolution(size):
    """A network whose only stage is one convolution of that size."""
    stage = nn.Conv2d(3, 4, size, padding=size // 2, bias=False)
    return Network(Parts(nn.Identity(), [stage], 4), (), 0.0, 10)


@pytest.fixture
def images():
    return torch.randn(20, 3, 32, 32, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize("size", (1, 3, 7))
def test_field_of_a_convolution_is_its_kernel(images, size):
    network = one_convolution(size)
    energy = probes.receptive_field(probes.unit_gradients(network, images, "stage1"))
    assert probes.extent(energy.mean(0)) == size
    # all images have the kernel's energy, up to the random signs
    expected = network.stages.stage1.weight.detach().square().sum((0, 1)).numpy()
    near = energy.mean(0)[16 - size // 2 : 17 + size // 2, 16 - size // 2 : 17 + size // 2]
    if size == 1:
        assert near.sum() == pytest.approx(expected.sum(), rel=0.5)


def test_radius_of_known_maps():
    point, even = np.zeros((32, 32)), np.ones((32, 32))
    point[3, 20] = 5.0
    assert probes.receptive_radius(point) == 0
    assert probes.receptive_radius(even) == pytest.approx(12.8, abs=0.2)
    assert np.isnan(probes.receptive_radius(np.zeros((32, 32))))
    two = np.zeros((32, 32))
    two[10, 10] = two[10, 14] = 1.0  # both two pixels from their centre of mass
    assert probes.receptive_radius(two) == pytest.approx(2)


def test_low_pass_removes_what_is_fine():
    wave = torch.arange(32.0).expand(1, 3, 32, 32)
    slow, edge, fast = (torch.cos(2 * np.pi * cycles * wave / 32) for cycles in (4, 8, 12))
    assert torch.allclose(probes.low_pass(slow + edge + fast), slow + edge, atol=1e-4)  # the cut-off itself stays


@pytest.mark.parametrize("share", (0.0, 0.25, 0.5, 0.75, 1.0))
def test_radius_holds_its_share(share):
    """By definition: the smallest distance within which the sum reaches the share, up to one pixel's step."""
    energy = np.random.default_rng(0).random((32, 32))
    y, x = np.indices(energy.shape)
    centre = [(values * energy).sum() / energy.sum() for values in (y, x)]
    distance = np.hypot(y - centre[0], x - centre[1])
    radius = probes.receptive_radius(energy, share)
    for near, bound in ((radius - 0.2, np.less_equal), (radius + 0.2, np.greater_equal)):
        assert bound(energy[distance <= near].sum() / energy.sum(), share + 1e-12 * (bound is np.less_equal))


def test_extent_at_its_edges():
    corners = np.zeros((32, 32))
    assert probes.extent(corners) == 0
    corners[0, 0] = 1
    assert probes.extent(corners) == 1
    corners[31, 0] = 1e-300
    assert probes.extent(corners) == 32


def test_shuffling_patches_moves_squares_and_changes_no_pixel(images):
    cut = probes.shuffle_patches(images)
    assert not torch.equal(cut, images)
    assert torch.equal(cut.flatten(2).sort()[0], images.flatten(2).sort()[0])
    squares = {
        tuple(part.flatten().tolist())
        for part in images[0].unfold(1, 8, 8).unfold(2, 8, 8).permute(1, 2, 0, 3, 4).reshape(16, -1)
    }
    assert tuple(cut[0, :, :8, :8].flatten().tolist()) in squares
    with pytest.raises(ValueError, match="cannot be cut into squares of 5"):
        probes.shuffle_patches(images, 5)


def test_linear_probe_finds_what_is_linear_and_nothing_in_noise():
    random = torch.Generator().manual_seed(0)
    labels = torch.randint(10, (600,), generator=random)
    features = torch.randn(600, 20, generator=random)
    features[torch.arange(600), labels] += 6.0
    features[:, 19] = 3.0  # never changes
    probe = probes.linear_probe(features[:400], labels[:400])
    assert probe.score(features[400:], labels[400:]) > 0.95
    noise = torch.randn(600, 20, generator=random)
    probe = probes.linear_probe(noise[:400], labels[:400])
    assert probe.score(noise[400:], labels[400:]) < 0.25


def test_linear_probe_minimises_what_it_says():
    """At its weights the mean cross-entropy plus l2 / 2 |weights|^2 of standardised features has no gradient."""
    random = torch.Generator().manual_seed(0)
    features, labels = torch.randn(200, 5, generator=random, dtype=torch.float64), torch.arange(200) % 10
    features = features * torch.tensor([1, 10, 0.1, 1, 1]) + labels[:, None]
    probe = probes.linear_probe(features, labels, strengths=(0.05,))
    inputs = (features - features.mean(0)) / features.std(0, correction=0)
    weights, bias = (torch.tensor(values, requires_grad=True) for values in (probe[-1].coef_, probe[-1].intercept_))
    loss = torch.nn.functional.cross_entropy(inputs @ weights.T + bias, labels) + 0.05 / 2 * weights.square().sum()
    loss.backward()
    assert weights.grad.abs().max() < 1e-6 and bias.grad.abs().max() < 1e-6


def test_linear_probe_chooses_its_strength_on_the_last_fifth():
    """Noise of 60 channels in 100 images is fitted without effort, so the strongest is best on the images left out."""
    random = torch.Generator().manual_seed(1)
    labels = torch.randint(2, (100,), generator=random)
    features = torch.randn(100, 60, generator=random, dtype=torch.float64)
    features[:, 0] += 1.5 * labels
    scores = {}
    for l2 in (1e-4, 1.0):
        scores[l2] = probes.linear_probe(features[:80], labels[:80], (l2,)).score(features[80:], labels[80:])
    best = max(scores, key=scores.get)
    chosen = probes.linear_probe(features, labels, (1e-4, 1.0))
    assert scores[1.0] != scores[1e-4]
    assert pytest.approx(best * 100) == 1 / chosen[-1].C


def test_ascent_raises_the_channel_and_stays_within_the_colours():
    torch.manual_seed(0)
    network = models.build("resnet18", width=0.125).eval()
    part = probes.up_to(network, "stage2")
    made = probes.activation_maximization(network, "stage2", [3, 5], steps=20)
    start = probes.activation_maximization(network, "stage2", [3, 5], steps=0)
    with torch.no_grad():
        for number, channel in enumerate((3, 5)):
            before, after = (part(pictures)[number, channel].mean() for pictures in (start, made))
            assert after > before
    colours = made * torch.tensor(probes.STD)[:, None, None] + torch.tensor(probes.MEAN)[:, None, None]
    assert colours.min() > -1e-5 and colours.max() < 1 + 1e-5
    assert torch.equal(made, probes.activation_maximization(network, "stage2", [3, 5], steps=20))


def test_ascent_without_its_extras_is_plain_gradient_ascent():
    torch.manual_seed(0)
    network = models.build("resnet18", width=0.125).eval()
    part, start = probes.up_to(network, "stage2"), probes.activation_maximization(network, "stage2", [3], steps=0)
    start.requires_grad_()
    (gradient,) = torch.autograd.grad(part(start)[0, 3].mean(), start)
    expected = start + 0.1 * gradient / gradient.square().mean().sqrt()
    made = probes.activation_maximization(network, "stage2", [3], steps=1, decay=0, jitter=0, blur=0)
    torch.testing.assert_close(made, expected, rtol=1e-4, atol=1e-5)


def test_peaks_are_where_the_value_is(images):
    network = one_convolution(1)
    high, place, mean = probes.peaks(network, images, "stage1")
    maps = network.stages.stage1(images).detach()
    row, column = place[7, 2].long()
    assert maps[7, 2, row, column] == high[7, 2] == maps[7, 2].max()
    torch.testing.assert_close(mean, maps.mean((2, 3)))


def test_untrained_network_is_the_one_the_run_started_from():
    class Run:
        config = experiments.grad_cam_networks("smoke")[0]

    torch.manual_seed(Run.config.seed)
    expected = models.build(Run.config.model, width=Run.config.width)
    network = probes.untrained(Run, torch.randn(20, 3, 32, 32))
    assert torch.equal(network.stem[0].weight, expected.stem[0].weight)
    assert not torch.equal(network.stem[1].running_mean, expected.stem[1].running_mean)


def test_a_stage_that_is_not_there_is_told(images):
    with pytest.raises(ValueError, match="no stage 'stage7'; choose from stage1"):
        probes.unit_gradients(one_convolution(3), images, "stage7")
