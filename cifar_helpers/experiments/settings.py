"""What was trained, in one line: what all runs of an experiment have in common, and what sets them apart."""

import dataclasses
from collections.abc import Iterable, Sequence

from cifar_helpers import models
from cifar_helpers.core.text import markdown
from cifar_helpers.models.activations import MAKERS
from cifar_helpers.records import Run
from cifar_helpers.train import Config
from cifar_helpers.train.schedules import label as schedule_label

USUAL = Config("resnet18")  # a field that all runs have at its default is not worth a word
EVALUATED = {"test": "the test", "validation": "validation"}
WORDS = {  # of fields that are named where they differ from the default
    "activation": "{}",
    "hidden": "hidden layers of {}",
    "dropout": "dropout {:g}",
    "loss": "{} loss",
    "label_smoothing": "label smoothing {:g}",
    "head_rate": "rate of the last layer {:g}",
    "bias_rate": "rate of batch norm {:g}",
    "weight_decay": "weight decay {:g}",
    "l1": "L1 penalty {:g}",
    "warmup": "warm-up over {:.0%} of the steps",
    "cutout": "Cutout of {} pixels",
    "crop": "random crops of {} pixels",
    "small_share": "smaller images in the first {:.0%} of the epochs",
}


def settings(runs: Iterable[Run | Config]) -> str:
    """Network, width, images, epochs, batch, optimizer, rate, seeds, and what the runs differ in: one line of Markdown.

    Raises:
        ValueError: there are no runs.
    """
    configs = [run if isinstance(run, Config) else run.config for run in runs]
    if not configs:
        raise ValueError("there are no runs to describe")
    of = {
        field.name: list(dict.fromkeys(getattr(c, field.name) for c in configs)) for field in dataclasses.fields(Config)
    }
    parts = [
        f"{_network(of)}, trained on {_images(of)} for {_several(of['epochs'], 'epoch')} in batches of "
        f"{_listed(of['batch_size'])}",
        _optimizer(of),
        *(words.format(_text(of[name][0])) for name, words in WORDS.items() if _worth_saying(of, name)),
        _several(of["seed"], "seed", count=True),
        f"evaluated on {' or '.join(EVALUATED[each] for each in of['evaluate'])} images",
    ]
    differ = [name.replace("_", " ") for name, values in of.items() if len(values) > 1 and name != "seed"]
    return "; ".join(parts) + (f". The runs differ in: {', '.join(differ)}." if differ else ".")


def scale(runs: Iterable[Run | Config]) -> str:
    """Epochs and seeds of some runs, for a row of a table: "10 epochs, 3 seeds"."""
    configs = [run if isinstance(run, Config) else run.config for run in runs]
    epochs, seeds = (list(dict.fromkeys(getattr(c, name) for c in configs)) for name in ("epochs", "seed"))
    return f"{_several(epochs, 'epoch')}, {_several(seeds, 'seed', count=True)}"


def _network(of: dict[str, list]) -> str:
    names = [models.TITLES[name] for name in of["model"]]
    whose = "its" if len(names) == 1 else "their"
    filters = "" if of["width"] == [1.0] else f" with {_listed(of['width'])} times {whose} filters"
    norm = " without batch norm" if of["batch_norm"] == [False] else ""
    return (names[0] if len(names) == 1 else f"{len(names)} networks") + filters + norm


def _images(of: dict[str, list]) -> str:
    kind = "synthetic" if of["data"] == ["synthetic"] else "training"
    if of["images"] != [None]:
        return f"{_listed(of['images'])} {kind} images"
    return (
        f"the {kind} images without those for validation" if of["evaluate"] == ["validation"] else f"all {kind} images"
    )


def _optimizer(of: dict[str, list]) -> str:
    names = of["optimizer"]
    momentum = (
        f" with momentum {of['momentum'][0]:g}" if names in (["sgd"], ["muon"]) and len(of["momentum"]) == 1 else ""
    )
    rate = "rate" if len(of["learning_rate"]) == 1 else "rates"
    titles = {"sgd": "SGD", "adam": "Adam", "rmsprop": "RMSprop", "adadelta": "Adadelta", "muon": "Muon"}
    schedules = ", ".join(markdown(schedule_label(each).replace("_", "-")) for each in of["schedule"])
    named = ", ".join(titles[name] for name in names)
    return f"{named}{momentum}, {rate} {_listed(sorted(of['learning_rate']))}, {schedules} schedule"


def _worth_saying(of: dict[str, list], name: str) -> bool:
    return len(of[name]) == 1 and of[name][0] != getattr(USUAL, name)


def _several(values: Sequence, what: str, count: bool = False) -> str:
    """`3 epochs`, `1 or 3 epochs`; with `count`, how many values there are: `3 seeds`."""
    number = len(values) if count else max(values)
    return (f"{number}" if count else _listed(values)) + f" {what}{'s' * (number != 1)}"


def _listed(values: Sequence) -> str:
    """A few values by themselves, many by their range."""
    texts = ["all" if value is None else f"{value:,}" if isinstance(value, int) else f"{value:g}" for value in values]
    if len(texts) > 4:
        return f"{texts[0]} to {texts[-1]}"
    return texts[0] if len(texts) == 1 else f"{', '.join(texts[:-1])} or {texts[-1]}"


def _text(value) -> object:
    """A field's value as its words need it: an activation by torch's name, hidden layers with commas."""
    if maker := MAKERS.get(value):
        return getattr(maker, "func", maker).__name__
    return ", ".join(map(str, value)) if isinstance(value, tuple) else value
