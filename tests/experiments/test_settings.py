"""What was trained, in one line."""

import pytest

from cifar_helpers import experiments
from cifar_helpers.train import Config


def test_what_is_common_and_what_differs():
    configs = [
        Config("resnet18", activation=name, width=0.25, epochs=3, seed=seed)
        for name in ("relu", "elu")
        for seed in range(3)
    ]
    assert experiments.settings(configs) == (
        "ResNet18 with 0.25 times its filters, trained on all training images for 3 epochs in batches of 128; SGD with "
        "momentum 0.9, rate 0.1, one-cycle schedule; 3 seeds; evaluated on the test images. The runs differ in: "
        "activation."
    )


def test_what_is_not_the_default_is_named():
    text = experiments.settings([Config("dla", hidden=(256, 128), dropout=0.5, images=5000, evaluate="validation")])
    assert "5,000 training images" in text and "dropout 0.5" in text and "hidden layers of 256, 128" in text
    assert text.endswith("1 seed; evaluated on validation images.")


def test_an_activation_has_the_name_that_torch_gives_it():
    assert "; GELU; " in experiments.settings([Config("fast_cnn", activation="gelu")])


def test_validation_images_are_not_trained_on_and_rates_are_in_order():
    text = experiments.settings([Config("dla", learning_rate=rate, evaluate="validation") for rate in (0.1, 0.03)])
    assert "trained on the training images without those for validation" in text and "rates 0.03 or 0.1," in text


def test_runs_of_both_kinds_of_images_say_both():
    configs = [Config("dla", epochs=10, evaluate="validation"), Config("dla", epochs=1)]
    text = experiments.settings(configs)
    assert "for 10 or 1 epochs" in text and "evaluated on validation or the test images" in text


def test_text_of_a_record_is_no_markup():
    text = experiments.settings([Config("dla", schedule="<b>[here](http://x)@12345678")])
    assert r"&lt;b&gt;[here]\(http://x)@12345678 schedule" in text


def test_no_runs_is_an_error():
    with pytest.raises(ValueError, match="no runs"):
        experiments.settings([])


@pytest.mark.parametrize("name", experiments.EXPERIMENTS)
def test_every_experiment_can_be_described(name):
    assert "epoch" in experiments.settings(experiments.configs(name, "full"))


def test_the_scale_is_epochs_and_seeds():
    assert experiments.scale([Config("dla", epochs=10, seed=seed) for seed in range(3)]) == "10 epochs, 3 seeds"
    assert experiments.scale([Config("dla", epochs=1)]) == "1 epoch, 1 seed"
