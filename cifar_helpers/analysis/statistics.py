"""How sure a comparison is: means over seeds, and differences in pairs with their confidence interval.

Two options are compared seed by seed. The interval is Student's for the mean of the paired differences d_1 ... d_n,
    mean(d) -+ t(n - 1) sd(d) / sqrt(n),
(Student 1908; scipy.stats.ttest_rel). It takes the differences as normal and speaks of other seeds, not of other
images; with three seeds t is 4.3, so only a steady difference shows.
"""

from collections.abc import Callable, Iterable

import numpy as np
import pandas as pd
from scipy import optimize, stats

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


def wilson(correct: int, count: int, confidence: float = CONFIDENCE) -> tuple[float, float]:
    """Wilson's interval, in percent, of an accuracy of `correct` in `count` test images.

    It is for the choice of the images, not for that of a seed (Wilson 1927; scipy.stats.binomtest).
    """
    interval = stats.binomtest(int(correct), int(count)).proportion_ci(confidence, method="wilson")
    return 100 * interval.low, 100 * interval.high


def spearman(first, second, alternative: str = "two-sided") -> tuple[float, float]:
    """Spearman's rank correlation of two lists (n,), and its exact p-value over all n! pairings (n from 2 to 8).

    alternative: "two-sided", "greater" or "less". NaN and 1 where one of the lists has one value only, or a value that
    is not finite. Raises: ValueError for lists of other lengths.
    """
    if len(first) != len(second) or not 2 <= len(first) <= 8:
        raise ValueError(f"two lists of the same length, 2 to 8, not {len(first)} and {len(second)}")
    if np.ptp(first) == 0 or np.ptp(second) == 0 or not np.isfinite([*first, *second]).all():
        return float("nan"), 1.0
    ranks, others = stats.rankdata(first), stats.rankdata(second)
    # the correlation grows with this sum, which is exact for halves; all else in it is the same for all pairings
    test = stats.permutation_test(
        (ranks,),
        lambda values, axis: (values * others).sum(axis),
        permutation_type="pairings",
        n_resamples=np.inf,
        alternative=alternative,
        vectorized=True,
    )
    return float(np.corrcoef(ranks, others)[0, 1]), float(test.pvalue)


def holm(p_values) -> np.ndarray:
    """p-values (k,) adjusted for k tests, in the same order (Holm 1979).

    Of all hypotheses that are true, one or more has an adjusted value of up to 0.05 in at most 5 % of cases.
    """
    p_values = np.asarray(p_values, float)
    order = p_values.argsort()
    steps = np.maximum.accumulate(p_values[order] * np.arange(len(p_values), 0, -1))
    adjusted = np.empty_like(p_values)
    adjusted[order] = steps.clip(max=1)
    return adjusted


def _pooled(results: pd.DataFrame) -> tuple[pd.DataFrame, float, int]:
    """Values by seed and option, the standard error of any mean paired difference, and its degrees of freedom.

    The variance of the paired differences is averaged over all pairs of options. It is twice the mean square that the
    seeds and the options leave unexplained (two-way analysis of variance), with (seeds - 1)(options - 1) degrees of
    freedom. Pairs with the baseline alone would all share the baseline's noise, and have fewer than that.
    """
    table = results.pivot(index="seed", columns="option", values="value")[list(dict.fromkeys(results["option"]))]
    if missing := [f"{option!r} lacks seed {seed}" for option in table for seed in table.index[table[option].isna()]]:
        raise ValueError(f"options are compared on the same seeds, but {', '.join(missing)}")
    values = table.to_numpy()
    seeds, options = values.shape
    freedom = (seeds - 1) * (options - 1)
    if freedom < 1:
        return table, np.nan, 0
    residuals = values - values.mean(0) - values.mean(1, keepdims=True) + values.mean()
    return table, float(np.sqrt(2 * (residuals**2).sum() / freedom / seeds)), freedom


