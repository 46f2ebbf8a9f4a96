import types

import numpy as np
import pandas as pd
import pytest

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
    row = statistics.differences(frame(**SLEEP), "second").loc["first"]
    assert (row["difference"], row["low"], row["high"]) == pytest.approx((-1.58, -2.4598858, -0.7001142), abs=1e-6)
    assert row["outcome"] == "lower" and row["n"] == 10
    assert statistics.differences(frame(**SLEEP), "first").loc["second", "outcome"] == "higher"
    wide = statistics.differences(frame(**SLEEP), "second", confidence=0.99).loc["first"]
    assert wide["low"] < row["low"] and wide["high"] > row["high"]


def test_interval_covers_the_truth_as_often_as_it_says():
    random = np.random.default_rng(0)
    rows = [statistics.paired(random.normal(1.0, 2.0, 3), np.zeros(3)) for _ in range(2000)]
    covered = np.mean([row["low"] < 1.0 < row["high"] for row in rows])
    assert 0.935 < covered < 0.965  # four standard errors around 0.95


def test_pairs_are_matched_by_seed_not_by_order():
    runs = frame(a=[1.0, 2.0, 4.0], b=[1.5, 2.5, 4.6])
    shuffled = runs.iloc[[0, 1, 2, 5, 3, 4]]
    pd.testing.assert_frame_equal(statistics.differences(runs, "a"), statistics.differences(shuffled, "a"))


def test_outcomes_and_their_sentences():
    runs = frame(
        base=[50.0, 52.0, 51.0],
        same=[50.0, 52.0, 51.0],
        steady=[51.0, 53.0, 52.0],
        near=[50.5, 51.5, 51.2],
        worse=[40.0, 42.5, 41.0],
    )
    rows = statistics.differences(runs, "base")
    assert rows["outcome"].to_dict() == {"same": "identical", "steady": "higher", "near": "undecided", "worse": "lower"}
    said = {name: statistics.sentence(row, name, "base") for name, row in rows.iterrows()}
    assert said["same"] == "same and base have the same test accuracy in every seed."
    assert said["near"].startswith("near is 0.07 points above base") and said["near"].endswith("can show.")
    assert said["worse"] == (
        "worse is 9.83 points below base in test accuracy "
        f"(95 % interval {rows.loc['worse', 'low']:+.2f} to {rows.loc['worse', 'high']:+.2f})."
    )


def test_sentences_list_the_options_by_outcome():
    runs = frame(
        base=[50.0, 52.0, 51.0],
        same=[50.0, 52.0, 51.0],
        steady=[51.0, 53.0, 52.1],
        near=[50.5, 51.5, 51.2],
        worse=[40.0, 42.5, 41.0],
    )
    rows = statistics.differences(runs, "base")
    said = statistics.sentences(rows, "base", str.upper)
    span = {name: f"{row['low']:+.2f} to {row['high']:+.2f}" for name, row in rows.iterrows()}
    assert said == (
        f"In test accuracy, STEADY (+1.03 points, 95 % interval {span['steady']}) is above BASE; "
        f"WORSE (-9.83 [{span['worse']}]) is below it; SAME is in every seed equal to it; "
        f"NEAR (+0.07 [{span['near']}]) cannot be told from it."
    )
    two = statistics.sentences(pd.concat([rows.loc[["near"]], rows.loc[["near"]].rename({"near": "far"})]), "base")
    assert " and far (+0.07 [" in two and two.endswith("]) cannot be told from base.")
    one = statistics.sentences(statistics.differences(frame(a=[1.0], b=[2.0]), "a"), "a", quantity="loss", unit="nats")
    assert one == "In loss, b (+1.00 nats) cannot be told from a: one seed gives no interval."


def test_differences_that_cancel_are_not_called_the_same_in_every_seed():
    row = statistics.differences(frame(base=[50.0, 52.0], other=[51.0, 51.0]), "base").loc["other"]
    assert statistics.sentence(row, "other", "base").startswith(
        "other and base are equal on average in test accuracy ("
    )


def test_what_cancels_up_to_the_last_bit_is_nought():
    rows = statistics.differences(frame(base=[27.4, 35.2, 28.0], other=[30.2, 30.2, 30.2]), "base")
    assert (np.array([30.2, 30.2, 30.2]) - [27.4, 35.2, 28.0]).mean() < 0
    assert "OTHER (+0.00 points, 95 % interval" in statistics.sentences(rows, "base", str.upper)


def test_one_seed_has_no_interval():
    row = statistics.differences(frame(a=[1.0], b=[2.0]), "a").loc["b"]
    assert np.isnan(row["low"]) and row["outcome"] == "undecided"
    assert "from one seed" in statistics.sentence(row, "b", "a")


def test_missing_seed_and_missing_baseline_are_named():
    with pytest.raises(ValueError, match=r"'b' and 'a'.*seeds \[1\]"):
        statistics.differences(frame(a=[1.0, 2.0], b=[2.0]), "a")
    with pytest.raises(ValueError, match="no run of the baseline 'c'; there are a, b"):
        statistics.differences(frame(a=[1.0], b=[2.0]), "c")


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


def test_table_has_every_option():
    table = statistics.table(frame(a=[1.0, 2.0], b=[3.0, 5.0]), "a")
    assert table.loc["a", "outcome"] == "baseline" and np.isnan(table.loc["a", "difference"])
    assert table.loc["b", "difference"] == 2.5


def test_chance():
    assert statistics.chance(10).startswith("Of 10 such intervals, chance alone makes 0.50 leave out zero")


def test_enumerated():
    assert [statistics.enumerated("abc"[:n]) for n in (1, 2, 3)] == ["a", "a and b", "a, b and c"]


def test_verdicts_join_the_claims_of_each():
    claims = pd.DataFrame(
        [("a is better", "holds"), ("b is", "cannot be shown"), ("c is", "holds"), ("d is", "the same in every seed")],
        columns=["claim", "these runs"],
    )
    assert statistics.verdicts(claims) == (
        "it holds that a is better and c is; it cannot be shown that b is; the same in every seed: d is"
    )


def test_options_of_another_machine_are_told():
    def run(option, device):
        return types.SimpleNamespace(config=option, record={"device": device})

    intel = [run(option, "Intel, 1 threads") for option in ("a", "b", "b")]
    assert statistics.machines(intel, str) == ""
    mixed = [*intel, run("c", "AMD, 2 threads"), run("c", "AMD, 1 threads"), run("d", "AMD, 1 threads")]
    assert statistics.machines([*mixed, run("a", "Intel, 2 threads")], str).startswith(
        "Trained on different machines: c and d on AMD; the rest on Intel."
    )
