"""One progress bar for a notebook, a terminal and a log file."""

import sys

from tqdm.auto import tqdm


def bar(total: int, description: str, **options) -> tqdm:
    """A tqdm bar that is gone when it ends; a log file gets a line every half minute, not every refresh.

    Setting TQDM_DISABLE=1 (tqdm's own switch) silences it, as when notebooks are rendered.
    """
    patient = not sys.stderr.isatty() and "notebook" not in tqdm.__name__
    return tqdm(total=total, desc=description, leave=False, mininterval=30 if patient else 0.2,
                maxinterval=60 if patient else 10, dynamic_ncols=not patient, **options)
