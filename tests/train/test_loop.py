import dataclasses

import numpy as np
import pandas as pd
import pytest
import torch
from torch import nn

from cifar_helpers import models
from cifar_helpers.train import OPTIMIZERS, Config, cost, loop, outputs, train

TINY = Config(
    "resnet18", width=0.125, data="synthetic", images=200, test_images=100, epochs=3, batch_size=50, learning_rate=0.05
)


class Killed(Exception):
    pass


def history(config, cifar, **options):
    return train(config, cifar, device="cpu", **options).history.drop(columns="seconds")


def test_learns_the_made_up_classes(cifar):
    config = dataclasses.replace(TINY, images=400, epochs=6, flip=False)
    last = train(config, cifar, device="cpu").history.iloc[-1]
    assert last.test_accuracy > 60  # 10 is chance
    assert last.train_loss < 1.5  # 2.3 is chance


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"optimizer": "adam", "learning_rate": 1e-3, "hidden": (16,), "dropout": 0.5, "schedule": "cosine"},
        {
            "model": "fast_cnn",
            "optimizer": "muon",
            "learning_rate": 0.1,
            "head_rate": 0.02,
            "bias_rate": 1.0,
            "small_side": 24,
            "small_share": 0.5,
            "alternate": True,
            "reflect": True,
        },
    ],
)
def test_killed_after_any_epoch_ends_with_the_same_history(cifar, tmp_path, changes):
    config, checkpoint = dataclasses.replace(TINY, **changes), tmp_path / "state.pt"
    keep = ["tta"] if config.model == "fast_cnn" else []
    whole = train(config, cifar, device="cpu", keep=keep)
    for epoch in (1, 2):

        def kill(done, row, at=epoch):
            if done == at:
                raise Killed

        with pytest.raises(Killed):
            train(config, cifar, device="cpu", checkpoint=checkpoint, after_epoch=kill)
    resumed = train(config, cifar, device="cpu", checkpoint=checkpoint, keep=keep)
    pd.testing.assert_frame_equal(
        resumed.history.drop(columns="seconds"), whole.history.drop(columns="seconds"), check_exact=True
    )
    assert (resumed.steps == whole.steps).all()
    for name, tensor in whole.model.state_dict().items():
        assert torch.equal(tensor, resumed.model.state_dict()[name]), name


def test_measured_run_is_the_run_without_measuring_and_survives_a_kill(cifar, tmp_path):
    for measure, at in (("dead_units", [4, 8, 12]), ("dead_units:3", [0, 3, 6, 9])):
        config, keep = dataclasses.replace(TINY, dropout=0.5, hidden=(16,)), ["logits", measure]
        whole = train(config, cifar, device="cpu", keep=keep)
        plain = train(config, cifar, device="cpu", keep=["logits"])
        assert (whole.steps == plain.steps).all() and plain.measured == {}
        assert (whole.logits == plain.logits).all()
        assert sorted(set(whole.measured[measure].step)) == at
        assert set(whole.measured[measure].epoch) == {1, 2, 3}

        def kill(epoch, row):
            raise Killed

        checkpoint = tmp_path / f"{len(at)}.pt"
        with pytest.raises(Killed):
            train(config, cifar, device="cpu", checkpoint=checkpoint, after_epoch=kill, keep=keep)
        resumed = train(config, cifar, device="cpu", checkpoint=checkpoint, keep=keep)
        pd.testing.assert_frame_equal(resumed.measured[measure], whole.measured[measure])


def test_several_measurements_at_once_are_those_of_each_alone(cifar):
    config = dataclasses.replace(TINY, model="vgg_a", epochs=2, images=100)
    names = ["dead_units", "landscape:2", "shift:1"]
    together = train(config, cifar, device="cpu", keep=names).measured
    for name in names:
        alone = train(config, cifar, device="cpu", keep=[name]).measured
        pd.testing.assert_frame_equal(together[name], alone[name])
    assert set(together) == set(names)


def killed_after_the_first_epoch(config, cifar, checkpoint, keep):
    def kill(epoch, row):
        raise Killed

    with pytest.raises(Killed):
        train(config, cifar, device="cpu", checkpoint=checkpoint, after_epoch=kill, keep=keep)


def test_a_checkpoint_goes_on_with_other_outputs(cifar, tmp_path, capsys):
    checkpoint, asked = tmp_path / "state.pt", ["weights", "logits", "steps", "tta"]
    whole = train(TINY, cifar, device="cpu", keep=asked)
    killed_after_the_first_epoch(TINY, cifar, checkpoint, ["dead_units", "steps"])
    resumed = train(TINY, cifar, device="cpu", checkpoint=checkpoint, keep=asked)
    assert "set aside" not in capsys.readouterr().err and resumed.measured == {}
    assert resumed.history.drop(columns="seconds").equals(whole.history.drop(columns="seconds"))
    assert (resumed.logits == whole.logits).all() and (resumed.steps == whole.steps).all()


