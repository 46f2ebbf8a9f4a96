"""Compare the losses and measurements of two networks: bands over rates, ratios, steps of equal loss."""

from collections.abc import Collection, Mapping, Sequence

import numpy as np
import pandas as pd
from scipy.optimize import linear_sum_assignment

from cifar_helpers import models
from cifar_helpers.analysis.statistics import CONFIDENCE, paired, verdict


def band(runs: Sequence, smoothing: int = 1) -> pd.DataFrame:
    """Per step the smallest and largest loss over runs at several rates: step (from 0), low, high, width.

    `runs` are records with their steps. Each loss is first averaged over the last `smoothing` steps. Runs of unequal
    length are compared up to the shortest. A run that diverged does not cut the others short: from its last finite loss
    on it counts as infinitely high.
    """
    rates = sorted({run.config.learning_rate for run in runs})
    if len(rates) < 2:
        raise ValueError(
            "the band is the spread of the loss over learning rates, so it takes two of them or more, not "
            f"{', '.join(f'{rate:g}' for rate in rates) or 'none'}"
        )
    if smoothing < 1:
        raise ValueError(f"smoothing is a number of steps, 1 or more, not {smoothing}")
    lengths = [len(run.steps) for run in runs if not run.record["diverged"]]
    length = min(lengths) if lengths else max(len(run.steps) for run in runs)
    table = np.full((len(runs), length), np.inf)
    for row, run in zip(table, runs):
        steps = run.steps[:length].astype(float)
        averaged = pd.Series(steps).rolling(smoothing, min_periods=1).mean()
        row[: len(steps)] = averaged.where(np.logical_and.accumulate(np.isfinite(steps)), np.inf)
    low, high = table.min(0), table.max(0)
    width = np.subtract(high, low, out=np.full(length, np.inf), where=np.isfinite(high))
    return pd.DataFrame({"step": np.arange(length), "low": low, "high": high, "width": width})


def bands(runs: Sequence, rates: Collection[float], smoothing: int = 1) -> pd.DataFrame:
    """`band` of several networks side by side, over their runs at these rates: table[quantity][title] by seed, step."""
    groups: dict[tuple, list] = {}
    for run in runs:
        if run.config.learning_rate in rates:
            groups.setdefault((run.config.seed, models.TITLES[run.config.model]), []).append(run)
    parts = [band(group, smoothing).assign(seed=seed, network=title) for (seed, title), group in groups.items()]
    return pd.concat(parts).pivot(index=["seed", "step"], columns="network").fillna(np.inf)


def ratio(
    normed: Sequence[float], plain: Sequence[float], confidence: float = CONFIDENCE, blocks: int = 20, draws: int = 2000
) -> tuple[float, float, float]:
    """The median over training of `normed` divided by that of `plain`, with the ends of its interval.

    The interval is from a bootstrap over blocks of consecutive steps (both sides keep the same blocks), since
    neighbouring steps are alike: it says how the ratio varies over this training, not over seeds. Infinite values are
    allowed; the ratio is NaN where both medians are infinite or zero, and where there are no steps. Unequal lengths are
    cut to the shorter.
    """
    length = min(len(normed), len(plain))
    if not length:
        return np.nan, np.nan, np.nan
    both = np.column_stack([normed[:length], plain[:length]]).astype(float)
    parts = np.array_split(both, min(blocks, len(both)))
    random = np.random.default_rng(0)

    def of(pairs: np.ndarray) -> float:
        top, bottom = np.median(pairs, axis=0)
        with np.errstate(divide="ignore", invalid="ignore"):
            return top / bottom

    drawn = [of(np.concatenate([parts[i] for i in random.integers(len(parts), size=len(parts))])) for _ in range(draws)]
    tail = (1 - confidence) / 2
    low, high = np.quantile(drawn, [tail, 1 - tail], method="nearest")  # interpolation makes NaN of infinities
    return of(both), low, high


def ratios(cases: Mapping[str, pd.DataFrame], normed: str, plain: str) -> pd.DataFrame:
    """Medians over the steps and their `ratio`, a row per case: its values have a column per network."""
    rows = {
        case: [values[plain].median(), values[normed].median(), *ratio(values[normed].values, values[plain].values)]
        for case, values in cases.items()
    }
    return _table(rows)


