import dataclasses
import sys

import pytest

from cifar_helpers import cli, experiments, models, records, train
from cifar_helpers.core.profiles import PUBLISH
from cifar_helpers.experiments import registry
from cifar_helpers.train import Config, measurements

ABLATIONS = ("activations", "activations_others", "losses", "schedules", "components")


@pytest.mark.parametrize("name", ABLATIONS)
def test_every_option_of_an_ablation_has_the_same_seeds_and_the_baseline_is_among_them(name):
    configs = experiments.configs(name, "quick")
    seeds = {}
    for config in configs:
        seeds.setdefault(dataclasses.replace(config, seed=0), []).append(config.seed)
    assert set(map(tuple, seeds.values())) == {(0, 1, 2)}
    labels = [experiments.label(config, experiments.ablation("quick")) for config in configs]
    assert "baseline" in labels or name == "activations_others"


def test_one_record_of_the_baseline_serves_every_ablation():
    first = {name: {c.hash for c in experiments.configs(name, "full")} for name in ABLATIONS}
    del first["activations"], first["activations_others"]  # longer and shorter
    assert len(set.intersection(*first.values())) == 3


def test_the_rate_of_ten_epochs_is_the_one_that_its_sweep_found_best():
    best = experiments.best_rates(experiments.ten_epoch_rates("full"), "optimizer", "ten_epoch_rates", "full")
    assert experiments.ten_epochs("full").learning_rate == best["sgd"]
    assert experiments.ten_epochs("full").epochs == 10 and experiments.ten_epochs("full", 4).epochs == 4
    assert experiments.ten_epochs("quick") == experiments.ablation("quick")


def test_ablations_change_one_thing():
    base = experiments.ablation("quick")
    for config in experiments.activations("quick") + experiments.losses("quick") + experiments.schedules("quick"):
        assert experiments.label(config, base).count(",") == 0


def test_epochs_and_seeds_can_be_asked_for():
    configs = experiments.activations("full", names=["relu", "silu"], epochs=5, seeds=4)
    assert len(configs) == 8 and {c.epochs for c in configs} == {5} and {c.seed for c in configs} == {0, 1, 2, 3}


def test_label_says_what_differs():
    base = experiments.ablation("quick")
    for changes, text in (
        ({}, "baseline"),
        ({"hidden": (256, 128)}, "hidden 256, 128"),
        ({"seed": 5}, "baseline"),
        ({"width": base.width * 2}, "2 x filters"),
        ({"model": "plain18"}, models.TITLES["plain18"]),
        ({"batch_norm": False, "learning_rate": 0.003}, "no batch norm, rate 0.003"),
        ({"schedule": "linear"}, "linear"),
        ({"weight_decay": 0.0}, "no L2"),
        ({"weight_decay": 2e-3}, "L2 0.002"),
        ({"l1": 1e-5}, "l1 1e-05"),
        ({"label_smoothing": 0.1}, "label smoothing 0.1"),
    ):
        assert experiments.label(dataclasses.replace(base, **changes), base) == text


def test_tuned_experiments_take_the_rate_that_validates_best(results, monkeypatch):
    with pytest.raises(ValueError, match="train optimizer_rates --profile smoke"):
        experiments.optimizers("smoke")
    best = {"sgd": 0.03, "adam": 0.003, "rmsprop": 0.0001, "adadelta": 3.0}

    def find(config, profile, keep=()):
        accuracy = 50.0 + (config.learning_rate == best[config.optimizer])
        if config.seed == 1 and config.learning_rate == 0.01:  # one lucky run is not enough
            accuracy += 0.9
        return records.Run(None, {"validation_accuracy": accuracy}, None)

    monkeypatch.setattr(records, "find", find)
    chosen = experiments.optimizers("smoke", seeds=1)
    assert {c.optimizer: c.learning_rate for c in chosen} == best
    assert all(c.evaluate == "test" for c in chosen)
    assert all(c.evaluate == "validation" for c in experiments.optimizer_rates("full") + experiments.loss_rates("full"))


def test_sweeps_hold_the_rate_of_the_baseline():
    for profile in experiments.PROFILES:
        assert experiments.ablation(profile).learning_rate in experiments.RATES["sgd"]


def test_every_measurement_has_a_name():
    assert set(measurements.MEASUREMENTS) == {"dead_units", "landscape", "shift"}
    assert tuple(experiments.RATES) == train.OPTIMIZERS


