"""Notebook 06: a search with Optuna over what the ablations left open. Several workers share its budget of trials.

The study is an SQLite database beside the records, runs/search/study-PROFILE.db, which several processes of one machine
may write. Trials that were trained to the end have records; pruned ones live in the study only.

A process that trains a trial writes a heartbeat into the study every few seconds. A trial without one for GRACE seconds
lost its process: it fails, does not count, and its settings are tried again from the beginning. The seed of a trial is
the number of trials before it that count, so one worker draws the same trials whether it was interrupted or not; with
several, what is drawn depends on which trials have ended by then, and two searches differ.
"""

import contextlib
import math
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import optuna
import pandas as pd
from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.exceptions import OptunaError, UpdateFinishedTrialError
from optuna.trial import TrialState

from cifar_helpers import data, records, train
from cifar_helpers.core import files, paths, progress
from cifar_helpers.core.profiles import profile as profile_of
from cifar_helpers.experiments import study_file
from cifar_helpers.experiments.baseline import RATES, ablation
from cifar_helpers.train import Config

BUDGET = {"smoke": 4, "quick": 12, "full": 40}  # trials, the baseline and the pruned ones among them
SPACE = {  # fields of Config
    "optimizer": CategoricalDistribution(train.OPTIMIZERS),
    # the place in the optimizer's own range, RATES: 0 its lowest rate, 1 its highest, on a log scale. So
    # the parameter means the same to all of them, and what one teaches about high rates helps the others.
    "learning_rate": FloatDistribution(0, 1),
    "schedule": CategoricalDistribution(("constant", "cosine", "multi_step", "one_cycle")),  # of the committed study
    "activation": CategoricalDistribution(("relu", "leaky_relu", "elu", "selu", "gelu")),
    "cutout": IntDistribution(0, 16, step=8),
    "crop": IntDistribution(0, 4, step=2),
    "label_smoothing": FloatDistribution(0, 0.2, step=0.05),
    "weight_decay": FloatDistribution(1e-5, 1e-2, log=True),
}
COUNTED = (TrialState.COMPLETE, TrialState.PRUNED, TrialState.RUNNING)
FEWEST = 4  # finished trials from which the importance is computed: the best quarter of them is one


def config_fields(parameters: dict) -> dict:
    """A trial's parameters as fields of Config, rounded to two digits so that a reader can repeat them."""
    low, *_, high = RATES[parameters["optimizer"]]
    fields = parameters | {"learning_rate": low * (high / low) ** parameters["learning_rate"]}
    return {name: float(f"{value:.2g}") if isinstance(value, float) else value for name, value in fields.items()}


def baseline(base: Config) -> dict:
    """The parameters whose settings are those of `base`."""
    low, *_, high = RATES[base.optimizer]
    place = math.log(base.learning_rate / low) / math.log(high / low)
    return {name: getattr(base, name) for name in SPACE} | {"learning_rate": place}


def run(profile: str, trials: int = 0, device: str | None = None) -> optuna.Study:
    """Train until the study holds so many trials, 0 for the profile's budget; a line is printed for each.

    Any number of processes may do so at once; each returns the study when no trial is missing and none is under way.
    """
    device = train.resolve_device(device)
    begin(profile, trials)
    return work(profile, trials, device)


def begin(profile: str, trials: int = 0) -> None:
    """Make the study where there is none; wait until it is known which trials under way have a living process."""
    if trials < 0:
        raise ValueError(f"a search takes one trial or more, not {trials}")
    file, base = path_of(profile), _base(profile)
    files.folder(file.parent)
    with _lock(profile, "search"):
        if not file.exists():
            study_file.create(file, {"base": _shared(base)}, baseline(base))
    study = study_file.load(file, write=True)
    if study.user_attrs.get("base") != _shared(base):
        raise ValueError(
            f"{file} was begun from another baseline than today's, experiments.ablation: move it away to begin anew"
        )
    seconds = study_file.GRACE + study_file.HEARTBEAT
    end, text = time.monotonic() + seconds, f"{profile} search: up to {seconds} s until it is known which trials go on"
    with study_file.explained(file):
        while _under_way(study, profile) and time.monotonic() < end:
            print(text, end="\n" * bool(text), flush=True)
            text = ""
            time.sleep(1)


