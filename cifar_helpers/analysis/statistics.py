"""How sure a comparison is: means over seeds, and differences in pairs with their confidence interval.

Two options are compared seed by seed. The interval is Student's for the mean of the paired differences d_1 ... d_n,
    mean(d) -+ t(n - 1) sd(d) / sqrt(n),
(Student 1908; scipy.stats.ttest_rel). It takes the differences as normal and speaks of other seeds, not of other
images; with three seeds t is 4.3, so only a steady difference shows.
"""

from collections.abc import Callable, Iterable

import numpy as np
import pandas as pd
from scipy import stats

CONFIDENCE = 0.95


def results(runs: Iterable, option: Callable, metric: str = "test_accuracy") -> pd.DataFrame:
    """One row per run: option (`option(run.config)`), seed, value (`metric` of the last epoch), diverged."""
    return pd.DataFrame(
        [
            {
                "option": option(run.config),
                "seed": run.config.seed,
                "value": run.record[metric],
                "diverged": run.record["diverged"],
            }
            for run in runs
        ]
    )


def summary(results: pd.DataFrame) -> pd.DataFrame:
    """Per option, in order of appearance: mean, sd (of a sample; NaN for one seed), n, diverged (a count)."""
    groups = results.groupby("option", sort=False)
    return groups["value"].agg(mean="mean", sd="std", n="count").assign(diverged=groups["diverged"].sum())


def differences(results: pd.DataFrame, baseline: str, confidence: float = CONFIDENCE) -> pd.DataFrame:
    """Each option minus the baseline, paired over seeds: difference, low, high (the interval), n, outcome.

    outcome: "higher" or "lower" where the interval leaves out zero, "identical" where every seed gives the very same
    value, else "undecided". One seed gives no interval (NaN). ValueError where an option lacks a seed.
    """
    table = results.pivot(index="seed", columns="option", values="value")[list(dict.fromkeys(results["option"]))]
    if baseline not in table:
        raise ValueError(f"there is no run of the baseline {baseline!r}; there are {', '.join(table.columns)}")
    rows = {}
    for option in table.columns.drop(baseline):
        if missing := sorted(table.index[table[[option, baseline]].isna().any(axis=1)]):
            raise ValueError(
                f"{option!r} and {baseline!r} cannot be compared in pairs: seeds {missing} are there for "
                "one of them only"
            )
        rows[option] = paired(table[option].to_numpy(), table[baseline].to_numpy(), confidence)
    return pd.DataFrame.from_dict(rows, orient="index", columns=["difference", "low", "high", "n", "outcome"])


def paired(values: np.ndarray, baseline: np.ndarray, confidence: float = CONFIDENCE) -> dict:
    """One row of `differences`, from values (n,) and the baseline's (n,) of the same seeds."""
    change, n = np.asarray(values, float) - np.asarray(baseline, float), len(values)
    low = high = np.nan
    if n > 1 and np.ptp(change) == 0:  # Student's formula divides zero by zero here
        low = high = change[0]
    elif n > 1:
        low, high = stats.ttest_rel(values, baseline).confidence_interval(confidence)
    # rounded, and never -0.0: what cancels up to the last bit is nought
    outcome = "identical" if not change.any() else "higher" if low > 0 else "lower" if high < 0 else "undecided"
    return {"difference": round(change.mean(), 9) + 0.0, "low": low, "high": high, "n": n, "outcome": outcome}


def effect(row, unit: str = "points") -> str:
    """One row of `differences` in a cell of a table: `+0.20 points [-2.82 to +3.22]`."""
    interval = f" [{row['low']:+.2f} to {row['high']:+.2f}]" if row["n"] > 1 else " (one seed)"
    return f"{row['difference']:+.2f} {unit}{interval}"


def between_seeds(sd: float) -> str:
    """How far two runs of one option lie apart by their seeds alone: up to 1.96 sqrt(2) sd in 19 of 20 pairs."""
    told = f" (in our runs by up to {1.96 * 2**0.5 * sd:.1f} points in 19 of 20 pairs)" if sd == sd else ""
    return f"one run each, and two runs differ by their seeds alone{told}"


