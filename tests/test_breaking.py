"""What goes wrong on a machine: kills, a full disk, two processes at once, Ctrl-C, a folder that cannot be written.

Each is done for real. Where a process has to die, it is forked from one that has imported everything.
"""

import contextlib
import dataclasses
import json
import multiprocessing
import os
import resource
import shutil
import signal
import subprocess
import sys
import time

import nbformat
import numpy as np
import pytest
import torch
from jupyter_client.manager import start_new_kernel
from test_notebook_execution import project, write  # noqa: F401 (a fixture)

from cifar_helpers import cli, data, execution, experiments, records, train
from cifar_helpers.core import files, paths
from cifar_helpers.data import download, formats
from cifar_helpers.train import Config

FORKS = multiprocessing.get_context("forkserver")
FORKS.set_forkserver_preload(
    ["cifar_helpers.experiments", "cifar_helpers.execution", "pytest", "jupyter_client.manager"]
)
TINY = Config(
    "resnet18",
    width=0.125,
    hidden=(16,),
    dropout=0.5,  # it draws random numbers
    data="synthetic",
    images=100,
    test_images=100,
    epochs=4,
    batch_size=50,
    precision="float32",
)
KEEP = ("weights", "steps", "logits", "dead_units")
MEASURED = {"seconds", "cpu_seconds", "images_per_second", "peak_memory_mb"}  # of a record: not the same twice


def redirect(folder):
    """What the `results` fixture does, in a process of its own, and fewer images."""
    torch.set_num_threads(1)
    paths.base, paths.CHECKPOINTS = lambda profile: folder / profile, folder / "checkpoints"
    data.dataset = lambda profile: data.synthetic(train=400, test=100)


def get(folder, *configs):
    redirect(folder)
    records.get_all(configs, "tiny", "smoke", "cpu", keep=KEEP)


def command(folder, configs, *arguments):
    """The command line, with an experiment `tiny` of these configs; what it prints is in folder/PID.out and .err."""
    redirect(folder)
    experiments.EXPERIMENTS["tiny"], experiments.KEEP["tiny"] = lambda profile: configs, KEEP
    for stream, name in ((1, "out"), (2, "err")):
        os.dup2(os.open(folder / f"{os.getpid()}.{name}", os.O_WRONLY | os.O_CREAT), stream)
    sys.exit(cli.main(list(arguments)))


def start(function, *arguments):
    process = FORKS.Process(target=function, args=arguments)
    process.start()
    return process


def ended(process):
    process.join()
    return process.exitcode


def until(condition, seconds=120):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "waited for too long"
        time.sleep(0.001)


def contents(folder):
    """All that a record says, but for what the clock and the machine add."""
    run = records.load(folder)
    record = {name: value for name, value in run.record.items() if name not in MEASURED}
    weights = {name: tensor.numpy().tobytes() for name, tensor in run.model().state_dict().items()}
    logits, labels = run.logits
    history = run.history.drop(columns="seconds").to_csv()
    return (
        record,
        history,
        run.steps.tolist(),
        run.measurement("dead_units").to_csv(),
        weights,
        logits.tolist(),
        labels.tolist(),
    )


# Killed


@pytest.mark.attack
def test_killed_twenty_times_a_record_is_that_of_an_uninterrupted_run(results):
    """From outside: at any moment, and while a checkpoint or a record is being written."""
    random, kills, seed = np.random.default_rng(0), [], 0
    written = {"checkpoint": "checkpoints/*.tmp", "record": "smoke/runs/tiny/.*.tmp"}
    while len(kills) < 20:
        life = start(get, results, dataclasses.replace(TINY, seed=seed))
        moment = random.choice(["any", *written])
        if moment == "any":
            life.join(random.uniform(0, 0.8))
        else:
            until(lambda life=life, moment=moment: not life.is_alive() or any(results.glob(written[moment])))
        life.kill()
        if ended(life):
            assert life.exitcode == -signal.SIGKILL
            kills.append(str(moment))
        else:
            seed += 1  # it ended before: another run
    assert set(kills) == {"any", *written}
    configs = [dataclasses.replace(TINY, seed=number) for number in range(seed + 1)]
    for folder in (results, results / "whole"):
        assert ended(start(get, folder, *configs)) == 0
    for config in configs:
        name = f"smoke/runs/tiny/{config.name}-{config.hash}"
        assert contents(results / name) == contents(results / "whole" / name)
    assert not list(results.rglob("*.tmp"))  # what killed writers left is gone


