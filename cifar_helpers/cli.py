"""The command line: cifar-helpers train | search | predict | pack | data | notebook | pdf, see --help.

Each command is a function that adds its parser and, below it, one that does it. What takes seconds to import (torch) is
imported when a command runs.
"""

import argparse
import io
import os
import sys
from collections.abc import Callable
from concurrent.futures import Executor, Future
from importlib import metadata

from cifar_helpers.core import paths, profiles, progress
from cifar_helpers.core.text import printable

ABOUT = (
    "Trains networks on CIFAR-10, keeps a record of each run, and makes notebooks and a report from the records. "
    "Begin with README.md; notebooks/README.md lists the notebooks, which explain what is compared and why."
)

NO_MEMORY = ("can't allocate memory", "CUDA out of memory")  # torch's words for a MemoryError


def main(arguments: list[str] | None = None) -> int:
    """Do one command; 0, or 1 after an error and 130 after Ctrl-C, each in one line."""
    parser = argparse.ArgumentParser(prog="cifar-helpers", description=ABOUT)
    parser.add_argument("--version", action="version", version=f"%(prog)s {_version()}")
    commands = parser.add_subparsers(dest="command", required=True)
    for add in (_add_train, _add_search, _add_predict, _add_pack, _add_data, _add_notebook, _add_pdf):
        add(commands)
    options = parser.parse_args(arguments)
    if sys.stderr is None:  # closed, as by 2>&-
        sys.stderr = io.StringIO()
    if isinstance(sys.stdout, io.TextIOWrapper):  # a folder's name may have letters that the terminal's locale lacks
        sys.stdout.reconfigure(errors="backslashreplace")
    try:
        if folder := os.environ.get("CIFAR_DATA"):  # a notebook's kernel may have another working directory
            os.environ["CIFAR_DATA"] = str(paths.named_folder(folder))
        return options.run(options)
    except (ValueError, OSError, RuntimeError, ImportError, MemoryError) as error:  # DataError is a RuntimeError
        text = str(error) or type(error).__name__
        if isinstance(error, MemoryError) or any(words in text for words in NO_MEMORY):
            text = "there is not enough memory: close other programs or use fewer --workers, and give the command again"
        encoding = getattr(sys.stderr, "encoding", None)
        print("\n".join(printable(line, encoding) for line in f"error: {text}".split("\n")), file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print(f"\ninterrupted; {options.interrupted}", file=sys.stderr)
        return 130


def _add_train(commands) -> None:
    command = _add(commands, "train", _train, "train the runs of an experiment that have no record yet", help=False)
    command.set_defaults(interrupted="the same command goes on from the last epoch")
    command.formatter_class = argparse.RawDescriptionHelpFormatter  # the list below, line by line
    command.add_argument("-h", "--help", action=_TrainHelp, nargs=0, help="this text and a list of the experiments")
    command.add_argument("experiments", nargs="*", metavar="experiment", help="default: all of the profile")
    command.add_argument(
        "--keep",
        action="append",
        default=[],
        metavar="OUTPUT",
        help="keep this too: weights, logits, steps, ... (several times for several); see docs/extend.md",
    )
    places = command.add_mutually_exclusive_group()
    places.add_argument("--workers", type=int, default=1, help="processes that train side by side")
    places.add_argument(
        "--scheduler",
        type=_text,
        metavar="ADDRESS",
        help="a dask scheduler (tcp://host:8786) whose workers train; see docs/rerun.md",
    )
    _add_device(command)
    _add_profile(command)


class _TrainHelp(argparse.Action):
    def __call__(self, parser, *_):
        from cifar_helpers import experiments

        lines = [
            f"  {name:20} {(function.__doc__ or '').strip().splitlines()[0]}"
            for name, function in experiments.EXPERIMENTS.items()
        ]
        parser.epilog = "\n".join(["experiments:", *lines])
        parser.print_help()
        parser.exit()


def _train(options) -> int:
    from contextlib import AbstractContextManager, nullcontext

    from cifar_helpers import experiments, train
    from cifar_helpers.records import execution

    profile = experiments.profile(options.profile)
    skipped = experiments.FULL_ONLY if profile != "full" else ()
    names = options.experiments or [name for name in experiments.EXPERIMENTS if name not in skipped]
    for name in names:  # report an unknown name before anything starts
        experiments.get_experiment(name)
    if options.scheduler:
        place: AbstractContextManager = execution.dask(options.scheduler)
    else:
        train.resolve_device(options.device)  # likewise a device that this machine lacks; other machines have others
        place = execution.processes(options.workers) if options.workers != 1 else nullcontext()
    with place as executor:
        for name in names:
            _train_experiment(name, profile, options.device, executor, options.keep)
    return 0


def _train_experiment(name: str, profile: str, device: str | None, executor: Executor | None, keep: list[str]) -> None:
    from cifar_helpers import experiments

    configs, said = experiments.configs(name, profile), set()
    titles = _titles(f"{profile} {name}", configs)
    lacking = {config.hash for config in experiments.missing(name, profile, configs, keep)}
    done = len(configs) - len(lacking)
    shown = progress.bar(len(configs), f"{profile} {name}", executor is not None, initial=done, unit="run")

    def say(run) -> None:
        if run.config not in said:
            said.add(run.config)
            with shown.external_write_mode():
                print(titles[run.config.hash] + _line(run), flush=True)
            shown.update(run.config.hash in lacking)

    with shown:
        if executor is None:
            for config in configs:
                call = experiments.get_all, name, profile, device, None, [config], keep
                say(*progress.titled(titles[config.hash], *call))
        else:  # each as it ends, then those that had a record
            for run in experiments.get_all(name, profile, device, _Saying(executor, titles, say), configs, keep):
                say(run)


class _Saying(Executor):
    """An executor that gives bars the titles of their configs, and says what each call came to when it has ended."""

    def __init__(self, executor: Executor, titles: dict[str, str], say: Callable):
        self.executor, self.titles, self.say = executor, titles, say

    def submit(self, *call, **options) -> Future:
        future = self.executor.submit(progress.titled, self.titles[call[1].hash], *call, **options)
        future.add_done_callback(lambda ended: ended.cancelled() or ended.exception() or self.say(ended.result()))
        return future


def _titles(experiment: str, configs: list) -> dict[str, str]:
    """By each run's hash: its place in the experiment, and the fields that set it apart from the others there."""
    fields = [config.to_dict() for config in configs]
    apart = [name for name in next(iter(fields), {}) if any(own[name] != fields[0][name] for own in fields)]
    return {
        config.hash: f"{experiment}, run {place} of {len(configs)}"
        # a schedule's name without its hash
        + f" ({', '.join(name.replace('_', ' ') + f' {own[name]}'.split('@')[0] for name in apart)})" * bool(apart)
        + ": "
        for place, (config, own) in enumerate(zip(configs, fields), start=1)
    }


def _line(run) -> str:
    """What a run came to."""
    record = run.record
    measured = record.get("test_accuracy", record.get("validation_accuracy"))
    diverged = ", it diverged, so it ended there" * record["diverged"]
    return (
        f"{measured:.2f} % after {record['epochs']} epochs, {record['seconds']:.0f} s, "
        f"{record['images_per_second']:.0f} images/s{diverged}: {run.folder.name}"
    )


def _add_search(commands) -> None:
    command = _add(commands, "search", _search, "start or continue the search for better settings (notebook 06)")
    command.set_defaults(interrupted="the same command goes on; trials that had not ended begin again")
    command.add_argument("--trials", type=int, default=0, help="in all (default: the profile's number)")
    command.add_argument("--workers", type=int, default=1, help="processes that train side by side")
    _add_device(command)
    _add_profile(command)


def _search(options) -> int:
    from cifar_helpers import experiments, train
    from cifar_helpers.experiments import search
    from cifar_helpers.records import execution

    profile, device = experiments.profile(options.profile), train.resolve_device(options.device)
    execution.threads(options.workers)  # report a number below 1 before anything starts
    search.begin(profile, options.trials)
    if options.workers == 1:
        search.work(profile, options.trials, device)
    else:
        with execution.processes(options.workers, f"the search {search.path_of(profile)}") as pool:
            workers = [pool.submit(search.work, profile, options.trials, device) for _ in range(options.workers)]
            for worker in workers:
                worker.result()
    trials = search.table(search.study(profile))
    best = trials[trials["state"] == "COMPLETE"].nlargest(1, "validation accuracy")["number"]  # none, if all are pruned
    print(f"{profile} search: {len(trials)} trials", *(f"; the best is trial {number}" for number in best), sep="")
    return 0


def _add_predict(commands) -> None:
    text = "print which of CIFAR-10's ten classes each picture shows, by the fast network or another one with weights"
    command = _add(commands, "predict", _predict, text)
    command.add_argument(
        "pictures", nargs="+", metavar="picture", help="files, folders, or - for a picture on standard input"
    )
    command.add_argument("--top", type=int, default=1, help="classes per picture, 1 to 10 (default: 1)")
    network = command.add_mutually_exclusive_group()
    network.add_argument("--model", type=_text, metavar="FOLDER", help="a record with weights (default: the best)")
    network.add_argument(
        "--weights", type=_text, metavar="FILE", help="a file of pack: a .safetensors, or a .zip for the best in it"
    )


def _predict(options) -> int:
    from cifar_helpers import predict

    return predict.command(options.pictures, options.model, options.top, options.weights)


def _add_pack(commands) -> None:
    command = _add(commands, "pack", _pack, "write the weights that records hold into one .zip, with checksums")
    command.add_argument("experiments", nargs="*", metavar="experiment", help="default: those of Table 1")
    _add_profile(command)


def _pack(options) -> int:
    from cifar_helpers import experiments, records

    profile = experiments.profile(options.profile)
    names = options.experiments or ["table_1", "table_1_head_rate", "table_1_seeds"]
    configs = dict.fromkeys(config for name in names for config in experiments.configs(name, profile))
    runs = [run for config in configs if (run := records.find(config, profile, keep=["weights"]))]
    if not runs:
        some = sorted({file.parent.parent.name for file in paths.runs(profile).glob("*/*/weights.safetensors")})
        raise ValueError(
            f"no run of {', '.join(names)} has weights; experiments with some: {', '.join(some) or 'none'}"
        )
    file = records.pack(runs, paths.CHECKPOINTS.with_name(f"weights-{profile}.zip"))
    print(*(f"{run.folder.name}, {run.folder.parent.name}" for run in runs), file, sep="\n")
    return 0


def _add_data(commands) -> None:
    _add_profile(_add(commands, "data", _data, "fetch and verify CIFAR-10"))


def _data(options) -> int:
    from cifar_helpers import data, experiments

    cifar = data.dataset(experiments.profile(options.profile))
    print(
        f"{'SYNTHETIC' if cifar.synthetic else 'CIFAR-10'}: {len(cifar.train_images):,} training and "
        f"{len(cifar.test_images):,} test images, verified"
    )
    return 0


def _add_notebook(commands) -> None:
    command = _add(commands, "notebook", _notebook, "execute a notebook with papermill")
    command.add_argument("name", help="02_architectures, or its file")
    _add_profile(command)


def _notebook(options) -> int:
    from cifar_helpers import execution

    return execution.execute(execution.name_of(options.name), profiles.profile(options.profile))


def _add_pdf(commands) -> None:
    _add_profile(_add(commands, "pdf", _pdf, "build the report"))


def _pdf(options) -> int:
    from cifar_helpers import experiments
    from cifar_helpers.report import claims, index, pdf, runs_table

    profile = experiments.profile(options.profile)
    print(pdf.build_pdf(profile))
    if profile == "full":
        claims.write_conclusions(paths.ROOT / "README.md")
        index.write_index()
        runs_table.write_index(profile)
    return 0


def _add(commands, name: str, run: Callable, text: str, help: bool = True) -> argparse.ArgumentParser:
    command = commands.add_parser(name, help=text, description=text, add_help=help)
    command.set_defaults(run=run, interrupted="give the same command again")
    return command


def _add_profile(command: argparse.ArgumentParser) -> None:
    command.add_argument("--profile", type=_text, help="smoke, quick or full (default: CIFAR_PROFILE, else full)")


def _add_device(command: argparse.ArgumentParser) -> None:
    command.add_argument("--device", type=_text, help="cpu, cuda, cuda:1 (default: a GPU where there is one)")


def _text(value: str) -> str:
    """An option's value; an empty one is most often a shell variable that is not set."""
    if not value.strip():
        raise argparse.ArgumentTypeError("the value is empty: leave the option out, or give it a value")
    return value


def _version() -> str:
    try:
        return metadata.version("cifar_helpers")
    except metadata.PackageNotFoundError:
        return "(not installed)"
