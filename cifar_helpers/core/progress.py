"""One progress bar for a notebook, a terminal and a log file."""

import os
import sys
import threading

from tqdm.auto import tqdm

# tqdm's own lock is also one between processes, whose semaphore Python reports as leaked when a process is killed.
tqdm.set_lock(threading.RLock())


def bar(total: int | None, description: str, **options) -> tqdm:
    """A tqdm bar that is gone when it ends; a log file gets a line every half minute, not every refresh.

    TQDM_DISABLE=1, tqdm's own switch, silences it when notebooks are rendered (its notebook bar overlooks that).
    """
    in_notebook = any(kind.__module__ == "tqdm.notebook" for kind in tqdm.__mro__)
    patient = not sys.stderr.isatty() and not in_notebook
    return tqdm(
        total=total,
        desc=description,
        leave=False,
        disable=bool(os.environ.get("TQDM_DISABLE")),
        mininterval=30 if patient else 0.2,
        maxinterval=60 if patient else 10,
        dynamic_ncols=not patient,
        **options,
    )
