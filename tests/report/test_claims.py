"""The original's conclusions, in the README and counted."""

import pytest

from cifar_helpers import report
from cifar_helpers.report import claims


def test_conclusions_of_all_notebooks_stand_in_the_readme_in_order(root):
    report.show_claims(
        [("A loss is best", "holds", "+1.00 [+0.50 to +1.50]", "No: one run.")], "04_conclusions", "full"
    )
    report.show_claims([("ReLU | is <b>fast", "undecided", "+0.10", "No.\n")], "03_conclusions", "full")
    readme = root / "README.md"
    readme.write_text("# Title\n<!-- conclusions -->\nold\n<!-- end of conclusions -->\nafter\n")
    claims.write_conclusions(readme)
    claims.write_conclusions(readme)
    assert readme.read_text().splitlines() == [
        "# Title",
        "<!-- conclusions -->",
        "Of 2 conclusions, 1 holds, 0 are contradicted, and 1 stays undecided.",
        "",
        "| The original says | These runs | Effect | Could its evidence show it? |",
        "| --- | --- | --- | --- |",
        "| ReLU / is &lt;b&gt;fast | undecided | +0.10 | No. |",
        "| A loss is best | holds | +1.00 [+0.50 to +1.50] | No: one run. |",
        "<!-- end of conclusions -->",
        "after",
    ]
    readme.write_text("nothing")
    with pytest.raises(ValueError, match="lost the comments"):
        claims.write_conclusions(readme)
    assert readme.read_text() == "nothing"


def test_verdicts_on_the_conclusions_are_counted(root):
    verdicts = [
        "holds",
        "holds in part: they count",
        "holds in part: for one size",
        "undecided",
        "undecided with 5 networks",
        "contradicted: they count less",
        "no reason: one function",
    ]
    rows = [("claim", verdict, "+1 [+0 to +2]", "No.") for verdict in verdicts]
    report.show_claims(rows, "03_conclusions", "quick")
    counts = {
        name.removeprefix("conclusions"): count for name, count in claims.verdicts(claims.conclusions("quick")).items()
    }
    assert counts == {"Count": 7, "Hold": 1, "Part": 2, "Open": 2, "Fall": 2}