def test_a_checkpoint_without_a_measurement_is_set_aside(cifar, tmp_path, capsys):
    checkpoint = tmp_path / "state.pt"
    killed_after_the_first_epoch(TINY, cifar, checkpoint, ["dead_units:3"])
    resumed = train(TINY, cifar, device="cpu", checkpoint=checkpoint, keep=["dead_units"])
    assert sorted(set(resumed.measured["dead_units"].epoch)) == [1, 2, 3]
    (line,) = [line for line in capsys.readouterr().err.splitlines() if "state.pt" in line]
    assert "without measuring dead_units); set aside as state.rejected, training from the start" in line


def test_a_checkpoint_of_another_network_is_set_aside(cifar, tmp_path, capsys, monkeypatch):
    checkpoint = tmp_path / "state.pt"
    killed_after_the_first_epoch(TINY, cifar, checkpoint, [])
    monkeypatch.setattr(loop, "network", lambda config: models.build("resnet18", width=0.25))
    assert len(history(TINY, cifar, checkpoint=checkpoint)) == 3
    assert "its network has other parameters than today's); set aside" in capsys.readouterr().err


def test_cpu_seconds_survive_a_kill(cifar, tmp_path):
    checkpoint, config = tmp_path / "state.pt", dataclasses.replace(TINY, epochs=2)
    killed_after_the_first_epoch(config, cifar, checkpoint, [])
    before = torch.load(checkpoint)["progress"]["cpu_seconds"]
    resumed = train(config, cifar, device="cpu", checkpoint=checkpoint)
    assert 0 < before < resumed.cpu_seconds < 10 * before


@pytest.mark.parametrize(
    "changes, passes",
    [
        ({}, {32: 3}),
        ({"small_side": 16, "small_share": 0.5}, {16: 2, 32: 1}),  # epochs 0 and 1 begin before the half
        ({"learning_rate": 1e30, "schedule": "constant"}, {32: 1}),  # it diverges in the first epoch
    ],
)
def test_multiply_adds_are_those_of_each_epochs_images(cifar, changes, passes):
    """A 3x3 convolution of C to K channels on H x W positions: 9 C K H W, counted here by hooks."""
    config = dataclasses.replace(TINY, batch_size=60, **changes)
    result, expected = train(config, cifar, device="cpu"), 0
    for side, epochs in passes.items():
        network, counted = models.build("resnet18", width=0.125).eval(), []
        for module in network.modules():
            if isinstance(module, nn.Conv2d):
                module.register_forward_hook(
                    lambda m, _, out, to=counted: to.append(m.weight.numel() * out[0, 0].numel())
                )
            elif not list(module.children()):
                counted.append(sum(p.numel() for p in module.parameters()))
        network(torch.zeros(1, 3, side, side))
        expected += sum(counted) * 180 * epochs  # three whole batches of 60
    assert result.multiply_adds == expected


def test_forward_passes_are_those_of_all_training_images():
    network = models.build("resnet18", width=0.125)
    assert cost.forward_passes(network, 3) == 150_000 * cost.multiply_adds(network)


def test_an_unknown_output_lists_the_names(cifar):
    for wrong in ("weight", "landscape:", "landscape:0", "landscape:-1", "landscape:a", "weights:3", ""):
        with pytest.raises(ValueError, match=f"unknown output '{wrong}'; choose from weights, logits, .*dead_units"):
            train(TINY, cifar, device="cpu", keep=[wrong])
    assert outputs.check("tta") == ("tta",)
    assert outputs.check(["weights", "logits", "weights"]) == ("logits", "weights")


def test_logits_are_those_of_the_last_epoch(cifar):
    result = train(TINY, cifar, device="cpu", keep=["logits"])
    assert result.logits.shape == (100, 10) and result.labels.shape == (100,)
    assert 100 * (result.logits.argmax(1) == result.labels).mean() == result.history.test_accuracy.iloc[-1]
    assert train(TINY, cifar, device="cpu").logits is None


def test_spoiled_checkpoint_is_set_aside_not_deleted(cifar, tmp_path, capsys):
    checkpoint = tmp_path / "state.pt"
    checkpoint.write_bytes(b"half a file")
    frame = history(dataclasses.replace(TINY, epochs=1), cifar, checkpoint=checkpoint)
    assert len(frame) == 1
    assert (tmp_path / "state.rejected").read_bytes() == b"half a file"
    assert "state.pt cannot be used" in capsys.readouterr().err


def test_checkpoint_that_holds_code_does_not_run_it(cifar, tmp_path, capsys):
    class Evil:
        def __reduce__(self):
            return (open, (str(tmp_path / "ran"), "w"))

    checkpoint = tmp_path / "state.pt"
    torch.save({"config": Evil()}, checkpoint)
    assert len(history(dataclasses.replace(TINY, epochs=1), cifar, checkpoint=checkpoint)) == 1
    assert not (tmp_path / "ran").exists()
    (told,) = [line for line in capsys.readouterr().err.splitlines() if "state.pt" in line]
    assert told.endswith(
        "state.pt cannot be used (it is no checkpoint); set aside as state.rejected, training from the start"
    )