def test_table_1_takes_the_recipe_that_validates_best_in_the_committed_records():
    tried = {config: records.find(config, "full") for config in experiments.table_1_recipe("full")}
    assert all(tried.values()) and all(config.evaluate == "validation" for config in tried)
    best = max(tried, key=lambda config: tried[config].record["validation_accuracy"])
    for config in experiments.table_1("full"):
        assert dataclasses.replace(best, model=config.model, width=1.0, evaluate="test") == config


def test_a_line_registers_an_experiment_and_train_without_names_takes_it(results, monkeypatch, capsys):
    monkeypatch.setattr(experiments, "EXPERIMENTS", {})
    monkeypatch.setattr(experiments.registry, "EXPERIMENTS", experiments.EXPERIMENTS)

    @experiments.experiment
    def mine(profile):
        return [Config("resnet18", width=0.125, data="synthetic", images=50, test_images=50, epochs=1, batch_size=50)]

    @experiments.experiment
    def fast_ablation(profile):
        raise AssertionError("of the full profile only")

    assert experiments.configs("mine", "smoke") == mine("smoke")
    assert cli.main(["train", "--profile", "smoke"]) == 0
    out = capsys.readouterr().out
    assert "smoke mine, run 1 of 1" in out and ": resnet18-seed0-" in out


def test_sweeps_come_before_what_reads_them():
    order = list(experiments.EXPERIMENTS)
    assert order.index("activation_rates") < order.index("activations_tuned")
    assert order.index("loss_rates") < order.index("losses_tuned")
    assert order.index("ten_epoch_loss_rates") < order.index("ten_epoch_losses")
    assert order.index("optimizer_rates") < order.index("optimizers")
    assert order.index("ten_epoch_optimizer_rates") < order.index("ten_epoch_optimizers")
    assert order.index("overfitting_strengths") < order.index("overfitting")
    assert order.index("without_batch_norm_rates") < order.index("shortcuts_and_batch_norm")


def test_only_the_full_profile_has_ten_epochs_unless_the_reader_gives_a_number(monkeypatch):
    for profile, epochs in (("smoke", 0), ("quick", 0), ("full", 2)):
        rates = experiments.ten_epoch_optimizer_rates(profile, ["adam"], epochs)
        assert rates == experiments.optimizer_rates(profile, ["adam"], epochs)
    module = sys.modules["cifar_helpers.experiments.optimizers"]  # its name is also that of a function
    monkeypatch.setattr(module, "best_rates", lambda *_: {"sgd": 0.3, "adam": 0.003})
    ten = experiments.ten_epoch_optimizers("full", ["sgd", "adam"], seeds=2)
    assert [(config.optimizer, config.seed) for config in ten] == [("sgd", 0), ("sgd", 1), ("adam", 0), ("adam", 1)]
    assert ten[0] == experiments.ten_epochs("full") and {config.epochs for config in ten} == {10}
    own = experiments.ten_epoch_optimizers("full", ["adam"], epochs=2, seeds=1)
    assert own == experiments.optimizers("full", ["adam"], epochs=2, seeds=1) and own[0].epochs == 2
    assert experiments.ten_epoch_schedules("smoke", seeds=1) == experiments.schedules("smoke", seeds=1)
    assert {config.learning_rate for config in experiments.ten_epoch_schedules("full")} == {0.3}


def test_each_network_without_batch_norm_has_the_rate_that_validates_best_on_average(monkeypatch):
    best = {"plain18": 0.1}  # with one seed, where its other rates have three: a sum would favour those

    def find(config, profile, keep=()):
        assert not config.batch_norm and config.evaluate == "validation"
        right = config.learning_rate == best.get(config.model, 0.01)
        return records.Run(None, {"validation_accuracy": 50.0 + right}, None)

    monkeypatch.setattr(records, "find", find)
    configs = experiments.shortcuts_and_batch_norm("full")
    assert len({config.hash for config in configs}) == len(configs) == 2 * 2 * 2 * experiments.SEEDS["full"]
    assert {config.learning_rate for config in configs if config.batch_norm} == {0.1}
    bare = {config.model: config.learning_rate for config in configs if not config.batch_norm}
    assert bare == dict.fromkeys(("resnet18", "resnet34", "plain34"), 0.01) | best


