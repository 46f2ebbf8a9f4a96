"""Small runs that stand in for missing full ones, for notebooks."""

from cifar_helpers.core import paths, profiles
from cifar_helpers.records.checksums import DamagedRecord


def shown(profile: str | None, *names: str) -> str:
    """The profile whose runs of the named experiments a notebook shows.

    It is `profile`; but where that is full and a run has no record yet, the committed runs of quick stand in, marked as
    such in figures, tables and report.
    """
    from cifar_helpers import experiments

    profile = profiles.profile(profile)
    for name in names:
        experiments.get_experiment(name)
    try:
        if profile != "full" or not any(experiments.missing(name, profile) for name in names):
            return profile
    except DamagedRecord:
        raise
    except ValueError:  # which rates an experiment takes is decided by a sweep that has not been run
        pass
    return paths.StandIn("quick")