def test_checkpoint_with_a_flipped_bit_never_changes_the_result(cifar, tmp_path, capsys):
    """Some bits of the file mean nothing; with any other the training is begun again."""
    checkpoint, config = tmp_path / "state.pt", dataclasses.replace(TINY, epochs=2, images=50)
    whole, random, refused = history(config, cifar), np.random.default_rng(0), 0

    def kill(epoch, row):
        raise Killed

    with pytest.raises(Killed):
        train(config, cifar, device="cpu", checkpoint=checkpoint, after_epoch=kill)
    kept = checkpoint.read_bytes()
    for position in random.integers(len(kept), size=15):
        content = bytearray(kept)
        content[position] ^= 1 << random.integers(8)
        checkpoint.write_bytes(content)
        assert history(config, cifar, checkpoint=checkpoint).equals(whole)
        refused += "set aside as state.rejected, training from the start" in capsys.readouterr().err
    assert refused > 10


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_optimizer_starts_at_the_rate_of_the_config(cifar, optimizer):
    """The original's schedules overwrote it: 0.0040 instead of 0.1 for every optimizer."""
    for schedule in ("constant", "cosine", "multi_step"):
        config = dataclasses.replace(
            TINY, epochs=1, images=50, optimizer=optimizer, schedule=schedule, learning_rate=0.0123
        )
        assert history(config, cifar).learning_rate.tolist() == [0.0123]


def test_history_keeps_the_rate_of_each_epoch(cifar):
    config = dataclasses.replace(TINY, schedule=lambda t: 1 - t, images=50)
    assert history(config, cifar).learning_rate.tolist() == pytest.approx([0.05, 0.05 * 2 / 3, 0.05 / 3])


def test_validation_run_never_reads_the_test_images(cifar):
    config = dataclasses.replace(TINY, evaluate="validation", test_images=None, epochs=1)
    spoiled = dataclasses.replace(cifar, test_images=cifar.test_images[:0], test_labels=cifar.test_labels[:0])
    frame = history(config, spoiled)
    assert "validation_accuracy" in frame and "test_accuracy" not in frame


def test_diverged_run_ends_and_says_so(cifar):
    result = train(dataclasses.replace(TINY, learning_rate=1e30, schedule="constant"), cifar, device="cpu")
    assert result.diverged and len(result.history) < 3


def test_loss_is_a_mean_over_images(cifar):
    """The original divided by the batch size twice; at the start ten classes cost about ln 10 = 2.3."""
    assert 1.5 < history(dataclasses.replace(TINY, epochs=1, learning_rate=1e-4), cifar).train_loss[0] < 4


@pytest.mark.parametrize(
    "wrong, message",
    [
        ({"model": "resnet"}, "unknown model 'resnet'; choose from densenet121"),
        ({"optimizer": "lbfgs"}, "unknown optimizer 'lbfgs'; choose from sgd, adam"),
        ({"loss": "hinge"}, "unknown loss"),
        ({"activation": "swish"}, "unknown activation"),
        ({"schedule": "cosin"}, "unknown schedule"),
        ({"epochs": 0}, r"epochs is a number in \[1, inf\), not 0"),
        ({"images": 3}, r"images is a number in \[10, inf\), not 3"),
    ],
)
def test_wrong_config_is_one_clear_error(wrong, message):
    with pytest.raises(ValueError, match=message):
        Config(**({"model": "resnet18"} | wrong))


def test_wrong_data_is_one_clear_error(cifar):
    with pytest.raises(ValueError, match="asks for cifar10 images; these are synthetic"):
        train(dataclasses.replace(TINY, data="cifar10"), cifar, device="cpu")
    with pytest.raises(ValueError, match="batch_size 500 is larger than the 200 training images"):
        train(dataclasses.replace(TINY, batch_size=500), cifar, device="cpu")
    with pytest.raises(ValueError, match="images=401 is more than the 400 images"):
        train(dataclasses.replace(TINY, images=401), cifar, device="cpu")
    with pytest.raises(ValueError, match="test_images=51 is more than the 40 images"):
        train(dataclasses.replace(TINY, test_images=51, evaluate="validation"), cifar, device="cpu")


@pytest.mark.parametrize("side", (0, 33, 64))
def test_images_are_only_scaled_down(side):
    with pytest.raises(ValueError, match=r"small_side is a number in \[1, 32\]"):
        dataclasses.replace(TINY, small_side=side)


@pytest.mark.parametrize(("model", "side"), [("vgg_a", 3), ("densenet121", 1), ("fast_cnn", 1)])
def test_images_that_a_network_cannot_take_are_one_sentence(cifar, model, side):
    config = dataclasses.replace(TINY, model=model, small_side=side, small_share=0.5)
    with pytest.raises(ValueError, match=f"^small_side={side} is too small for the network {model} .*size.*"):
        train(config, cifar, device="cpu")
