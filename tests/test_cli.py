"""The command line, from its parser to what it prints."""

import concurrent.futures
import dataclasses
import io
import re
import subprocess
import sys
import tomllib
from importlib import metadata

import pytest

from cifar_helpers import cli, execution, experiments, records, train
from cifar_helpers.core import paths, progress
from cifar_helpers.experiments import registry
from cifar_helpers.train import Config, loop

TINY = Config("resnet18", width=0.125, data="synthetic", images=50, test_images=50, epochs=1, batch_size=50)
CONFIGS = [
    TINY,
    dataclasses.replace(TINY, seed=1),
    dataclasses.replace(TINY, learning_rate=0.01, schedule="cosine"),
]


@pytest.fixture
def tiny(results, monkeypatch):
    for module in (experiments, registry):
        monkeypatch.setattr(module, "EXPERIMENTS", {"tiny": lambda profile: CONFIGS})


def refused(capsys, *arguments):
    """What the parser says of arguments that it does not take."""
    with pytest.raises(SystemExit) as ended:
        cli.main(list(arguments))
    assert ended.value.code == 2
    return capsys.readouterr().err.splitlines()[-1]


def test_the_console_script_is_this_function():
    project = tomllib.loads((paths.ROOT / "pyproject.toml").read_text())["project"]
    assert project["scripts"] == {"cifar-helpers": f"{cli.main.__module__}:{cli.main.__name__}"}


def test_version_is_the_packages(capsys, monkeypatch):
    monkeypatch.setattr(metadata, "version", lambda name: {"cifar_helpers": "1.2.3"}[name])
    with pytest.raises(SystemExit) as ended:
        cli.main(["--version"])
    assert ended.value.code == 0 and capsys.readouterr().out == "cifar-helpers 1.2.3\n"

    def missing(name):
        raise metadata.PackageNotFoundError(name)

    monkeypatch.setattr(metadata, "version", missing)  # a copy on PYTHONPATH
    with pytest.raises(SystemExit):
        cli.main(["--version"])
    assert "not installed" in capsys.readouterr().out


def test_help_says_in_two_sentences_what_this_is_and_where_to_read(capsys):
    with pytest.raises(SystemExit) as ended:
        cli.main(["--help"])
    out = " ".join(capsys.readouterr().out.split())
    assert ended.value.code == 0 and cli.ABOUT in out
    assert len(re.findall(r"\.( |$)", cli.ABOUT)) == 2
    named = re.findall(r"[\w/]+\.md", cli.ABOUT)
    assert named and all((paths.ROOT / name).exists() for name in named)


def test_help_of_train_lists_every_experiment(capsys):
    with pytest.raises(SystemExit) as ended:
        cli.main(["train", "--help"])
    out = capsys.readouterr().out
    assert ended.value.code == 0
    for name, function in experiments.EXPERIMENTS.items():
        assert re.search(rf"^  {name} +{re.escape(function.__doc__.splitlines()[0])}$", out, re.MULTILINE), name


def test_as_a_module_and_quickly():
    """Help and version do not wait for torch."""
    code = "import sys, runpy; sys.argv[1:] = ['--help']; runpy.run_module('cifar_helpers', run_name='__main__')"
    code = f"import atexit, sys; atexit.register(lambda: print('torch' in sys.modules)); {code}"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=paths.ROOT)
    assert done.returncode == 0 and done.stderr == ""
    assert done.stdout.startswith("usage: cifar-helpers") and done.stdout.endswith("False\n")


@pytest.mark.parametrize(
    "arguments",
    (
        ("train", "tiny", "--scheduler", ""),
        ("train", "tiny", "--device", ""),
        *((command, "--profile", "") for command in ("train", "search", "data", "pdf")),
        ("notebook", "01_data", "--profile", " "),
        ("predict", "x.png", "--model", ""),
    ),
)
def test_an_empty_value_is_an_error(capsys, arguments):
    assert f"argument {arguments[-2]}: the value is empty" in refused(capsys, *arguments)


