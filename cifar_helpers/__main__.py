"""python -m cifar_helpers train | data | notebook | pdf | publish, see --help."""

import argparse
import sys


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m cifar_helpers")
    commands = parser.add_subparsers(dest="command", required=True)
    for name, text in {"train": "train the runs of an experiment that have no record yet",
                       "data": "fetch and verify CIFAR-10",
                       "notebook": "execute a notebook with papermill",
                       "pdf": "build the report",
                       "publish": "copy a profile's notebooks, figures and report to where they are committed"}.items():
        command = commands.add_parser(name, help=text, description=text)
        if name == "train":
            command.add_argument("experiments", nargs="+", metavar="experiment")
            command.add_argument("--device", help="cpu, cuda, cuda:1 (default: a GPU where there is one)")
            places = command.add_mutually_exclusive_group()
            places.add_argument("--workers", type=int, default=1, help="processes that train side by side")
            places.add_argument("--scheduler", metavar="ADDRESS",
                                help="a dask scheduler (tcp://host:8786) whose workers train; see the README")
        if name == "notebook":
            command.add_argument("name", help="02_architectures")
        command.add_argument("--profile", help="smoke, quick or full (default: CIFAR_PROFILE, else quick)")
    options = parser.parse_args(arguments)
    try:
        return {"train": _train, "data": _data, "notebook": _notebook, "pdf": _pdf, "publish": _publish}[
            options.command](options)
    except (ValueError, OSError, RuntimeError, ImportError) as error:  # DataError is a RuntimeError
        print(f"error: {error}", file=sys.stderr)
        return 1


def _train(options) -> int:
    from contextlib import nullcontext

    from cifar_helpers import executors, experiments, runs

    profile = experiments.profile(options.profile)
    for name in options.experiments:  # an unknown name is told before anything starts
        experiments.known(name)
    if options.scheduler:
        place = executors.dask(options.scheduler)
    else:
        place = executors.processes(options.workers) if options.workers != 1 else nullcontext()
    with place as executor:
        for name in options.experiments:
            for run in runs.get_all(name, profile, options.device, executor):
                record = run.record
                measured = record.get("test_accuracy", record.get("validation_accuracy"))
                print(f"{profile} {name} {run.folder.name}: {measured:.2f} % after {record['epochs']} epochs, "
                      f"{record['seconds']:.0f} s, {record['images_per_second']:.0f} images/s", flush=True)
    return 0


def _data(options) -> int:
    from cifar_helpers import experiments

    cifar = experiments.dataset(experiments.profile(options.profile))
    print(f"{'SYNTHETIC' if cifar.synthetic else 'CIFAR-10'}: {len(cifar.train_images):,} training and "
          f"{len(cifar.test_images):,} test images, verified")
    return 0


def _notebook(options) -> int:
    from cifar_helpers import experiments, pipeline

    return pipeline.execute(options.name, experiments.profile(options.profile))


def _pdf(options) -> int:
    from cifar_helpers import experiments, report

    print(report.build_pdf(experiments.profile(options.profile)))
    return 0


def _publish(options) -> int:
    from cifar_helpers import experiments, pipeline

    pipeline.publish(experiments.profile(options.profile))
    return 0


if __name__ == "__main__":
    sys.exit(main())
