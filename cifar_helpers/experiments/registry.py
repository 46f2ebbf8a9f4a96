"""The experiments by their names: what each trains, what it keeps, and the records of it."""

import functools
import os
from collections.abc import Callable, Sequence
from concurrent.futures import Executor

from cifar_helpers import records
from cifar_helpers.core.profiles import PUBLISH
from cifar_helpers.core.profiles import profile as profile_of
from cifar_helpers.core.registry import register
from cifar_helpers.records import Run
from cifar_helpers.records.training import Keep, keep_of
from cifar_helpers.train import Config

EXPERIMENTS: dict[str, Callable[..., list[Config]]] = {}  # in the order of the files: sweeps before what reads them
KEEP: dict[str, Keep] = {}
# other folders of runs/
RESERVED = {"search": "the folder of the search's runs", "single": "the folder of runs that belong to no experiment"}
# of the full profile only: smaller ones show or train what their notebooks need, or nothing of the kind
FULL_ONLY = (
    "fast_ablation",
    "overfitting_strengths",
    "search_best",
    "table_1_head_rate",
    "without_batch_norm_rates",
)


def experiment(configs: Callable[..., list[Config]] | None = None, *, keep: Keep = ()):
    """Register a function of the profile as an experiment, under its name.

    `keep` names the outputs to store of each run (train/outputs.py); it may be a function of the config.
    """
    if configs is None:
        return functools.partial(experiment, keep=keep)
    register(EXPERIMENTS, configs, "experiment", RESERVED)
    KEEP[configs.__name__] = keep
    return configs


def get_experiment(name: str) -> Callable[..., list[Config]]:
    """The function of an experiment's name; ValueError lists the names."""
    if name not in EXPERIMENTS:
        raise ValueError(f"unknown experiment {name!r}; choose from {', '.join(EXPERIMENTS)}")
    return EXPERIMENTS[name]


def configs(name: str, profile: str) -> list[Config]:
    """The configs of an experiment in a profile."""
    return get_experiment(name)(profile)


def get_all(
    name: str,
    profile: str | None = None,
    device: str | None = None,
    executor: Executor | None = None,
    configs: Sequence[Config] | None = None,
    keep: Keep = (),
) -> list[Run]:
    """The records of an experiment in its order, trained where they or outputs are missing, see `records.get_all`.

    `configs` stand in for the experiment's own: `experiments.activations(profile, names=["relu", "silu"])`; `keep` is
    wanted beside what the experiment keeps.

    Raises:
        FileNotFoundError: a notebook that writes for the report asks for a run of `full` that has no record.
    """
    profile = profile_of(profile)
    wanted = _configs(name, profile, configs)
    if profile == "full" and os.environ.get(PUBLISH) and (lacking := missing(name, profile, wanted, keep)):
        raise FileNotFoundError(  # `make report` promises to train nothing: that would be hours, without progress
            f"{_names(lacking)} of {name} has no record, and the report's notebooks train nothing at full size: "
            f"python -m cifar_helpers train {name} --profile full"
        )
    return records.get_all(wanted, name, profile, device, executor, functools.partial(_kept, name, keep))


def recorded(
    name: str, profile: str | None = None, configs: Sequence[Config] | None = None, train: bool = False
) -> list[Run]:
    """The runs that a notebook shows, in the experiment's order.

    Of `full` only those that have a record, since training the others takes hours: a line names them and the command.
    Of the other profiles, or with `train` (the reader asked for these runs), all of them, trained where they are
    missing.
    """
    profile = profile_of(profile)
    if profile != "full" or train:
        return get_all(name, profile, configs=configs)
    wanted = _configs(name, profile, configs)
    lacking = missing(name, profile, wanted)
    if lacking:
        print(
            f"{len(lacking)} of {len(wanted)} runs of {name} not yet run ({_names(lacking)}): "
            f"python -m cifar_helpers train {name} --profile {profile}"
        )
    return get_all(name, profile, configs=[config for config in wanted if config not in lacking])


def missing(
    name: str, profile: str | None = None, configs: Sequence[Config] | None = None, keep: Keep = ()
) -> list[Config]:
    """The configs of an experiment that have no record with all that the experiment keeps, and `keep`."""
    profile = profile_of(profile)
    wanted = _configs(name, profile, configs)
    return [config for config in wanted if records.find(config, profile, _kept(name, keep, config)) is None]


def _kept(name: str, keep: Keep, config: Config) -> tuple[str, ...]:
    return (*keep_of(KEEP.get(name, ()), config), *keep_of(keep, config))


def _names(wanted: Sequence[Config]) -> str:
    return ", ".join(dict.fromkeys(config.name.partition("-seed")[0] for config in wanted))


def _configs(name: str, profile: str, given: Sequence[Config] | None) -> Sequence[Config]:
    return configs(name, profile) if given is None else given
