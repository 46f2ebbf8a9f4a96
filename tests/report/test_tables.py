"""Tables and numbers on disk."""

import numpy as np
import pandas as pd
import pytest

from cifar_helpers import report
from cifar_helpers.report.tables import tabular
from cifar_helpers.train import Config


def test_table_is_escaped_and_rounded(root):
    frame = pd.DataFrame({"Net_work": ["dla_x&y", "b"], "Accuracy (%)": [92.061, np.nan], "Size": [11173962, 2]})
    report.save_table(frame, "02_table_1", "quick", thousands=",")
    text = (root / "build/quick/report/generated/02_table_1.tex").read_text()
    assert text.startswith("% profile: quick\n\\begin{tabular}{lrr}\n\\toprule\n")
    assert r"Net\_work & Accuracy (\%) & Size \\" in text
    assert r"dla\_x\&y & 92.06 & 11,173,962 \\" in text and r"b & – & 2 \\" in text


def test_index_and_whole_numbers_with_gaps_are_shown(root):
    frame = pd.DataFrame({"n": pd.array([1234, None], dtype="Int64")}, index=pd.Index(["a_b", "c"], name="of_what"))
    report.save_table(frame, "02_t", "full", thousands=",")
    text = (root / "report/generated/02_t.tex").read_text()
    assert r"a\_b & 1,234 \\" in text and r"c & – \\" in text and r"of\_what" in text


def test_a_long_heading_over_short_cells_stands_in_two_lines():
    cells = {
        "Network": ["DLA"],
        "against other image": ["better"],
        "Untrained, rises in": [4],
        "a longer claim": ["it holds"],
    }
    head = tabular(pd.DataFrame(cells | {"as long as it": ["as long as it"], 2015: [1]})).splitlines()[2]
    lines = (
        r"\shortstack[l]{against\\other image} & \shortstack[r]{Untrained,\\rises in} & \shortstack[l]{a longer\\claim}"
    )
    assert head == rf"Network & {lines} & as long as it & 2015 \\"
    assert tabular(pd.DataFrame({"no row at all": []})).count("shortstack") == 1


def test_comparison_has_the_columns_it_knows_under_their_titles(root):
    table = pd.DataFrame({"mean": [50.0], "spam": [1], "low": [-1.0]}, index=["ReLU"])
    report.save_table(report.comparison(table, "Activation"), "03_t", "full")
    assert r"Activation & Test \% & 95 \% low \\" in (root / "report/generated/03_t.tex").read_text()


def test_a_network_as_a_column():
    record = {"parameters": 1e6, "multiply_adds": 1e15 / 6, "train_accuracy": 90.0, "test_accuracy": 80.125}
    column = report.network_column(Config("dla", activation="leaky_relu", optimizer="adam", epochs=2), record, seeds=3)
    assert [*column.values()] == ["DLA", "1,000,000", "LeakyReLU", "Adam", 2, 3, "1.00", "90.00", "80.12", ""]
    with_it = report.network_column(Config("dla"), pd.Series(record | {"test_tta_accuracy": 81.0}))
    assert with_it["with test-time augmentation (%)"] == "81.00" and with_it["Seeds"] == 1


@pytest.mark.parametrize(
    "seeds, diverged, titles",
    [
        ([3, 3], [0, 0], []),
        ([3, 5], [0, 0], ["Seeds"]),
        ([3, 3], [0, 1], ["Diverged"]),
        ([3, 5], [2, 2], ["Seeds", "Diverged"]),
    ],
)
def test_comparison_leaves_out_counts_that_say_nothing(seeds, diverged, titles):
    table = pd.DataFrame({"mean": [50.0, 51.0], "n": seeds, "diverged": diverged}, index=["a", "b"])
    assert list(report.comparison(table, "Option")) == ["Option", "Test %", *titles]


def test_a_tiny_p_value_is_not_nought(root):
    table = pd.DataFrame({"mean": [50.0, 51.0, 52.0], "p_holm": [np.nan, 0.0314, 1e-6]}, index=["a", "b", "c"])
    report.save_table(report.comparison(table, "Option"), "03_t", "full")
    text = (root / "report/generated/03_t.tex").read_text()
    assert r"a & 50.00 & – \\" in text and r"b & 51.00 & 0.031 \\" in text and r"c & 52.00 & < 0.001 \\" in text


def test_numbers_become_macros(root):
    numbers = {"net": "a_b", "size": np.int64(11173962), "accuracy": np.float32(92.061), "loss": float("nan")}
    report.save_numbers(numbers, "02_numbers", "full")
    assert (root / "report/generated/02_numbers.tex").read_text().splitlines() == [
        "% profile: full",
        r"\newcommand{\net}{a\_b}",
        r"\newcommand{\size}{11,173,962}",
        r"\newcommand{\accuracy}{92.06}",
        r"\newcommand{\loss}{n/a}",
    ]


@pytest.mark.parametrize("name", ["resnet18", "best_model", "", "über"])
def test_number_that_latex_cannot_name_is_refused(root, name):
    with pytest.raises(ValueError, match="letters only"):
        report.save_numbers({name: 1}, "02_numbers", "quick")


@pytest.mark.parametrize("name", ["table_1", "../02_table_1", "02_a.b"])
def test_file_that_no_notebook_owns_is_refused(root, name):
    for save in (
        lambda: report.save_table(pd.DataFrame({"a": [1]}), name, "quick"),
        lambda: report.save_numbers({"a": 1}, name, "quick"),
        lambda: report.show_claims([], name, "quick"),
    ):
        with pytest.raises(ValueError, match="cannot name a file"):
            save()