def work(profile: str, trials: int, device: str) -> optuna.Study:
    """What each process does of a search that has begun."""
    study, base, cifar = study_file.load(path_of(profile), write=True), _base(profile), data.dataset(profile)
    # Median: half of the trials, where they are below the others. Not in the first half of a run, in which a schedule
    # that warms up or stays high looks worse than it ends.
    study.pruner = optuna.pruners.MedianPruner(BUDGET[profile] // 4, n_warmup_steps=math.ceil(base.epochs / 2))
    with study_file.explained(path_of(profile)):
        while True:
            trial, others = _next(study, profile, trials or BUDGET[profile])
            if trial:
                config = replace(base, **config_fields(trial.params))
                title = f"{profile} search, trial {trial.number}: "
                progress.titled(title, _train, study, trial, config, cifar, profile, device)
            elif others:
                time.sleep(1)  # should its process die, the trial is this one's
            else:
                return study


def study(profile: str | None = None) -> optuna.Study:
    """The study on disk, finished or not, to be read; FileNotFoundError names the command where there is none."""
    profile = profile_of(profile)
    if not path_of(profile).exists():
        raise FileNotFoundError(
            f"there is no search in {path_of(profile).parent} yet: python -m cifar_helpers search --profile {profile}"
        )
    return study_file.load(path_of(profile))


def table(study: optuna.Study) -> pd.DataFrame:
    """A row per trial that was trained to the end or pruned, in their order; killed and unfinished ones are left out.

    number, state (COMPLETE or PRUNED), validation accuracy (percent, of the last epoch that was trained), epochs, the
    fields of SPACE as the config has them, seconds of training.
    """
    rows = [
        {
            "number": trial.number,
            "state": trial.state.name,
            "validation accuracy": trial.value,
            "epochs": len(trial.intermediate_values),
            **config_fields(trial.params),
            "seconds": trial.user_attrs["seconds"],
        }
        for trial in study.get_trials(states=(TrialState.COMPLETE, TrialState.PRUNED))
    ]
    return pd.DataFrame(rows, columns=["number", "state", "validation accuracy", "epochs", *SPACE, "seconds"])


def importance(study: optuna.Study) -> pd.Series:
    """Each parameter's share, 0 to 1, in what sets the best quarter of the trials apart, the highest first.

    By PED-ANOVA (Watanabe et al. 2023, arXiv 2304.10255), from the trials that were trained to the end. The best
    quarter is compared with the whole range of SPACE, in which each value counts alike, and not with the trials that
    the search drew ("during optimization" in Optuna's words), which cluster where it expected good ones. So a
    parameter on which the search settled for no good reason counts, too. Parameters with the same share are in
    alphabetical order. Empty with fewer than FEWEST different accuracies.
    """
    accuracies = {trial.value for trial in study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,))}
    if len(accuracies) < FEWEST:
        return pd.Series(dtype=float, name="importance")
    evaluator = optuna.importance.PedAnovaImportanceEvaluator(target_quantile=0.25, evaluate_on_local=False)
    shares = pd.Series(optuna.importance.get_param_importances(study, evaluator=evaluator), name="importance")
    # Optuna gives equal shares in the order of a set, which changes from process to process
    return shares.sort_index().sort_values(ascending=False, kind="stable")


def importance_by_chance(study: optuna.Study, shuffles: int) -> pd.DataFrame:
    """`importance` where settings and accuracies have nothing to do with each other: a row per shuffle of accuracies.

    NaN for a parameter that a shuffle gives no share.
    """
    ended = study.get_trials(states=(TrialState.COMPLETE,))
    accuracies = np.array([trial.value for trial in ended], dtype=float)
    rows = []
    for seed in range(shuffles):
        for trial, accuracy in zip(ended, np.random.default_rng(seed).permutation(accuracies)):
            trial.value = float(accuracy)
        by_chance = optuna.create_study(direction="maximize")
        by_chance.add_trials(ended)
        rows.append(importance(by_chance))
    return pd.DataFrame(rows).reset_index(drop=True)


def best(study: optuna.Study, base: Config) -> Config:
    """`base` with the settings of the trial that did best on validation images, to be evaluated on the test set."""
    if not study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,)):
        raise ValueError("no trial of the search was trained to the end yet: give the command search again")
    return replace(base, **config_fields(study.best_params), evaluate="test")


