import itertools
import math
import types

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from cifar_helpers.analysis import statistics

# Student's own data, hours of sleep gained; R: t.test(extra ~ group, sleep, paired = TRUE)
SLEEP = {
    "first": [0.7, -1.6, -0.2, -1.2, -0.1, 3.4, 3.7, 0.8, 0.0, 2.0],
    "second": [1.9, 0.8, 1.1, 0.1, -0.1, 4.4, 5.5, 1.6, 4.6, 3.4],
}


def frame(**options):
    return pd.DataFrame(
        [
            {"option": name, "seed": seed, "value": value, "diverged": False}
            for name, values in options.items()
            for seed, value in enumerate(values)
        ]
    )


def test_students_sleep_data():
    first, second = map(np.array, SLEEP.values())
    row = statistics.paired(first, second)
    assert (row["difference"], row["low"], row["high"]) == pytest.approx((-1.58, -2.4598858, -0.7001142), abs=1e-6)
    assert row["outcome"] == "lower" and row["n"] == 10
    assert statistics.paired(second, first)["outcome"] == "higher"
    wide = statistics.paired(first, second, confidence=0.99)
    assert wide["low"] < row["low"] and wide["high"] > row["high"]


def test_interval_covers_the_truth_as_often_as_it_says():
    random = np.random.default_rng(0)
    rows = [statistics.paired(random.normal(1.0, 2.0, 3), np.zeros(3)) for _ in range(2000)]
    covered = np.mean([row["low"] < 1.0 < row["high"] for row in rows])
    assert 0.935 < covered < 0.965  # four standard errors around 0.95


def test_pairs_are_matched_by_seed_not_by_order():
    runs = frame(a=[1.0, 2.0, 4.0], b=[1.5, 2.5, 4.6])
    shuffled = runs.iloc[[0, 1, 2, 5, 3, 4]]
    pd.testing.assert_frame_equal(statistics.family(runs, "a"), statistics.family(shuffled, "a"))


@pytest.mark.parametrize(
    ("values", "outcome"),
    [
        ([50.0, 52.0, 51.0], "identical"),
        ([51.0, 53.0, 52.0], "higher"),
        ([50.5, 51.5, 51.2], "undecided"),
        ([40.0, 42.5, 41.0], "lower"),
        ([51.0, 51.0, 51.0], "undecided"),  # equal on average, not in every seed
    ],
)
def test_outcome_of_a_pair(values, outcome):
    assert statistics.paired(np.array(values), np.array([50.0, 52.0, 51.0]))["outcome"] == outcome


def test_what_cancels_up_to_the_last_bit_is_nought():
    values, baseline = np.array([30.2, 30.2, 30.2]), np.array([27.4, 35.2, 28.0])
    assert (values - baseline).mean() < 0
    assert statistics.effect(statistics.paired(values, baseline)).startswith("+0.00 points [")


def test_one_seed_has_no_interval():
    row = statistics.paired(np.array([2.0]), np.array([1.0]))
    assert np.isnan(row["low"]) and row["outcome"] == "undecided"
    assert statistics.effect(row) == "+1.00 points (one seed)"


def test_verdict_on_a_claim():
    for outcome, higher, lower in (
        ("higher", "holds", "contradicted"),
        ("lower", "contradicted", "holds"),
        ("undecided", "undecided", "undecided"),
        ("identical", "undecided", "undecided"),
    ):
        row = {"outcome": outcome}
        assert (statistics.verdict(row), statistics.verdict(row, "lower")) == (higher, lower)


def test_results_and_summary_keep_the_order_and_count_what_diverged():
    runs = [
        types.SimpleNamespace(
            config=types.SimpleNamespace(seed=seed, loss=loss),
            record={"test_accuracy": value, "diverged": loss == "mse"},
        )
        for loss, value in (("mse", 10.0), ("bce", 30.0))
        for seed in (0, 1)
    ]
    summary = statistics.summary(statistics.results(runs, lambda config: config.loss))
    assert list(summary.index) == ["mse", "bce"] and summary["diverged"].tolist() == [2, 0]
    assert summary["mean"].tolist() == [10.0, 30.0] and summary["sd"].tolist() == [0.0, 0.0]


def test_the_p_value_counts_all_pairings():
    assert statistics.spearman([1, 2, 3, 4, 5], [10, 20, 30, 40, 50]) == pytest.approx((1, 2 / 120))
    assert statistics.spearman([1, 2, 3, 4, 5], [9, 7, 5, 3, 1]) == pytest.approx((-1, 2 / 120))
    # one swap of neighbours: four orders besides the right one do as well or better (rho = 0.9)
    assert statistics.spearman([1, 2, 3, 4, 5], [1, 2, 3, 5, 4]) == pytest.approx((0.9, 10 / 120))


