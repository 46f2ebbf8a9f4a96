"""A search over what the ablations left open, with Optuna: within a budget, stopped and continued, by several workers.

The study is a text file beside the records, runs/search/study-PROFILE.log, which several processes may write. Trials
that were trained to the end have records; pruned ones live in the study only.

A trial belongs to the process that holds its file lock, which goes when the process does, however it ends. Whoever asks
for the next trial fails those whose process is gone and queues their settings again: they do not count, and start from
the beginning. (Optuna's own heartbeats need a database.) The seed of a trial is the number of trials before it that
count, so one worker draws the same trials whether it was interrupted or not; with several, what is drawn depends on
which trials have ended by then, and two searches differ.
"""

import json
import math
from dataclasses import replace
from pathlib import Path

import optuna
import pandas as pd
from filelock import FileLock, Timeout
from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.storages.journal import JournalFileBackend, JournalFileOpenLock
from optuna.trial import TrialState

from cifar_helpers import data, records, train
from cifar_helpers.core import files, paths
from cifar_helpers.core.profiles import profile as profile_of
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


def settings(parameters: dict) -> dict:
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

    Any number of processes may do so at once; each returns the study when all trials that are left are another's.
    """
    if trials < 0:
        raise ValueError(f"a search takes one trial or more, not {trials}")
    device = train.resolve_device(device)
    base, cifar = replace(ablation(profile), evaluate="validation"), data.dataset(profile)
    study, startup = _create(profile, base), BUDGET[profile] // 4
    # Median: half of the trials, where they are below the others. Not in the first half of a run, in which a schedule
    # that warms up or stays high looks worse than it ends.
    study.pruner = optuna.pruners.MedianPruner(startup, n_warmup_steps=math.ceil(base.epochs / 2))
    while owned := _next(study, profile, trials or BUDGET[profile], startup):
        trial, lock = owned
        with lock:
            config = replace(base, **settings(trial.params))
            try:
                value, state = _accuracy(trial, config, cifar, profile, device), None
            except optuna.TrialPruned:
                value, state = None, TrialState.PRUNED
            done = study.tell(trial, value, state)
        told = ", ".join(f"{name} {value}" for name, value in settings(trial.params).items())
        ended = "pruned" if state else "ended"
        print(
            f"{profile} search, trial {done.number}: {done.value:.2f} % of held-out images, {ended} after epoch "
            f"{len(done.intermediate_values)}, {done.user_attrs['seconds']:.0f} s: {told}",
            flush=True,
        )
    return study


def study(profile: str | None = None) -> optuna.Study:
    """The study on disk, finished or not; FileNotFoundError names the command where there is none."""
    profile = profile_of(profile)
    if not _file(profile).exists():
        raise FileNotFoundError(
            f"there is no search in {_file(profile).parent} yet: python -m cifar_helpers search --profile {profile}"
        )
    return optuna.load_study(study_name="search", storage=_storage(profile))


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
            **settings(trial.params),
            "seconds": trial.user_attrs["seconds"],
        }
        for trial in study.get_trials(states=(TrialState.COMPLETE, TrialState.PRUNED))
    ]
    return pd.DataFrame(rows, columns=["number", "state", "validation accuracy", "epochs", *SPACE, "seconds"])


def importance(study: optuna.Study) -> pd.Series:
    """Each parameter's share, 0 to 1, in what sets the best quarter of the trials apart from all, the highest first.

    Of the trials that were trained to the end, by PED-ANOVA (Watanabe et al. 2023, arXiv 2304.10255). Empty where
    they have fewer than FEWEST different accuracies: then nothing can be said.
    """
    accuracies = {trial.value for trial in study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,))}
    if len(accuracies) < FEWEST:
        return pd.Series(dtype=float, name="importance")
    evaluator = optuna.importance.PedAnovaImportanceEvaluator(target_quantile=0.25)
    return pd.Series(optuna.importance.get_param_importances(study, evaluator=evaluator), name="importance")


def best(study: optuna.Study, base: Config) -> Config:
    """`base` with the settings of the trial that did best on held-out images, to be evaluated on the test set."""
    if not study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,)):
        raise ValueError("no trial of the search was trained to the end yet: give the command search again")
    return replace(base, **settings(study.best_params), evaluate="test")


def _file(profile: str) -> Path:
    return paths.runs(profile) / "search" / f"study-{profile}.log"  # published ones lie beside those of full


def _sums(profile: str) -> Path:
    """Holds the study's checksum while nobody adds to it: written when no trial is under way, gone when one begins."""
    return _file(profile).with_suffix(".log.sha256")