def path_of(profile: str) -> Path:
    """The study's file."""
    return paths.runs(profile) / "search" / f"study-{profile}.db"  # published ones lie beside those of full


def _lock(profile: str, name: str) -> contextlib.AbstractContextManager:
    return files.lock(paths.CHECKPOINTS / f"{profile}-{name}.lock")


def _base(profile: str) -> Config:
    return replace(ablation(profile), evaluate="validation")


def _shared(base: Config) -> dict:
    """What all trials of a study have in common: fields that it does not vary, where they are not at their default."""
    return {name: value for name, value in base.changes().items() if name not in SPACE}


def _under_way(study: optuna.Study, profile: str) -> bool:
    """Whether a living process trains a trial. Those of dead ones fail, and wait to be tried again."""
    with _lock(profile, "search"):
        optuna.storages.fail_stale_trials(study)
        return bool(study.get_trials(deepcopy=False, states=(TrialState.RUNNING,)))


def _next(study: optuna.Study, profile: str, budget: int) -> tuple[optuna.Trial | None, bool]:
    """A trial of this process's own, None where the budget is used up; and whether other processes train trials.

    Both under one lock: a trial that is found dead in between would be counted as neither.
    """
    with _lock(profile, "search"):
        optuna.storages.fail_stale_trials(study)
        counted = len(study.get_trials(deepcopy=False, states=COUNTED))
        if counted >= budget:
            return None, bool(study.get_trials(deepcopy=False, states=(TrialState.RUNNING,)))
        if not study.get_trials(deepcopy=False, states=(TrialState.WAITING,)):
            study.enqueue_trial({})  # parameters are drawn when it is asked for
        study.sampler = optuna.samplers.TPESampler(seed=counted, n_startup_trials=BUDGET[profile] // 4)
        return study.ask(SPACE), True


def _train(
    study: optuna.Study, trial: optuna.Trial, config: Config, cifar: data.Cifar10, profile: str, device: str
) -> None:
    """Train a trial until it ends or is pruned, and print what came out."""
    try:
        with study_file.heartbeat(study, trial):
            try:
                value = _accuracy(trial, config, cifar, profile, device)
            except optuna.TrialPruned:
                value = None
            now = study.trials[trial.number]
            last = value if value is not None else list(now.intermediate_values.values())[-1]
            trial.set_user_attr("checksum", study_file.checksum(now, last))
            done = study.tell(trial, value, TrialState.PRUNED if value is None else None)
    except UpdateFinishedTrialError:
        print(f"{profile} search, trial {trial.number}: it stood still, and another process tries it again", flush=True)
        return
    except BaseException:
        with contextlib.suppress(OptunaError, ValueError):  # the disk is full: missing heartbeats tell; or it has ended
            study.tell(trial, state=TrialState.FAIL)
            optuna.storages.RetryHeartbeatStaleTrialCallback()(study, study.trials[trial.number])
        raise
    chosen = ", ".join(f"{name} {value}" for name, value in config_fields(trial.params).items())
    ended = "pruned" if value is None else "ended"
    print(
        f"{profile} search, trial {done.number}: {done.value:.2f} % of the validation images, {ended} after epoch "
        f"{len(done.intermediate_values)}, {done.user_attrs['seconds']:.0f} s: {chosen}",
        flush=True,
    )


def _accuracy(trial: optuna.Trial, config: Config, cifar: data.Cifar10, profile: str, device: str) -> float:
    """Validation accuracy (percent) after the last epoch, from the config's record where there is one."""
    seconds = 0.0

    def report(epoch: int, row: dict) -> None:
        nonlocal seconds
        seconds += row["seconds"]
        trial.set_user_attr("seconds", seconds)
        trial.report(row["validation_accuracy"], epoch)

    def report_or_prune(epoch: int, row: dict) -> None:
        report(epoch, row)
        if epoch < config.epochs and trial.should_prune():
            raise optuna.TrialPruned

    with _lock(profile, config.key):  # the lock of records.get: an ablation may train it just now
        found = records.find(config, profile)
        if found is None:
            result = train.train(config, cifar, device=device, after_epoch=report_or_prune)
            return records.write(config, result, "search", profile, device).record["validation_accuracy"]
    for row in found.history.to_dict("records"):
        report(int(row["epoch"]), row)
    return found.record["validation_accuracy"]