# A full disk: for files of this process, the disk has `size` bytes


@contextlib.contextmanager
def full_disk(size):
    usual = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, usual[1]))  # the signal that comes with it is ignored by Python
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, usual)


def test_disk_full_at_any_file_of_a_record(results):
    config = dataclasses.replace(TINY, epochs=1)
    trained = train.train(config, data.synthetic(), device="cpu", keep=KEEP)
    whole = records.write(config, trained, "whole", "smoke", "cpu").folder
    sizes = {file.name: file.stat().st_size for file in whole.iterdir()}
    assert len(sizes) == 7
    folder = results / f"smoke/runs/tiny/{whole.name}"
    for name, size in sizes.items():
        message = f"the record {folder} could not be written .*free some disk space and give the same command again"
        with pytest.raises(OSError, match=message), full_disk(size - 1):
            records.write(config, trained, "tiny", "smoke", "cpu")
        assert list(folder.parent.iterdir()) == [], name
    with full_disk(max(sizes.values())):
        assert contents(records.write(config, trained, "tiny", "smoke", "cpu").folder)[1:] == contents(whole)[1:]


def test_disk_full_at_a_checkpoint_keeps_the_last_one(tmp_path, cifar):
    config, checkpoint = dataclasses.replace(TINY, epochs=3), tmp_path / "state.pt"
    whole = train.train(config, cifar, device="cpu").history.drop(columns="seconds")
    with contextlib.ExitStack() as stack:

        def fill(epoch, row):
            stack.enter_context(full_disk(checkpoint.stat().st_size // 2))

        with pytest.raises(OSError, match=f"the checkpoint {checkpoint} could not be written .*free some disk space"):
            train.train(config, cifar, device="cpu", checkpoint=checkpoint, after_epoch=fill)
    assert list(tmp_path.iterdir()) == [checkpoint]
    assert len(torch.load(checkpoint, weights_only=True)["progress"]["rows"]) == 1
    resumed = train.train(config, cifar, device="cpu", checkpoint=checkpoint)
    assert resumed.history.drop(columns="seconds").equals(whole)


def test_disk_full_at_the_cache_of_the_data_set(tmp_path):
    made = data.synthetic(train=50, test=10)
    arrays = {name: getattr(made, name) for name in formats.ARRAYS}
    with pytest.warns(UserWarning, match=f"not be cached in {tmp_path} .*free 200 MB"), full_disk(50_000):
        download.write_cache(arrays, tmp_path)
    assert [file.name for file in tmp_path.iterdir() if file.suffix != ".lock"] == []
    download.write_cache(arrays, tmp_path)
    assert (tmp_path / formats.CACHE).exists()


@pytest.mark.attack
def test_disk_full_at_a_notebook(project, capsys, monkeypatch):  # noqa: F811
    monkeypatch.setenv("IPYTHONDIR", str(project))
    write(project, "01_long", "print(100_000 * 'long\\n')")
    arguments = ["notebook", "01_long", "--profile", "smoke"]
    with full_disk(100_000):
        assert cli.main(arguments) == 1
    told = [line for line in capsys.readouterr().err.splitlines() if line.startswith("error:")]
    assert len(told) == 1 and "01_long.failed.ipynb could not be written" in told[0] and "free some disk" in told[0]
    output = project / "build/smoke/notebooks/01_long.ipynb"
    assert not output.exists()
    assert cli.main(arguments) == 0
    assert "long" in str(nbformat.read(output, as_version=4).cells[2].outputs)


# Two at once


@pytest.mark.attack
def test_two_commands_train_one_experiment(results):
    configs = [dataclasses.replace(TINY, epochs=3, seed=seed) for seed in range(3)]
    two = [start(command, results, configs, "train", "tiny", "--profile", "smoke") for _ in range(2)]
    assert [ended(process) for process in two] == [0, 0]
    lines = [(results / f"{process.pid}.out").read_text() for process in two]
    assert lines[0] == lines[1] and lines[0].count("after 3 epochs") == 3  # of the same records, to the second
    folders = sorted((results / "smoke/runs/tiny").iterdir())
    assert [folder.name for folder in folders] == sorted(f"{config.name}-{config.hash}" for config in configs)
    assert all(contents(folder) for folder in folders)


def execute(root, name):
    paths.ROOT = root
    sys.exit(execution.execute(name, "smoke"))


@pytest.mark.attack
def test_two_commands_execute_one_notebook_one_after_the_other(project):  # noqa: F811
    log = project / "log"
    note = f"import time; open({str(log)!r}, 'a').write({{!r}}); time.sleep(0.5)"
    write(project, "01_twice", note.format("begin "), note.format("end "))
    two = [start(execute, project, "01_twice") for _ in range(2)]
    assert [ended(process) for process in two] == [0, 0]
    assert log.read_text() == "begin end begin end "
    assert [file.name for file in (project / "build/smoke/notebooks").iterdir()] == ["01_twice.ipynb"]
    nbformat.validate(nbformat.read(project / "build/smoke/notebooks/01_twice.ipynb", as_version=4))


# Ctrl-C


@pytest.mark.attack
def test_interrupted_command_is_one_line_and_goes_on(results, monkeypatch):
    config = dataclasses.replace(TINY, epochs=12)
    arguments = ("train", "tiny", "--profile", "smoke")
    process = start(command, results, [config], *arguments)
    until(lambda: list(results.glob("checkpoints/*.pt")))
    os.kill(process.pid, signal.SIGINT)
    assert ended(process) == 130
    told = (results / f"{process.pid}.err").read_text()
    assert "Traceback" not in told
    assert told.splitlines()[-1] == "interrupted; the same command goes on from the last epoch"
    (checkpoint,) = results.glob("checkpoints/*.pt")
    done = len(torch.load(checkpoint, weights_only=True)["progress"]["rows"])
    assert 0 < done < 12
    process = start(command, results, [config], *arguments)
    assert ended(process) == 0 and "after 12 epochs" in (results / f"{process.pid}.out").read_text()
    assert ended(start(get, results / "whole", config)) == 0
    name = f"smoke/runs/tiny/{config.name}-{config.hash}"
    assert contents(results / name)[1:] == contents(results / "whole" / name)[1:]


@pytest.mark.attack
def test_interrupted_notebook_goes_on_when_the_cell_is_run_again(results):
    config = dataclasses.replace(TINY, epochs=12)
    manager, client = start_new_kernel(kernel_name="python3", cwd=paths.ROOT)
    begin = f"""if True:
        from pathlib import Path
        import torch
        from cifar_helpers import data, experiments, records
        from cifar_helpers.core import paths
        from cifar_helpers.train import Config
        torch.set_num_threads(1)
        paths.base = lambda profile: Path({str(results)!r}) / profile
        paths.CHECKPOINTS = Path({str(results)!r}) / "checkpoints"
        data.dataset = lambda profile: data.synthetic(train=400, test=100)
    """
    cell = f"records.get({config!r}, 'tiny', 'smoke', 'cpu', {KEEP!r});"

    def ignore(message):
        pass

    try:
        assert client.execute_interactive(begin, output_hook=ignore)["content"]["status"] == "ok"
        asked = client.execute(cell)
        until(lambda: list(results.glob("checkpoints/*.pt")))
        manager.interrupt_kernel()
        reply = client.get_shell_msg(timeout=60)
        assert reply["parent_header"]["msg_id"] == asked and reply["content"]["ename"] == "KeyboardInterrupt"
        (checkpoint,) = results.glob("checkpoints/*.pt")
        assert 0 < len(torch.load(checkpoint, weights_only=True)["progress"]["rows"]) < 12
        with files.lock(checkpoint.with_suffix(".lock"), "held"):
            pass
        assert client.execute_interactive(cell, output_hook=ignore)["content"]["status"] == "ok"
    finally:
        client.stop_channels()
        manager.shutdown_kernel(now=True)
    assert ended(start(get, results / "whole", config)) == 0
    name = f"smoke/runs/tiny/{config.name}-{config.hash}"
    assert contents(results / name)[1:] == contents(results / "whole" / name)[1:]


# A checkout that cannot be written, and one whose path has spaces and letters beyond ASCII


@pytest.fixture(scope="module")
def checkout(tmp_path_factory):
    folder = tmp_path_factory.mktemp("checkout") / "ein Ordner für Übungen"
    git = ["git", "-C", paths.ROOT, "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    listed = subprocess.run(git, capture_output=True, text=True)
    if listed.returncode:
        pytest.skip("the files of a checkout are those that git lists")
    for name in listed.stdout.split("\0")[:-1]:
        if (paths.ROOT / name).exists():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(paths.ROOT / name, folder / name)
    return folder


def begin(checkout, *command, **options):
    environment = os.environ | {"PYTHONPATH": str(checkout), "OMP_NUM_THREADS": "1", "PYTHONDONTWRITEBYTECODE": "1"}
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    return subprocess.Popen(command, cwd=checkout, env=environment, **pipes, **options)


def living(group):
    """Processes of the group; what has ended and waits to be collected is none."""
    listed = subprocess.run(["ps", "-e", "-o", "pgid=,stat=,args="], capture_output=True, text=True, check=True).stdout
    rows = [line.split(None, 2) for line in listed.splitlines()]
    return [row for row in rows if int(row[0]) == group and not row[1].startswith("Z")]


READ_ONLY = """if True:
    import json
    from cifar_helpers import cli
    from cifar_helpers.experiments import search
    codes = [
        cli.main(["train", "table_1_recipe", "--profile", "full"]),
        cli.main(["train", "grad_cam_networks", "--profile", "smoke"]),
        cli.main(["search", "--profile", "smoke"]),
        cli.main(["notebook", "01_data", "--profile", "full"]),
        cli.main(["pdf", "--profile", "full"]),
    ]
    print(json.dumps([codes, len(search.table(search.study("full")))]))
"""


@pytest.mark.attack
def test_read_only_checkout_shows_its_records_and_says_that_it_cannot_be_written(checkout):
    command = [sys.executable, "-c", READ_ONLY]
    if os.geteuid() == 0:  # permissions do not hold for root, but for a root without this capability
        if not shutil.which("setpriv"):
            pytest.skip("setpriv is missing, without which root can write everywhere")
        command = ["setpriv", "--bounding-set=-dac_override", "--inh-caps=-dac_override", *command]
    folders = [checkout, *(folder for folder in checkout.rglob("*") if folder.is_dir())]
    for folder in folders:
        folder.chmod(0o555)
    try:
        out, error = begin(checkout, *command).communicate(timeout=300)
    finally:
        for folder in folders:
            folder.chmod(0o755)
    codes, shown = json.loads(out.splitlines()[-1]) if out else (None, None)
    assert codes == [0, 1, 1, 1, 1], error
    assert shown > 0 and out.count("full table_1_recipe, run ") == 8
    told = error.splitlines()
    assert len(told) == 4
    places = ("build/checkpoints", "build/smoke/runs/search", "notebooks", "build/full")
    for line, place in zip(told, places):
        assert line.startswith(f"error: the folder {checkout / place} could not be written"), line
        assert "allow writing there, or work in a copy" in line


GOES_ON = """if True:
    import shutil, sys
    from cifar_helpers.cli import main
    codes = [
        main([*command, "--profile", "smoke"])
        for command in (["train", "losses"], ["notebook", "01_data"], ["pdf"])
        if command != ["pdf"] or shutil.which("latexmk")
    ]
    sys.exit(any(codes))
"""


@pytest.mark.attack
def test_path_with_spaces_and_umlauts_from_ctrl_c_to_the_pdf(checkout):
    train = [sys.executable, "-m", "cifar_helpers", "train", "losses", "--profile", "smoke", "--workers", "2"]
    process = begin(checkout, *train, start_new_session=True)
    until(lambda: process.poll() is not None or list(checkout.glob("build/checkpoints/*.pt")))
    os.killpg(process.pid, signal.SIGINT)  # as a terminal does, to the workers too
    _, error = process.communicate(timeout=300)
    assert process.returncode == 130 and "Traceback" not in error, error
    assert error.splitlines()[-1] == "interrupted; the same command goes on from the last epoch"
    until(lambda: not living(process.pid))  # no worker is left
    then = begin(checkout, sys.executable, "-c", GOES_ON)
    out, error = then.communicate(timeout=600)
    assert then.returncode == 0, error
    assert len(list(checkout.glob("build/smoke/runs/losses/*/SHA256SUMS"))) == len(experiments.losses("smoke"))
    assert (checkout / "build/smoke/notebooks/01_data.ipynb").exists()
    if shutil.which("latexmk"):
        assert out.splitlines()[-1] == str(checkout / "build/smoke/report/report.pdf")