def test_each_regularisation_has_the_strength_that_validates_best(monkeypatch):
    tried = experiments.overfitting_strengths("full")
    assert tried[0] == dataclasses.replace(experiments.overfitted("full"), evaluate="validation")

    def find(config, profile, keep=()):
        assert config in tried
        best = (config.weight_decay, config.cutout, config.dropout) in ((2e-3, 0, 0), (0, 16, 0), (0, 0, 0.3))
        return records.Run(None, {"validation_accuracy": 50.0 + best}, None)

    monkeypatch.setattr(records, "find", find)
    best = experiments.best_strengths("full")
    assert best["L2"] == {"weight_decay": 2e-3} and best["Cutout"] == {"cutout": 16}
    assert best["dropout"] == {"hidden": (256,), "dropout": 0.3}
    configs = experiments.overfitting("full", seeds=1)
    assert configs[0] == experiments.overfitted("full") and len(configs) == 9
    assert configs[-1].weight_decay == 2e-3 and configs[-1].cutout == 16 and configs[-1].flip
    monkeypatch.setattr(records, "find", lambda *_: None)
    with pytest.raises(ValueError, match="train overfitting_strengths --profile full"):
        experiments.overfitting("full")
    assert experiments.best_strengths("smoke")["Cutout"] == {"cutout": 8}  # without records, the first


def test_a_strength_is_the_number_of_its_change():
    assert experiments.strength({}) == experiments.strength({"hidden": (256,)}) == ""
    assert experiments.strength({"hidden": (256,), "dropout": 0.5}) == "0.5"
    text = experiments.strengths_tried()
    assert "; dropout 0.3, 0.5; " in text and text.endswith("; crop and flip 4")


def test_the_committed_records_have_all_that_their_experiments_keep():
    """Else `train` would go on with trainings that are there; the record may lie under another experiment."""
    for name in experiments.EXPERIMENTS:
        recorded = [config for config in experiments.configs(name, "full") if records.find(config, "full")]
        assert experiments.missing(name, "full", recorded) == [], name


def test_a_record_without_what_is_asked_for_is_missing(results):
    first = experiments.losses("smoke")[:1]
    assert experiments.missing("losses", "smoke", first) == first
    experiments.get_all("losses", "smoke", configs=first)
    assert experiments.missing("losses", "smoke", first) == []
    assert experiments.missing("losses", "smoke", first, keep=("weights",)) == first


@pytest.mark.parametrize("profile", ("smoke", "quick"))
def test_no_training_is_begun_twice_for_what_another_experiment_keeps(profile):
    """Experiments in their order: whoever asks first asks for all, so that one training serves all."""
    asked = {}
    for name in experiments.EXPERIMENTS:
        if name in (
            "losses_tuned",
            "ten_epoch_losses",
            "activations_tuned",
            "optimizers",
            "ten_epoch_optimizers",
            "search_best",
        ):  # which need the records of a sweep
            continue
        for config in experiments.configs(name, profile):
            keep = set(registry.keep_of(experiments.KEEP[name], config))
            assert keep <= asked.setdefault(config, keep), (name, config)


def test_a_notebook_trains_on_full_only_what_its_reader_asked_for(results, monkeypatch, capsys):
    """An activation that was just added has no record: it is left out and named."""
    asked = []
    monkeypatch.setattr(registry, "get_all", lambda name, profile, configs: asked.append(configs) or [])
    monkeypatch.setattr(records, "find", lambda config, profile, keep=(): config.activation == "relu" or None)
    new = experiments.activations("full", ["relu", "silu"], seeds=1)
    experiments.recorded("activations", "full", new)
    assert [config.activation for config in asked.pop()] == ["relu"]
    told = "1 of 2 runs of activations not yet run (resnet18-silu): python -m cifar_helpers train"
    assert told in capsys.readouterr().out
    experiments.recorded("activations", "full", new, train=True)
    experiments.recorded("activations", "quick", new)
    assert asked == [new, new]


def test_a_notebook_that_writes_for_the_report_trains_nothing_on_full(results, monkeypatch):
    monkeypatch.setattr(records, "get_all", lambda wanted, *_: wanted)
    monkeypatch.setattr(records, "find", lambda config, profile, keep=(): config.activation == "relu" or None)
    new = experiments.activations("full", ["relu", "silu"], seeds=1)
    assert experiments.get_all("activations", "full", configs=new) == new
    monkeypatch.setenv(PUBLISH, "1")
    assert experiments.get_all("activations", "full", configs=new[:1]) == new[:1]
    assert experiments.get_all("activations", "quick", configs=new) == new
    with pytest.raises(FileNotFoundError, match="resnet18-silu of activations has no record.*train activations --pro"):
        experiments.get_all("activations", "full", configs=new)
