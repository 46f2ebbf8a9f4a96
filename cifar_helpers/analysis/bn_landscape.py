"""What the measurements of train.landscape say: bands over rates, ratios of two networks, steps of equal loss."""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from cifar_helpers.analysis.statistics import CONFIDENCE


def band(runs: Sequence, smoothing: int = 1) -> pd.DataFrame:
    """Per step the smallest and largest loss over runs at several rates: step (from 0), low, high, width, lost.

    `runs` are records with their steps. Each loss is first averaged over the last `smoothing` steps. Runs of unequal
    length are compared up to the shortest (attrs["cut"] is then true). A run that diverged does not cut the others
    short: from its last finite loss on it counts as infinitely high, and `lost` counts such runs.
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
    frame = pd.DataFrame(
        {"step": np.arange(length), "low": low, "high": high, "width": width, "lost": np.isinf(table).sum(0)}
    )
    frame.attrs["cut"] = len(set(lengths)) > 1
    return frame


def ratio(
    normed: Sequence[float], plain: Sequence[float], confidence: float = CONFIDENCE, blocks: int = 20, draws: int = 2000
) -> dict:
    """The median over training of `normed` divided by that of `plain`: ratio, low, high, smaller, outcome.

    The interval is from a bootstrap over blocks of consecutive steps (both sides keep the same blocks), since
    neighbouring steps are alike: it says how the ratio varies over this training, not over seeds. smaller is the
    share of steps (0..1) at which normed is below plain; outcome is "smaller", "larger" or "undecided". Infinite
    values are welcome; where both medians are infinite or zero, the ratio is NaN. Unequal lengths are cut to the
    shorter.
    """
    length = min(len(normed), len(plain))
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
    outcome = "smaller" if high < 1 else "larger" if low > 1 else "undecided"
    return {
        "ratio": of(both),
        "low": low,
        "high": high,
        "smaller": float((both[:, 0] < both[:, 1]).mean()),
        "outcome": outcome,
    }


def at_equal_loss(loss: pd.DataFrame, values: pd.DataFrame, normed: str, plain: str, factor: float = 1.25):
    """Pairs of values (normed, plain) from steps of equal loss instead of equal number.

    A network that has learned more has a smaller loss, and all that is measured along its gradient is smaller with it.
    Each step of `plain` gets the step of `normed` whose loss is nearest; pairs whose losses differ by more than the
    factor are left out. loss and values are tables of `measured` (a column per network). Two arrays, by step of plain.
    """
    sides = []
    for name in (plain, normed):
        side = pd.DataFrame({"log": np.log(loss[name].to_numpy()), name: values[name].to_numpy()})
        side["order"] = np.arange(len(side))
        sides.append(side[np.isfinite(side["log"])].sort_values("log"))
    pairs = (
        pd.merge_asof(sides[0], sides[1].drop(columns="order"), on="log", direction="nearest", tolerance=np.log(factor))
        .dropna()
        .sort_values("order")
    )
    return pairs[normed].to_numpy(), pairs[plain].to_numpy()


def sentence(
    what: str,
    result: dict,
    one: str = "with batch norm",
    other: str = "without",
    expected: str | None = "smaller",
    who: str = "the paper",
) -> str:
    """`ratio`'s result for a reader: "The width of the loss band with batch norm is 0.40 times that without ...".

    expected is what `who` says of it, "smaller" or "larger"; None where nobody says anything.
    """
    told = "no difference that these steps can show" if result["outcome"] == "undecided" else result["outcome"]
    if expected and result["outcome"] != "undecided":
        told += f", {'as' if result['outcome'] == expected else 'against what'} {who} says"
    numbers = [result[key] for key in ("ratio", "low", "high")]
    if not np.isfinite(numbers).all() or min(numbers) == 0:
        return (
            f"{what} {one} cannot be divided by that {other}, since one of them is infinite or zero at too many "
            f"steps: {told}."
        )
    told_ratio, low, high = (f"{number:.{2 if 0.095 <= number < 10 else 3}g}" for number in numbers)
    return (
        f"{what} {one} is {told_ratio} times that {other} in the median over the steps "
        f"({100 * CONFIDENCE:.0f} % interval over blocks of steps {low} to {high}): {told}."
    )


def measured(runs: Sequence, name: str) -> pd.DataFrame:
    """A measurement of runs of several networks side by side: table[quantity][network] by seed, step (and layer).

    Where a run had diverged and another of the same seed went on, its values are infinite.
    """
    rows = pd.concat([run.measurement(name).assign(network=run.config.model, seed=run.config.seed) for run in runs])
    index = [name for name in ("seed", "step", "layer") if name in rows]
    table = rows.drop(columns="epoch").pivot(index=index, columns="network")
    return table.fillna(np.inf)
