"""The file of a search: an Optuna study in SQLite, which writes whole transactions or nothing.

So a kill or a full disk leaves a study that goes on. Other damage is noticed when the file is loaded.
"""

import contextlib
import json
import sqlite3
import warnings
from collections.abc import Iterator
from pathlib import Path

import optuna
import sqlalchemy
from optuna.exceptions import StorageInternalError
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial, TrialState

from cifar_helpers.core.text import short_hash

HEARTBEAT = 5  # seconds from one sign of life of a trial's process to the next
GRACE = 30  # seconds without one after which the process counts as dead
WAIT = 60  # seconds for another process to let go of the file

warnings.filterwarnings("ignore", category=optuna.exceptions.ExperimentalWarning)  # heartbeats are
warnings.filterwarnings("ignore", "Heartbeat of storage is supposed to be used with Study.optimize")
optuna.logging.set_verbosity(optuna.logging.ERROR)  # what stops a search is said in an exception


class _Storage(optuna.storages.RDBStorage):
    def set_trial_state_values(self, trial_id, state, values=None) -> bool:
        if state == TrialState.RUNNING:
            self.record_heartbeat(trial_id)  # before it runs: Optuna never fails a trial that has had no heartbeat
        return super().set_trial_state_values(trial_id, state, values)

    def record_heartbeat(self, trial_id) -> None:
        with contextlib.suppress(StorageInternalError):  # of a full disk, what the trial writes next will tell
            super().record_heartbeat(trial_id)


def create(file: Path, attributes: dict, first: dict) -> None:
    """A study with these attributes whose first trial has these parameters; the file is there whole or not at all."""
    temporary = file.with_name(f".{file.name}")
    with explained(file):
        for left in (temporary, _journal(temporary)):  # by a process that was killed
            left.unlink(missing_ok=True)
        study = optuna.create_study(storage=_storage(temporary, "rwc"), study_name="search", direction="maximize")
        for name, value in attributes.items():
            study.set_user_attr(name, value)
        study.enqueue_trial(first)
        temporary.replace(file)


def load(file: Path, write: bool = False) -> optuna.Study:
    """The study; without `write` no byte of the file is changed. ValueError where it is damaged, else OSError."""
    with explained(file, Exception):  # there is no saying what Optuna makes of a damaged file
        # a journal is of a process that writes just now, or that was killed while it did: SQLite takes that back
        storage = _storage(file, "rw" if write or _journal(file).exists() else "ro")
        with storage.engine.connect() as connection:
            found = connection.exec_driver_sql("PRAGMA integrity_check").scalar()
        study = optuna.load_study(study_name="search", storage=storage)
        ended = study.get_trials(deepcopy=False, states=(TrialState.COMPLETE, TrialState.PRUNED))
        changed = [trial.number for trial in ended if trial.user_attrs["checksum"] != checksum(trial, trial.value)]
        numbers = [trial.number for trial in study.get_trials(deepcopy=False)]
        if numbers != list(range(len(numbers))) or study.direction != StudyDirection.MAXIMIZE:
            raise ValueError(f"trials {numbers}, {study.direction.name} are not those of a search")
        if found != "ok" or changed:
            raise ValueError(f"trials {changed} are not what was written" if changed else found)
    return study


def heartbeat(study: optuna.Study, trial: optuna.Trial) -> contextlib.AbstractContextManager:
    """Signs of life while a trial is trained, which Optuna gives in its own loop only."""
    return optuna.storages._heartbeat.get_heartbeat_thread(trial._trial_id, study._storage)  # type: ignore[return-value]


def checksum(trial: FrozenTrial, value: float | None) -> str:
    """Of what a trial tried and measured: SQLite itself notices no changed number."""
    steps = sorted(trial.intermediate_values.items())
    text = json.dumps([trial.number, trial.params, steps, trial.user_attrs["seconds"], value], sort_keys=True)
    return short_hash(text)


@contextlib.contextmanager
def explained(file: Path, errors=(sqlalchemy.exc.SQLAlchemyError, StorageInternalError)) -> Iterator[None]:
    """Errors of the database as one sentence with the file and what to do."""
    try:
        yield
    except errors as error:
        cause: BaseException | None = error
        while cause is not None and not isinstance(cause, sqlite3.Error):
            cause = cause.__cause__
        text = " ".join(str(cause or error).split())  # one line
        code = getattr(cause, "sqlite_errorname", "")
        if any(name in code for name in ("BUSY", "LOCK", "FULL", "IOERR", "READONLY", "CANTOPEN", "PERM")):
            raise OSError(
                f"{file} could not be read or written ({text}): free some disk space, allow writing there, or wait "
                "for the process that holds it, and give the same command again; what ended is kept"
            ) from error
        raise ValueError(
            f"{file} is damaged ({text}): restore it (git restore, where it is committed), or move it away "
            "to begin anew; what has a record is not trained again"
        ) from error


def _journal(file: Path) -> Path:
    return file.with_name(f"{file.name}-journal")


def _storage(file: Path, mode: str) -> _Storage:
    """The database in SQLite's mode ro, rw, or rwc, which creates it."""
    return _Storage(
        f"sqlite:///{file.as_uri()}?mode={mode}&uri=true",
        # a connection per transaction, so that none is open when a file moves
        engine_kwargs={"poolclass": sqlalchemy.NullPool, "connect_args": {"timeout": WAIT}},
        heartbeat_interval=HEARTBEAT,
        grace_period=GRACE,
        heartbeat_stale_trial_callback=optuna.storages.RetryHeartbeatStaleTrialCallback(),
        skip_table_creation=mode != "rwc",
    )