def test_the_p_value_where_nothing_can_be_ordered():
    for second in ([2, 2, 2], [1, 2, np.nan]):
        agreement, p = statistics.spearman([1, 2, 3], second)
        assert np.isnan(agreement) and p == 1
    with pytest.raises(ValueError, match="same length, 2 to 8, not 3 and 2"):
        statistics.spearman([1, 2, 3], [1, 2])


def test_spearman_is_its_definition():
    """1 - 6 sum d^2 / (n (n^2 - 1)) without ties; p is the share of pairings that are as far from zero."""
    random = np.random.default_rng(0)
    for n in (3, 4, 5, 6):
        first, second = random.permutation(n), random.permutation(n)

        def rho(order, first=first, n=n):
            return 1 - 6 * ((first - np.array(order)) ** 2).sum() / (n * (n**2 - 1))

        every = np.array([rho(order) for order in itertools.permutations(range(n))])
        found, p = statistics.spearman(first * 2.5, second - 7.0, "greater")
        assert (found, p) == pytest.approx((rho(second), np.mean(every >= found - 1e-9)))
        assert statistics.spearman(first, second)[1] == pytest.approx(np.mean(abs(every) >= abs(found) - 1e-9))


def test_spearman_of_ties_is_the_correlation_of_mean_ranks():
    rho, p = statistics.spearman([1, 1, 2, 3], [5, 6, 6, 9], "greater")
    ranks = [1.5, 1.5, 3, 4], [1, 2.5, 2.5, 4]
    every = [np.corrcoef(ranks[0], order)[0, 1] for order in itertools.permutations(ranks[1])]
    assert (rho, p) == pytest.approx((np.corrcoef(*ranks)[0, 1], np.mean(np.array(every) >= rho - 1e-9)))


@pytest.mark.parametrize("correct, count", [(0, 10), (10, 10), (9350, 10_000), (1, 1), (5, 50)])
def test_wilson_holds_the_rates_that_are_less_than_two_deviations_away(correct, count):
    """Its ends are the rates p with |correct / count - p| = z sqrt(p (1 - p) / count)."""
    for end in statistics.wilson(correct, count):
        p = end / 100
        assert abs(correct / count - p) == pytest.approx(1.959964 * np.sqrt(p * (1 - p) / count), abs=1e-6)
    low, high = statistics.wilson(correct, count)
    assert 0 <= low <= 100 * correct / count <= high <= 100 and low < high


def test_holm_by_hand():
    # sorted: 0.01 * 4, 0.02 * 3, 0.02 * 2 (raised to the one before), 0.6
    assert statistics.holm([0.02, 0.6, 0.01, 0.02]) == pytest.approx([0.06, 0.6, 0.04, 0.06])
    assert statistics.holm([0.5, 0.9]) == pytest.approx([1, 1])
    assert statistics.holm([0.03]) == pytest.approx([0.03])


def test_family_pools_the_variance_of_all_pairs():
    runs = frame(base=[50.0, 52.0, 51.0], a=[51.2, 53.1, 52.5], b=[50.1, 52.4, 50.7], c=[50.0, 52.0, 51.0])
    rows = statistics.family(runs, "base")
    values = runs.pivot(index="seed", columns="option", values="value")
    variance = np.mean([(values[x] - values[y]).var() for x, y in itertools.combinations(values, 2)])
    error = math.sqrt(variance / 3)
    assert list(rows.index) == ["a", "b", "c"] and rows["n"].tolist() == [3, 3, 3]
    for option, row in rows.iterrows():
        difference = (values[option] - values["base"]).mean()
        # of a t distribution with (3 - 1)(4 - 1) = 6 degrees of freedom; 2.446912 is its 97.5 % quantile
        expected = difference, difference - 2.446912 * error, difference + 2.446912 * error
        assert tuple(row[["difference", "low", "high"]]) == pytest.approx(expected, abs=1e-6)
    assert rows["p"].tolist() == pytest.approx(2 * stats.t.sf(abs(rows["difference"] / error), 6))
    assert rows["p_holm"].tolist() == pytest.approx(statistics.holm(rows["p"]))
    assert rows["outcome"].tolist() == ["higher", "undecided", "identical"]
    down = statistics.family(runs[runs["option"] != "c"], "a")
    assert down["outcome"].to_dict() == {"base": "lower", "b": "lower"}


def test_family_of_two_is_the_paired_comparison():
    pooled = statistics.family(frame(**SLEEP), "second").loc["first"]
    alone = statistics.paired(*map(np.array, SLEEP.values()))
    for column in ("difference", "low", "high"):
        assert pooled[column] == pytest.approx(alone[column])
    assert pooled["p"] == pooled["p_holm"] == pytest.approx(0.00283289)  # R: t.test(extra ~ group, paired = TRUE)