@pytest.mark.parametrize(
    "arguments, choices",
    (
        (["train", "tinny", "--profile", "smoke"], "choose from tiny"),
        (["train", "tiny", "", "--profile", "smoke"], "choose from tiny"),
        (["train", "tiny", "--profile", "huge"], "choose from smoke, quick, full"),
        (["train", "tiny", "--profile", "smoke", "--device", "tpu"], "choose from cpu"),
        (["search", "--profile", "smoke", "--device", "tpu"], "choose from cpu"),
        (["notebook", "99_data", "--profile", "smoke"], "choose from 01_data, 02_architectures"),
        (["notebook", "elsewhere/99_data.ipynb", "--profile", "smoke"], "choose from 01_data, 02_architectures"),
    ),
)
def test_an_unknown_name_lists_the_choices_in_one_line(tiny, results, capsys, arguments, choices):
    assert cli.main(arguments) == 1
    error = capsys.readouterr().err
    assert error.startswith("error: ") and choices in error and error.count("\n") == 1
    assert not list(results.rglob("run.json"))


def test_what_an_error_quotes_cannot_rewrite_the_screen(monkeypatch, capsys):
    def fails(*arguments):
        raise ValueError("the folder \x1b[2J/\u202e is none\n- and a second line")

    monkeypatch.setattr(execution, "execute", fails)
    assert cli.main(["notebook", "01_data"]) == 1
    assert capsys.readouterr().err == "error: the folder \\x1b[2J/\\u202e is none\n- and a second line\n"


def test_a_locale_without_the_letters_of_a_folder_is_no_error(monkeypatch):
    terminal = io.TextIOWrapper(io.BytesIO(), "latin-1")
    monkeypatch.setattr(sys, "stdout", terminal)
    monkeypatch.setattr(execution, "execute", lambda *arguments: print("/Übung/中/01_data.ipynb") or 0)
    assert cli.main(["notebook", "01_data"]) == 0
    terminal.flush()
    assert terminal.buffer.getvalue().decode("latin-1") == "/Übung/\\u4e2d/01_data.ipynb\n"


def test_an_unknown_command_lists_the_choices(capsys):
    assert all(name in refused(capsys, "tarin") for name in ("train", "search", "predict", "notebook"))


@pytest.mark.parametrize("name", ("01_data", "01_data.ipynb", "notebooks/01_data.ipynb"))
def test_a_notebook_is_named_or_given_as_a_file(monkeypatch, name):
    monkeypatch.setattr(execution, "execute", lambda *arguments: arguments)
    assert cli.main(["notebook", name, "--profile", "smoke"]) == ("01_data", "smoke")


def test_a_line_for_each_run_as_soon_as_it_has_ended(tiny, results, monkeypatch, capsys):
    usual, said = train.train, []

    def listening(*arguments, **options):
        said.append(capsys.readouterr().out)
        return usual(*arguments, **options)

    monkeypatch.setattr(train, "train", listening)
    assert cli.main(["train", "tiny", "--profile", "smoke", "--device", "cpu"]) == 0
    lines = "".join([*said, capsys.readouterr().out]).splitlines()
    assert [text.count("\n") for text in said] == [0, 1, 1]
    apart = [f"learning rate {c.learning_rate}, schedule {c.schedule}, seed {c.seed}" for c in CONFIGS]
    for number, (line, config, text) in enumerate(zip(lines, CONFIGS, apart, strict=True), start=1):
        assert line.startswith(f"smoke tiny, run {number} of 3 ({text}): ")
        numbers = r"\): \d+\.\d\d % after 1 epochs, \d+ s, \d+ images/s: "
        assert re.search(rf"{numbers}{config.name}-{config.hash}$", line)


@pytest.mark.parametrize("pool", (None, concurrent.futures.ThreadPoolExecutor(1)))
def test_a_bar_names_its_run_and_the_choice(tiny, results, monkeypatch, pool):
    monkeypatch.delenv("TQDM_DISABLE", raising=False)
    named = []
    monkeypatch.setattr(loop, "bar", lambda *a, **k: named.append(shown := progress.bar(*a, **k)) or shown)
    cli._train_experiment("tiny", "smoke", "cpu", pool, [])
    begins = [bar.desc.partition(" (")[0] for bar in named]
    assert begins == [f"smoke tiny, run {number} of 3" for number in (1, 2, 3)]
    assert "(learning rate 0.01, schedule cosine, seed 0): resnet18" in named[2].desc


