import re
import subprocess
import sys

import pytest
import tqdm.notebook

from cifar_helpers.core import progress

STEPS = """if True:
    import time
    from cifar_helpers.core.progress import bar
    with bar(20, "steps") as steps:
        for _ in range(20):
            time.sleep(0.02)
            steps.update()
"""


@pytest.fixture(autouse=True)
def switched_on(monkeypatch):
    """Whatever the machine that tests says: many a CI silences tqdm."""
    monkeypatch.delenv("TQDM_DISABLE", raising=False)


def test_a_log_file_gets_a_line_or_two_and_not_every_refresh():
    said = subprocess.run([sys.executable, "-c", STEPS], capture_output=True, text=True, check=True).stderr
    assert 1 <= len(re.findall(r"steps: +\d+%", said)) <= 2


def test_in_a_notebook_the_bar_moves_often(monkeypatch):
    """tqdm.auto's class is a child of the notebook's there; its stderr is no terminal, but it is no log file either."""

    class Auto(tqdm.notebook.tqdm):
        pass

    monkeypatch.setattr(progress, "tqdm", Auto)
    with progress.bar(3, "steps") as bar:
        assert bar.mininterval == 0.2


def test_the_switch_silences_it(monkeypatch):
    monkeypatch.setenv("TQDM_DISABLE", "1")
    with progress.bar(3, "steps") as bar:
        assert bar.disable