def seed_ratios(cases: Mapping[str, pd.DataFrame], normed: str, plain: str) -> pd.DataFrame:
    """Medians over the steps and their ratio over the seeds, a row per case: by seed, a column per network.

    The medians shown are those of the seeds' medians. Ratio is the geometric mean of the seeds' ratios, with Student's
    interval for pairs of logarithms; one seed gives NaN for it.
    """
    rows = {}
    for case, values in cases.items():
        medians = values.groupby("seed").median()
        with np.errstate(divide="ignore", invalid="ignore"):
            found = paired(np.log(medians[normed]), np.log(medians[plain]))
        ends = [np.exp(found[name]) for name in ("difference", "low", "high")]
        rows[case] = [medians[plain].median(), medians[normed].median(), *ends]
    return _table(rows)


def judge(values: pd.DataFrame, option: str, baseline: str, claim: str) -> tuple[str, int, str]:
    """An option against the baseline over seeds: the ratio as a cell of a table, the number of seeds, the verdict.

    values: by seed, a column per network. Each seed has the ratio of its medians; the ratio is their geometric mean,
    with Student's interval. claim: "higher" or "lower", see `statistics.verdict`.
    """
    medians = np.log(values.groupby("seed").median())
    found = paired(medians[option], medians[baseline])
    ends = f" [{np.exp(found['low']):.2f} to {np.exp(found['high']):.2f}]" if found["n"] > 1 else ""
    return f"{np.exp(found['difference']):.2f} times{ends}", found["n"], verdict(found, claim)


def _table(rows: Mapping[str, Sequence[float]]) -> pd.DataFrame:
    """What `ratios` and `seed_ratios` give: a row per case, with the two medians."""
    columns = ["Plain", "Batch norm", "Ratio", "95 % low", "95 % high"]
    return pd.DataFrame.from_dict(rows, orient="index", columns=columns).rename_axis("Case")


def at_equal_loss(
    loss: pd.DataFrame, values: pd.DataFrame, normed: str, plain: str, factor: float = 1.25
) -> pd.DataFrame:
    """Values of both networks from steps of equal loss instead of equal number: a row per seed and pair of steps.

    A network that has learned more has a smaller loss, and all that is measured along its gradient is smaller with it.
    Within a seed the steps are matched one to one, so that the ratios of their losses are as near to 1 as they can be
    in all; pairs whose losses differ by more than the factor are left out. loss and values are tables of `measured` (a
    column per network, by seed and step).
    """
    seeds = loss.index.unique("seed")
    found = {seed: _at_equal_loss(loss.loc[seed], values.loc[seed], normed, plain, factor) for seed in seeds}
    return pd.concat(found, names=["seed", "pair"])


def _at_equal_loss(loss: pd.DataFrame, values: pd.DataFrame, normed: str, plain: str, factor: float) -> pd.DataFrame:
    logs = [np.log(loss[name].to_numpy()) for name in (plain, normed)]
    limit = np.log(factor)
    # beyond the limit all pairs are equally bad
    apart = np.nan_to_num(abs(logs[0][:, None] - logs[1]), nan=np.inf).clip(max=2 * limit)
    of_plain, of_normed = linear_sum_assignment(apart)
    near = apart[of_plain, of_normed] <= limit
    sides = {normed: values[normed].to_numpy()[of_normed], plain: values[plain].to_numpy()[of_plain]}
    return pd.DataFrame(sides)[near].reset_index(drop=True)


def measured(runs: Sequence, name: str) -> pd.DataFrame:
    """A measurement of runs of several networks side by side: table[quantity][title] by seed, step (and layer).

    Where a run had diverged and another of the same seed went on, its values are infinite.
    """
    rows = pd.concat(
        [run.measurement(name).assign(network=models.TITLES[run.config.model], seed=run.config.seed) for run in runs]
    )
    index = [name for name in ("seed", "step", "layer") if name in rows]
    table = rows.drop(columns="epoch").pivot(index=index, columns="network")
    return table.fillna(np.inf)
