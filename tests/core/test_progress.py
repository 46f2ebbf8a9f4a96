import io
import threading

import pytest
import tqdm.notebook

from cifar_helpers.core import progress


@pytest.fixture(autouse=True)
def switched_on(monkeypatch):
    """Whatever the machine that tests says: many a CI silences tqdm."""
    monkeypatch.delenv("TQDM_DISABLE", raising=False)


class Terminal(io.StringIO):
    def isatty(self):
        return True


def later(bar, seconds):
    bar.start_t -= seconds
    bar.last_print_t -= seconds


def test_a_log_file_gets_a_line_each_half_minute_and_not_every_refresh(capsys):
    with progress.bar(20, "steps", unit="step") as bar:
        bar.update(4)
        assert capsys.readouterr().err == ""
        later(bar, 40)
        for _ in range(6):
            bar.update()
        assert capsys.readouterr().err == "steps: 5 of 20 steps, 00:40 so far, about 02:00 left\n"
        later(bar, 40)
        bar.update()
        assert capsys.readouterr().err.startswith("steps: 11 of 20 steps, 01:20 so far, about ")
    assert capsys.readouterr().err == ""


def test_a_terminal_has_a_bar_whose_numbers_are_not_cut_off(monkeypatch):
    monkeypatch.delenv("MAKELEVEL", raising=False)
    monkeypatch.setattr("sys.stderr", Terminal())
    with progress.bar(20, "a long name " * 20) as bar:
        assert str(bar).startswith("  0%|            | 0/20 [00:00<?] a long name")


@pytest.mark.parametrize("sharing", ("make", "worker"))
def test_processes_that_share_a_terminal_write_lines(monkeypatch, sharing):
    monkeypatch.delenv("MAKELEVEL", raising=False)
    monkeypatch.setattr("sys.stderr", Terminal())
    if sharing == "make":
        monkeypatch.setenv("MAKELEVEL", "1")
    else:
        monkeypatch.setattr(progress, "parent_process", lambda: "the process that started this one")
    with progress.bar(20, "steps", unit="step") as bar:
        later(bar, 40)
        bar.update(10)
    assert progress.sys.stderr.getvalue() == "steps: 10 of 20 steps, 00:40 so far, about 00:40 left\n"


def test_a_step_of_minutes_has_its_lines_too(monkeypatch, capsys):
    pauses = threading.Semaphore(0)
    monkeypatch.setattr(progress.time, "sleep", lambda seconds: pauses.acquire() and None)
    before = threading.active_count()
    with progress.bar(3, "01_data", unit="cell") as bar:
        progress.tick(bar)
        bar.set_postfix_str("runs = train()", refresh=False)
        pauses.release()
        while not (said := capsys.readouterr().err):
            pass
        assert said == "01_data: 0 of 3 cells, 00:00 so far, about ? left, runs = train()\n"
    pauses.release()
    while threading.active_count() > before:  # it ends with the bar
        pass
    assert capsys.readouterr().err == ""


def test_the_title_comes_before_the_name(monkeypatch):
    monkeypatch.setattr(progress, "_title", "")
    assert progress.titled("run 3 of 6: ", lambda: progress.bar(3, "resnet18").desc) == "run 3 of 6: resnet18"


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