def test_the_mean_of_differences_from_one_baseline_is_a_contrast():
    """Its variance is v / n times the sum of the squared weights, here 1/3 three times and -1 (Scheffe 1959)."""
    runs = frame(base=[50.0, 52.0, 51.0], a=[51.2, 53.1, 52.5], b=[50.1, 52.4, 50.7], c=[49.0, 52.0, 51.0])
    found = statistics.mean_difference(statistics.family(runs, "base"), ["a", "b", "c"])
    values = runs.pivot(index="seed", columns="option", values="value")
    residuals = values.sub(values.mean(axis=1), axis=0) - values.mean() + values.mean(axis=None)
    error = math.sqrt((residuals**2).sum(axis=None) / 6 / 3 * (3 / 9 + 1))
    assert found["difference"] == pytest.approx((values[["a", "b", "c"]].mean(axis=1) - values["base"]).mean())
    assert [found["high"] - found["difference"], found["difference"] - found["low"]] == pytest.approx(
        2 * [2.446912 * error], abs=1e-6
    )
    assert found["n"] == 3
    one = statistics.family(frame(**SLEEP), "second")
    assert statistics.mean_difference(one, ["first"]) == pytest.approx(
        one.loc["first", ["difference", "low", "high", "n"]].to_dict()
    )


def test_family_without_an_interval_or_a_run():
    one = statistics.family(frame(a=[1.0], b=[2.0], c=[1.0]), "a")
    assert one[["low", "high", "p", "p_holm"]].isna().all(axis=None)
    assert one["outcome"].tolist() == ["undecided", "identical"]
    assert np.isnan(statistics.detectable(frame(a=[1.0], b=[2.0])))
    constant = statistics.family(frame(a=[1.0, 2.0], b=[2.0, 3.0], c=[1.0, 2.0]), "a")
    assert constant["outcome"].tolist() == ["higher", "identical"]
    with pytest.raises(ValueError, match="'b' lacks seed 1"):
        statistics.family(frame(a=[1.0, 2.0], b=[2.0]), "a")
    with pytest.raises(ValueError, match="no run of the baseline 'c'; there are a, b"):
        statistics.family(frame(a=[1.0], b=[2.0]), "c")


def drawn(random, shift=0.0, options=6, seeds=3):
    """Runs of options that are all the same but for the first one after the baseline; seeds differ by more."""
    values = random.normal(90, 0.3, (seeds, options)) + random.normal(0, 1, (seeds, 1))
    values[:, 1] += shift
    return frame(**{f"option {k}": values[:, k] for k in range(options)})


def test_of_options_that_are_all_the_same_one_in_twenty_families_shows_a_difference():
    random = np.random.default_rng(0)
    families = [statistics.family(drawn(random), "option 0") for _ in range(600)]
    wrong = np.mean([rows["outcome"].isin(["higher", "lower"]).any() for rows in families])
    assert 0.02 < wrong < 0.07, wrong  # Holm keeps a little below 5 % where tests share a baseline
    alone = np.mean([(rows["p"] <= 0.05).any() for rows in families])
    assert alone > 0.12  # without an adjustment
    covered = np.mean([(rows["low"] < 0) & (rows["high"] > 0) for rows in families])
    assert 0.935 < covered < 0.965, covered


def test_a_detectable_difference_is_shown_in_four_of_five_repetitions():
    random = np.random.default_rng(1)
    sizes = [statistics.detectable(drawn(random)) for _ in range(100)]
    shift = np.sqrt(np.mean(np.square(sizes)))  # of the true scatter, since variances are right on average
    shown = np.mean([statistics.family(drawn(random, shift), "option 0")["p"].iloc[0] <= 0.05 / 5 for _ in range(400)])
    assert 0.73 < shown < 0.87, shown
    assert statistics.detectable(drawn(random, seeds=12)) < min(sizes)
    runs = drawn(random)
    assert statistics.detectable(runs, power=0.95) > statistics.detectable(runs)


def test_detectable_does_not_depend_on_what_was_found():
    runs = drawn(np.random.default_rng(2))
    moved = runs.assign(value=runs["value"] + 7.0 * (runs["option"] == "option 3"))
    assert statistics.detectable(moved) == pytest.approx(statistics.detectable(runs))


def test_a_baseline_that_is_not_there_is_told_whatever_names_the_options():
    rows = [{"option": option, "seed": seed, "value": seed, "diverged": False} for option in (8, 16) for seed in (0, 1)]
    with pytest.raises(ValueError, match="no run of the baseline 32; there are 8, 16"):
        statistics.family(pd.DataFrame(rows), 32)
