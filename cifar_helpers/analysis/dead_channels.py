"""How many channels of trained networks are dead."""

from collections.abc import Iterable

import pandas as pd

from cifar_helpers.records import Run


def count(runs: Iterable[Run]) -> pd.DataFrame:
    """The number of dead channels, from the runs that kept `dead_units`: a column per epoch.

    A row per activation, seed and layer, in the index's levels of these names. Empty where no run kept them.
    """
    counts = [
        run.measurement("dead_units").assign(activation=run.config.activation, seed=run.config.seed)
        for run in runs
        if "dead_units" in run.keep
    ]
    if not counts:
        return pd.DataFrame()
    table = pd.concat(counts)
    table["dead"] = (table["silent"] * table["units"]).round()
    return table.pivot(index=["activation", "seed", "layer"], columns="epoch", values="dead")