def test_the_bar_of_an_experiment_counts_what_is_left_to_train(tiny, results, monkeypatch, capsys):
    monkeypatch.delenv("TQDM_DISABLE", raising=False)
    records.get(CONFIGS[1], "tiny", "smoke", "cpu")
    made, usual = [], progress.bar
    monkeypatch.setattr(progress, "bar", lambda *a, **k: made.append(usual(*a, **k)) or made[0])
    cli._train_experiment("tiny", "smoke", "cpu", None, [])
    assert (made[0].desc, made[0].initial, made[0].n, made[0].total) == ("smoke tiny", 1, 3, 3)


def test_an_experiment_of_nothing(results, monkeypatch, capsys):
    for module in (experiments, registry):
        monkeypatch.setattr(module, "EXPERIMENTS", {"none": lambda profile: []})
    assert cli.main(["train", "none", "--profile", "smoke"]) == 0
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize("error", (MemoryError(), RuntimeError("[a.cpp:1] err == 0. can't allocate memory: 9 bytes")))
def test_too_little_memory_is_one_sentence(monkeypatch, capsys, error):
    def full(profile):
        raise error

    monkeypatch.setattr("cifar_helpers.data.dataset", full)
    assert cli.main(["data", "--profile", "smoke"]) == 1
    message = capsys.readouterr().err
    assert message.startswith("error: there is not enough memory: close other programs") and message.count("\n") == 1


def test_an_error_without_words_has_its_name(monkeypatch, capsys):
    def fail(profile):
        raise TimeoutError

    monkeypatch.setattr("cifar_helpers.data.dataset", fail)
    assert cli.main(["data", "--profile", "smoke"]) == 1
    assert capsys.readouterr().err == "error: TimeoutError\n"


def test_standard_error_may_be_closed(tiny, results, monkeypatch, capsys):
    """As by `train 2>&-`."""
    monkeypatch.setattr(sys, "stderr", None)
    assert cli.main(["train", "tiny", "--profile", "smoke", "--device", "cpu"]) == 0
    assert capsys.readouterr().out.count("run ") == 3


def test_side_by_side_each_run_has_its_line_too(tiny, results, capsys):
    records.get(CONFIGS[0], "tiny", "smoke", "cpu")
    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        cli._train_experiment("tiny", "smoke", "cpu", pool, [])
    lines = sorted(re.findall(r"run (\d) of 3", capsys.readouterr().out))
    assert lines == ["1", "2", "3"]


def test_a_run_that_fails_has_no_line_and_the_others_do(tiny, results, monkeypatch, capsys):
    usual = train.train

    def failing(config, *arguments, **options):
        if config.seed == 1:
            raise OSError("the disk is full")
        return usual(config, *arguments, **options)

    monkeypatch.setattr(train, "train", failing)
    with concurrent.futures.ThreadPoolExecutor(1) as pool, pytest.raises(OSError, match="full"):
        cli._train_experiment("tiny", "smoke", "cpu", pool, [])
    assert re.findall(r"run (\d) of 3", capsys.readouterr().out) == ["1", "3"]


def test_ctrl_c_says_how_to_go_on(tiny, monkeypatch, capsys):
    def stopped(*arguments, **options):
        raise KeyboardInterrupt

    monkeypatch.setattr(train, "train", stopped)
    assert cli.main(["train", "tiny", "--profile", "smoke", "--device", "cpu"]) == 130
    assert capsys.readouterr().err.endswith("\ninterrupted; the same command goes on from the last epoch\n")


def test_searches_side_by_side(results, capsys):
    assert cli.main(["search", "--profile", "smoke", "--workers", "0"]) == 1
    assert "one worker or more, not 0" in capsys.readouterr().err
    assert not list(results.rglob("*.db"))