def _storage(profile: str) -> optuna.storages.JournalStorage:
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    file, sums = str(_file(profile)), _sums(profile)
    told = sums.read_text(errors="replace").strip() if sums.exists() and _file(profile).exists() else ""
    if told and told != files.checksum(_file(profile)) and sums.exists():  # else a trial has begun just now
        raise ValueError(
            f"{file} is damaged (its checksum is not the one in {sums.name}): restore it (git restore, where it is "
            "committed), or move both away to begin anew"
        )
    try:
        return optuna.storages.JournalStorage(JournalFileBackend(file, JournalFileOpenLock(file)))
    except json.JSONDecodeError as error:  # a full disk cut a line off
        raise ValueError(f"{file} holds a line that is no JSON: take it out ({error})") from error


def _lock(profile: str, name: str) -> FileLock:
    return FileLock(files.folder(paths.CHECKPOINTS) / f"{profile}-{name}.lock")


def _create(profile: str, base: Config) -> optuna.Study:
    """The study, made with the baseline as its first trial where there is none."""
    files.folder(_file(profile).parent)
    with _lock(profile, "search"):
        storage = _storage(profile)
        _sums(profile).unlink(missing_ok=True)  # Optuna adds a line for each process
        study = optuna.create_study(storage=storage, study_name="search", direction="maximize", load_if_exists=True)
        if not study.get_trials(deepcopy=False):
            study.set_user_attr("base", base.hash)
            study.enqueue_trial(baseline(base))
    if study.user_attrs["base"] != base.hash:
        raise ValueError(
            f"{_file(profile)} was begun from another baseline than today's, experiments.ablation: move "
            "it away to begin anew"
        )
    return study


def _next(study: optuna.Study, profile: str, budget: int, startup: int) -> tuple[optuna.Trial, FileLock] | None:
    """A trial with the lock that makes it this process's own; None where the budget is used up."""
    with _lock(profile, "search"):
        for dead in study.get_trials(states=(TrialState.RUNNING,)):
            try:
                with _lock(profile, f"search-{dead.number}").acquire(timeout=0):
                    study.tell(dead.number, state=TrialState.FAIL)
                    study.enqueue_trial(dead.system_attrs.get("fixed_params", {}) | dead.params)
            except Timeout:
                pass  # another process is training it
        counted = len(study.get_trials(deepcopy=False, states=COUNTED))
        if counted >= budget:
            if not study.get_trials(deepcopy=False, states=(TrialState.RUNNING,)):
                _sums(profile).write_text(files.checksum(_file(profile)) + "\n", newline="\n")
            return None
        _sums(profile).unlink(missing_ok=True)
        study.sampler = optuna.samplers.TPESampler(seed=counted, n_startup_trials=startup)
        trial = study.ask(SPACE)
        lock = _lock(profile, f"search-{trial.number}")
        lock.acquire()
        return trial, lock


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

    with _lock(profile, f"{config.name}-{config.hash}"):  # the lock of records.get: an ablation may train it just now
        found = records.find(config, profile)
        if found is None:
            result = train.train(config, cifar, device=device, after_epoch=report_or_prune)
            return records.write(config, result, "search", profile, device).record["validation_accuracy"]
    for row in found.history.to_dict("records"):
        report(int(row["epoch"]), row)
    return found.record["validation_accuracy"]
