"""How sure a comparison is: means over seeds, and differences in pairs with their confidence interval.

Two options are compared seed by seed. The interval of one planned comparison (`paired`) is Student's for the mean of
the differences d_1 ... d_n,
    mean(d) -+ t(n - 1) sd(d) / sqrt(n),
(Student 1908; scipy.stats.ttest_rel). With three seeds t is 4.3, so only a steady difference shows. For all options of
an experiment (`family`), the variance is pooled over them. Both assume normally distributed differences and generalise
over seeds, not over images.
"""

from collections.abc import Callable, Iterable, Sequence

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


def paired(values: np.ndarray, baseline: np.ndarray, confidence: float = CONFIDENCE) -> dict:
    """One planned comparison: values (n,) minus the baseline's (n,) of the same seeds.

    difference, low, high (its interval, Student's for pairs), n, and outcome: "higher" or "lower" where the interval
    leaves out zero, "identical" where every seed gives the very same value, else "undecided". One seed gives NaN.
    """
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
        raise ValueError(
            f"there is no run of the baseline {baseline!r}; there are {', '.join(map(str, table.columns))}"
        )
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


def mean_difference(against: pd.DataFrame, options: Sequence[str]) -> dict:
    """The mean of several differences from one baseline: difference, low, high, n, from the rows of `family`.

    A difference has the variance of two runs, 2 v. The mean of k of them has v / k from the options and v from the
    baseline, which all of them share: (1 + 1 / k) / 2 of the variance of one.
    """
    rows = against.loc[list(options), ["difference", "low", "high", "n"]]
    mean, narrower = rows.mean(), np.sqrt((1 + 1 / len(rows)) / 2)
    low, high = (mean["difference"] + narrower * (mean[end] - mean["difference"]) for end in ("low", "high"))
    return {"difference": mean["difference"], "low": low, "high": high, "n": int(mean["n"])}


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


def verdict(row, claim: str = "higher") -> str:
    """What a row of `family` says of the claim that the option is "higher" (or "lower") than the baseline.

    "holds", "contradicted" where the opposite is shown, else "undecided".
    """
    opposite = {"higher": "lower", "lower": "higher"}[claim]
    return {claim: "holds", opposite: "contradicted"}.get(row["outcome"], "undecided")


def effect(row, unit: str = "points") -> str:
    """A difference in a cell of a table: `+0.20 points [-2.82 to +3.22]`."""
    interval = f" [{row['low']:+.2f} to {row['high']:+.2f}]" if row["n"] > 1 else " (one seed)"
    return f"{row['difference']:+.2f} {unit}{interval}"