def sentence(row, option: str, baseline: str, quantity: str = "test accuracy", unit: str = "points") -> str:
    """What one row of `differences` says, as plain text."""
    if row["outcome"] == "identical":
        return f"{option} and {baseline} have the same {quantity} in every seed."
    size = f"{abs(row['difference']):.2f}"
    way = "above" if row["difference"] > 0 else "below"
    said = (
        f"{option} and {baseline} are equal on average in {quantity}"
        if float(size) == 0
        else f"{option} is {size} {unit} {way} {baseline} in {quantity}"
    )
    if row["n"] < 2:
        return f"{said}, from one seed: no interval, so no difference that this run can show."
    said += f" ({100 * CONFIDENCE:.0f} % interval {row['low']:+.2f} to {row['high']:+.2f})"
    return said + (": no difference that these runs can show." if row["outcome"] == "undecided" else ".")


OUTCOMES = {  # of one option, of several
    "higher": ("is above", "are above"),
    "lower": ("is below", "are below"),
    "identical": ("is in every seed equal to", "are in every seed equal to"),
    "undecided": ("cannot be told from", "cannot be told from"),
}


def sentences(
    differences: pd.DataFrame,
    baseline: str,
    title: Callable[[str], str] = str,
    quantity: str = "test accuracy",
    unit: str = "points",
) -> str:
    """What `differences` says as plain text: options by their outcome and named as `title` does, each with its effect.

    The first interval says what it is, the others stand in brackets.
    """
    by_outcome = {outcome: differences[differences["outcome"] == outcome] for outcome in OUTCOMES}
    by_outcome = {outcome: rows for outcome, rows in by_outcome.items() if len(rows)}
    several = (differences["n"] > 1).any()
    first = next((rows.index[0] for outcome, rows in by_outcome.items() if outcome != "identical"), None)

    def told(option, row):
        if row["outcome"] == "identical":
            return title(option)
        span = f"{row['low']:+.2f} to {row['high']:+.2f}"
        if option == first and several:
            return f"{title(option)} ({row['difference']:+.2f} {unit}, {100 * CONFIDENCE:.0f} % interval {span})"
        return f"{title(option)} ({row['difference']:+.2f}" + (f" [{span}])" if row["n"] > 1 else f" {unit})")

    parts: list[str] = []
    for outcome, rows in by_outcome.items():
        names = enumerated([told(option, row) for option, row in rows.iterrows()])
        parts.append(f"{names} {OUTCOMES[outcome][len(rows) > 1]} {'it' if parts else title(baseline)}")
    return f"In {quantity}, {'; '.join(parts)}" + ("." if several else ": one seed gives no interval.")


def enumerated(names: Iterable[str]) -> str:
    """`a`, `a and b`, `a, b and c`."""
    *others, last = names
    return f"{', '.join(others)} and {last}" if others else last


VERDICTS = {
    "holds": "it holds that",
    "contradicted": "it is contradicted that",
    "cannot be shown": "it cannot be shown that",
}


def verdicts(claims: pd.DataFrame) -> str:
    """Claims by their verdict, as plain text: `it holds that a and b; it cannot be shown that c`.

    claims has a column `claim`, a clause, and a column `these runs`, the verdict.
    """
    by_verdict = claims.groupby("these runs", sort=False)["claim"]
    return "; ".join(f"{VERDICTS.get(verdict, verdict + ':')} {enumerated(told)}" for verdict, told in by_verdict)


def machines(runs: Iterable, option: Callable) -> str:
    """Which options (`option(run.config)`) were trained on another make of machine than most, as plain text.

    Empty where there is only one. Such a pair differs by more than its option: each make rounds sums in its own way.
    """
    makes = pd.DataFrame(
        [{"option": option(run.config), "make": run.record["device"].partition(",")[0]} for run in runs]
    )
    usual = makes["make"].mode()[0]
    others = makes[makes["make"] != usual].drop_duplicates().groupby("make", sort=False)["option"]
    if not len(others):
        return ""
    told = "; ".join(f"{enumerated(options)} on {make}" for make, options in others)
    return (
        f"Trained on different machines: {told}; the rest on {usual}. A seed gives the same first weights and the same "
        "images in the same order on each, but sums are rounded otherwise."
    )


def chance(count: int) -> str:
    """How many of so many intervals leave out zero by chance alone."""
    return f"Of {count} such intervals, chance alone makes {(1 - CONFIDENCE) * count:.2f} leave out zero on average."


def table(results: pd.DataFrame, baseline: str) -> pd.DataFrame:
    """`summary` with `differences` beside it, one row per option; the baseline's difference is missing (NaN)."""
    joined = summary(results).join(differences(results, baseline).drop(columns="n"))
    return joined.assign(outcome=joined["outcome"].fillna("baseline"))
