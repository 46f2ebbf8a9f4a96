"""One call saves and shows."""

import matplotlib.pyplot as plt
import pandas as pd
import pytest

from cifar_helpers import report
from cifar_helpers.report import plots
from cifar_helpers.report.show import styled


def test_a_figure_is_saved_and_closed(root, figure):
    report.show(figure, "03_curves", "full")
    assert (root / "figures/03_curves.png").exists() and not plt.get_fignums()


def test_a_table_is_saved_and_shown_in_the_same_numbers(root):
    frame = pd.DataFrame({"Size": [11173962], "Test %": [92.061]}, index=["DLA"])
    report.show(frame, "03_t", "full", thousands=",")
    assert "11,173,962 & 92.06" in (root / "report/generated/03_t.tex").read_text()
    page = styled(frame, "03_t", thousands=",").to_html()
    assert "11,173,962" in page and "92.06" in page
    assert page == styled(frame, "03_t", thousands=",").to_html()  # nothing of chance in it


def test_text_of_a_table_is_no_html():
    nasty = "<script>run()</script> & 'x'"
    frame = pd.DataFrame({nasty: [nasty]}, index=pd.Index([nasty], name=nasty))
    page = styled(frame, "03_t").to_html()
    assert "<script>" not in page and page.count("&lt;script&gt;run()&lt;/script&gt; &amp; 'x'") == 4


def test_other_things_are_refused(root):
    with pytest.raises(TypeError, match="a figure or a table, not str"):
        report.show("text", "03_t", "full")


def test_forest_marks_what_is_shown_and_what_lies_outside():
    rows = pd.DataFrame(
        {"difference": [1.0, -60.0], "low": [0.5, -62], "high": [1.5, -58], "outcome": ["higher", "undecided"]},
        index=["elu", "softmax"],
    )
    by_seed = pd.DataFrame({"elu": [0.9, 1.1], "softmax": [-61.0, -59.0]})
    axis = plots.forest(rows, "points", by_seed, edge=5).axes[0]
    faces = [line.get_markerfacecolor() for line in axis.lines if line.get_marker() == "o"]
    assert faces == ["0.2", "white"]
    assert [text.get_text() for text in axis.texts] == ["\u2190 \u221260"]
    assert axis.get_xlim()[0] >= -5 and axis.get_xlim()[1] <= 5
    plt.close("all")


def test_labels_go_to_the_left_where_a_point_is_near_on_the_right():
    figure, axis = plt.subplots()
    axis.set(xlim=(0, 1), ylim=(0, 1))
    points = pd.DataFrame({"x": [0.2, 0.25, 0.9], "y": [0.5, 0.5, 0.5], "name": ["a", "b", "c"]})
    plots.label_points(axis, points, "x", "y", "name")
    assert [text.get_ha() for text in axis.texts] == ["right", "left", "left"]
    plt.close("all")