def family(results: pd.DataFrame, baseline: str, confidence: float = CONFIDENCE) -> pd.DataFrame:
    """All options of an experiment against the baseline, paired over seeds: a row per option.

    Columns: difference, low, high, n (seeds), p, p_holm, outcome. The variance of the differences is pooled over the
    options (`_pooled`), which three seeds alone estimate badly: so the options must scatter alike, and one that
    diverges is to be left out. low to high is the interval of each option by itself; p_holm is adjusted for all of
    them, and decides the outcome: "higher", "lower", "undecided", or "identical" where every seed gives the same
    value. One seed gives NaN. ValueError where an option lacks a seed.
    """
    table, error, freedom = _pooled(results)
    if baseline not in table:
        raise ValueError(f"there is no run of the baseline {baseline!r}; there are {', '.join(table.columns)}")
    changes = table.drop(columns=baseline).sub(table[baseline], axis=0)
    difference = changes.mean().round(9) + 0.0  # never -0.0, and what cancels up to the last bit is nought
    half = stats.t.ppf((1 + confidence) / 2, freedom) * error if freedom else np.nan
    with np.errstate(divide="ignore", invalid="ignore"):
        p = 2 * stats.t.sf(np.abs(difference / error), freedom) if freedom else np.full(len(difference), np.nan)
    rows = pd.DataFrame({"difference": difference, "low": difference - half, "high": difference + half})
    rows = rows.assign(n=len(table), p=np.where(difference == 0, 1.0, p) if freedom else p)
    rows["p_holm"] = holm(rows["p"])
    shown = rows["p_holm"] <= 1 - confidence
    sign = np.where(difference > 0, "higher", "lower")
    rows["outcome"] = np.where(~changes.any(), "identical", np.where(shown, sign, "undecided"))
    return rows.rename_axis(None)


def detectable(results: pd.DataFrame, power: float = 0.8, confidence: float = CONFIDENCE) -> float:
    """The difference from the baseline that these runs would have shown in `power` of all repetitions, in their unit.

    At the strictest step of `family`'s adjustment: if one option alone differs. NaN for one seed.
    """
    table, error, freedom = _pooled(results)
    if not freedom:
        return float("nan")
    threshold = stats.t.isf((1 - confidence) / 2 / (table.shape[1] - 1), freedom)

    # a difference in the wrong direction is shown so rarely that it does not count
    shift = optimize.brentq(lambda shift: stats.nct.sf(threshold, freedom, shift) - power, 0, 5 * threshold + 10)
    return float(shift * error)


def mcnemar(correct: np.ndarray, others: np.ndarray, confidence: float = CONFIDENCE) -> dict:
    """Two networks on the same test images, from what each gets right: (n,) bool of both.

    difference: of their accuracies, in percentage points, first minus second; low, high: its interval, the adjusted
    Wald interval of Bonett and Price (2012); only_first, only_second: images that one of them alone gets right; n; p:
    the exact binomial test of whether these two counts differ (McNemar 1947). It speaks of other images, not of other
    seeds.
    """
    correct, others = np.asarray(correct, bool), np.asarray(others, bool)
    if correct.shape != others.shape or correct.ndim != 1 or not len(correct):
        raise ValueError(f"two lists of the same images, not {correct.shape} and {others.shape}")
    n, first, second = len(correct), int((correct & ~others).sum()), int((others & ~correct).sum())
    a, b = (first + 1) / (n + 2), (second + 1) / (n + 2)
    half = stats.norm.ppf((1 + confidence) / 2) * np.sqrt((a + b - (a - b) ** 2) / (n + 2))
    return {
        "difference": 100 * (first - second) / n,
        "low": 100 * (a - b - half),
        "high": 100 * (a - b + half),
        "only_first": first,
        "only_second": second,
        "n": n,
        "p": stats.binomtest(first, first + second).pvalue if first + second else 1.0,
    }


def verdict(row, claim: str = "higher") -> str:
    """What a row of `family` says of the claim that the option is "higher" (or "lower") than the baseline.

    "holds", "contradicted" where the opposite is shown, else "undecided".
    """
    opposite = {"higher": "lower", "lower": "higher"}[claim]
    return {claim: "holds", opposite: "contradicted"}.get(row["outcome"], "undecided")


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
