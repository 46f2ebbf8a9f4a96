"""One progress bar for a notebook, a terminal and a log file."""

import os
import sys
import threading
import time
from collections.abc import Callable
from multiprocessing import parent_process

from tqdm.auto import tqdm

# tqdm's own lock is also one between processes, whose semaphore Python reports as leaked when a process is killed.
tqdm.set_lock(threading.RLock())
LINE = "{desc}: {n_fmt} of {total_fmt} {unit}s, {elapsed} so far, about {remaining} left{postfix}"
# its name comes last, so that a long one is cut off, not the numbers
BAR = "{percentage:3.0f}%|{bar:12}| {n_fmt}/{total_fmt} [{elapsed}<{remaining}] {desc}{postfix}"
_title = ""  # before the name of each bar of this process


class _Lines:
    """A stream that makes a line of each refresh of a bar."""

    def write(self, text: str) -> None:
        if text := text.strip():
            print(text, file=sys.stderr, flush=True)


def bar(total: int | None, description: str, lines: bool = False, **options) -> tqdm:
    """A tqdm bar that is gone when it ends; lines, one each half minute, in a log file or beside other processes' bars.

    lines: also where this process has the terminal for itself, but starts others.

    TQDM_DISABLE=1, tqdm's own switch, silences it when notebooks are rendered (its notebook bar overlooks that).
    """
    if any(kind.__module__ == "tqdm.notebook" for kind in tqdm.__mro__):
        options |= dict(mininterval=0.2)
    elif lines or _in_lines():
        options |= dict(file=_Lines(), position=0, bar_format=LINE, delay=10, mininterval=30, maxinterval=60)
    else:
        options |= dict(dynamic_ncols=True, bar_format=BAR, mininterval=0.2)
    disable = bool(os.environ.get("TQDM_DISABLE"))
    return tqdm(total=total, desc=_title + description, leave=False, disable=disable, **options)


def tick(shown: tqdm) -> None:
    """Refresh a bar until it is closed, also while a single step takes minutes."""

    def refresh():
        while not shown.disable:  # as tqdm says that it is closed
            time.sleep(30 if _in_lines() else 1)
            shown.refresh()

    threading.Thread(target=refresh, daemon=True).start()


def titled(title: str, call: Callable, *arguments):
    """What `call(*arguments)` gives; the name of each bar of it begins with the title."""
    global _title
    _title, before = title, _title
    try:
        return call(*arguments)
    finally:
        _title = before


def _in_lines() -> bool:
    """In a log file, and where several processes share a terminal: jobs of make, and workers."""
    return not sys.stderr.isatty() or "MAKELEVEL" in os.environ or parent_process() is not None
