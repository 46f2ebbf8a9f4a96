"""python -m cifar_helpers train | search | predict | data | notebook | pdf, see --help."""

import argparse
import os
import sys


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m cifar_helpers")
    commands = parser.add_subparsers(dest="command", required=True)
    for name, text in {
        "train": "train the runs of an experiment that have no record yet",
        "search": "go on with the search over what the ablations left open",
        "predict": "print which of the ten classes of CIFAR-10 pictures show, by the best network with weights",
        "data": "fetch and verify CIFAR-10",
        "notebook": "execute a notebook with papermill",
        "pdf": "build the report",
    }.items():
        command = commands.add_parser(name, help=text, description=text)
        if name == "train":
            command.add_argument("experiments", nargs="*", metavar="experiment", help="default: all of the profile")
            command.add_argument(
                "--keep",
                action="append",
                default=[],
                metavar="OUTPUT",
                help="keep this too: weights, logits, steps, ... (several times for several); see the README",
            )
            places = command.add_mutually_exclusive_group()
            places.add_argument("--workers", type=int, default=1, help="processes that train side by side")
            places.add_argument(
                "--scheduler",
                metavar="ADDRESS",
                help="a dask scheduler (tcp://host:8786) whose workers train; see the README",
            )
        if name == "search":
            command.add_argument("--trials", type=int, default=0, help="in all (default: the profile's number)")
            command.add_argument("--workers", type=int, default=1, help="processes that train side by side")
        if name in ("train", "search"):
            command.add_argument("--device", help="cpu, cuda, cuda:1 (default: a GPU where there is one)")
        if name == "predict":
            command.add_argument(
                "pictures", nargs="+", metavar="picture", help="files, folders, or - for a picture on standard input"
            )
            command.add_argument("--top", type=int, default=1, help="classes per picture, 1 to 10 (default: 1)")
            command.add_argument("--model", metavar="FOLDER", help="a record with weights (default: the best model)")
        if name == "notebook":
            command.add_argument("name", help="02_architectures")
        if name != "predict":
            command.add_argument("--profile", help="smoke, quick or full (default: CIFAR_PROFILE, else full)")
    options = parser.parse_args(arguments)
    if folder := os.environ.get("CIFAR_DATA"):  # a notebook's kernel may have another working directory
        os.environ["CIFAR_DATA"] = os.path.abspath(os.path.expanduser(folder))
    try:
        return {
            "train": _train,
            "search": _search,
            "predict": _predict,
            "data": _data,
            "notebook": _notebook,
            "pdf": _pdf,
        }[options.command](options)
    except (ValueError, OSError, RuntimeError, ImportError) as error:  # DataError is a RuntimeError
        print(f"error: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        then = {
            "train": "the same command goes on from the last epoch",
            "search": "the same command goes on; trials that had not ended begin again",
        }
        print(f"\ninterrupted; {then.get(options.command, 'give the same command again')}", file=sys.stderr)
        return 130


def _train(options) -> int:
    from contextlib import AbstractContextManager, nullcontext

    from cifar_helpers import experiments
    from cifar_helpers.records import execution

    profile = experiments.profile(options.profile)
    skipped = experiments.FULL_ONLY if profile != "full" else ()
    names = options.experiments or [name for name in experiments.EXPERIMENTS if name not in skipped]
    for name in names:  # an unknown name is told before anything starts
        experiments.get_experiment(name)
    if options.scheduler:
        place: AbstractContextManager = execution.dask(options.scheduler)
    else:
        place = execution.processes(options.workers) if options.workers != 1 else nullcontext()
    with place as executor:
        for name in names:
            for run in experiments.get_all(name, profile, options.device, executor, keep=options.keep):
                record = run.record
                measured = record.get("test_accuracy", record.get("validation_accuracy"))
                print(
                    f"{profile} {name} {run.folder.name}: {measured:.2f} % after {record['epochs']} epochs, "
                    f"{record['seconds']:.0f} s, {record['images_per_second']:.0f} images/s"
                    + ("; it diverged, so it ended there" if record["diverged"] else ""),
                    flush=True,
                )
    return 0


def _search(options) -> int:
    from cifar_helpers import experiments
    from cifar_helpers.experiments import search
    from cifar_helpers.records import execution

    profile = experiments.profile(options.profile)
    if options.workers == 1:
        search.run(profile, options.trials, options.device)
    else:
        with execution.processes(options.workers) as pool:
            workers = [pool.submit(search.run, profile, options.trials, options.device) for _ in range(options.workers)]
        for worker in workers:
            worker.result()
    trials = search.table(search.study(profile))
    best = [
        f"; the best is trial {row.number}"
        for row in trials[trials["state"] == "COMPLETE"].nlargest(1, "validation accuracy").itertuples()
    ]  # none where another process is still at the first
    print(f"{profile} search: {len(trials)} trials", *best, sep="")
    return 0


def _predict(options) -> int:
    from cifar_helpers import predict

    return predict.command(options.pictures, options.model, options.top)


def _data(options) -> int:
    from cifar_helpers import data, experiments

    cifar = data.dataset(experiments.profile(options.profile))
    print(
        f"{'SYNTHETIC' if cifar.synthetic else 'CIFAR-10'}: {len(cifar.train_images):,} training and "
        f"{len(cifar.test_images):,} test images, verified"
    )
    return 0


def _notebook(options) -> int:
    from cifar_helpers import experiments
    from cifar_helpers.notebook import execution

    return execution.execute(options.name, experiments.profile(options.profile))


def _pdf(options) -> int:
    from cifar_helpers import experiments
    from cifar_helpers.core import paths
    from cifar_helpers.report import claims, index, pdf, runs_table

    profile = experiments.profile(options.profile)
    print(pdf.build_pdf(profile))
    if profile == "full":
        claims.write_conclusions(paths.ROOT / "README.md")
        index.write_index()
        runs_table.write_index(profile)
    return 0


if __name__ == "__main__":
    sys.exit(main())
