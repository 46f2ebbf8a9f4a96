"""The classifier's learning rate goes by its number of features: the first steps never jump."""

import dataclasses

import numpy as np
import pytest

from cifar_helpers import data, experiments, models, records, train

JUMP = 1.2  # largest loss over the first one


def jump(steps: np.ndarray) -> float:
    return steps.max() / steps[0]


def test_rate_falls_with_the_features_before_the_classifier():
    assert experiments.head_rate("resnet18", per_feature=12.8, width=0.25) == 0.1  # the first recipe, 128 features
    for name, features in (("resnet18", 512), ("resnext50_32x4d", 2048), ("dpn26", 2432), ("densenet121", 1024)):
        assert models.build(name).head[-1].in_features == features
        assert experiments.head_rate(name) == pytest.approx(experiments.PER_FEATURE / features, rel=0.01)


def test_two_runs_of_each_network_differ_in_the_rate_of_the_classifier_alone():
    configs = experiments.head_rate_pairs("full")
    assert [config.model for config in configs[::2]] == [config.model for config in configs[1::2]]
    assert {config.model for config in configs} == set(experiments.TABLE_1)
    assert set(configs) <= set(experiments.head_rates("full"))
    for one, other in zip(configs[::2], configs[1::2]):
        assert one.head_rate == 0.1 != other.head_rate and dataclasses.replace(other, head_rate=0.1) == one


@pytest.mark.parametrize("name", experiments.TABLE_1[:5])  # what a reader adds has no record at first
def test_full_width_records_start_without_a_jump(name):
    wanted = [
        config
        for config in experiments.first_steps("full")
        if config.model == name and config.head_rate == experiments.head_rate(name)
    ]
    (run,) = [records.find(config, "full") for config in wanted]
    assert len(run.steps) == 40
    assert jump(run.steps) < JUMP


# At these widths the classifier sees 256 to 608 features.
@pytest.mark.parametrize("name, width", [("resnet18", 0.5), ("resnext50_32x4d", 0.25), ("dpn26", 0.25)])
def test_narrow_networks_start_without_a_jump_only_at_the_rate_by_features(name, width):
    steps = dict(data="synthetic", images=320, batch_size=32, epochs=1, test_images=100, precision="float32")
    ruled = next(config for config in experiments.first_steps("full") if config.model == name)
    ruled = dataclasses.replace(ruled, width=width, head_rate=experiments.head_rate(name, width), **steps)
    cifar = data.synthetic()
    assert jump(train.train(ruled, cifar, device="cpu").steps) < JUMP
    assert jump(train.train(dataclasses.replace(ruled, head_rate=0.1), cifar, device="cpu").steps) > JUMP


@pytest.mark.full_width
@pytest.mark.parametrize("name", experiments.TABLE_1)
def test_full_width_networks_start_without_a_jump(name):
    """Trains 40 steps on real images: minutes for each network on two CPU cores."""
    config = next(
        config
        for config in experiments.first_steps("full")
        if config.model == name and config.head_rate == experiments.head_rate(name)
    )
    assert jump(train.train(config, data.load()).steps) < JUMP
