"""The original's conclusions, in the README and counted."""

import pytest

from cifar_helpers import report
from cifar_helpers.report import claims


def test_conclusions_of_all_notebooks_stand_in_the_readme_in_order(root):
    report.save_claims(
        [("A loss is best", "holds", "+1.00 [+0.50 to +1.50]", "No: one run.")], "04_conclusions", "full"
    )
    report.save_claims([("ReLU | is fast", "cannot be shown", "+0.10", "No.")], "03_conclusions", "full")
    readme = root / "README.md"
    readme.write_text("# Title\n<!-- conclusions -->\nold\n<!-- end of conclusions -->\nafter\n")
    claims.write_conclusions(readme)
    claims.write_conclusions(readme)
    assert readme.read_text().splitlines() == [
        "# Title",
        "<!-- conclusions -->",
        "| The original says | These runs | Effect | Could its evidence show it? |",
        "| --- | --- | --- | --- |",
        "| ReLU / is fast | cannot be shown | +0.10 | No. |",
        "| A loss is best | holds | +1.00 [+0.50 to +1.50] | No: one run. |",
        "",
        "Ablations: Each run trains a ResNet18 with 0.25 times its filters on all images for 3 epochs. What pays only "
        "in longer trainings or wider networks is not seen here. Of 1 such intervals, chance alone makes 0.05 leave "
        "out zero on average.",
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
        "can be shown for some sizes only",
        "cannot be shown",
        "cannot be told from 5 networks",
        "contradicted: they count less",
        "no reason: one function",
    ]
    effects = ["+1 [+0 to +2] here, +3 [+2 to +4] there", *6 * ["+1 [+0 to +2]"]]
    rows = [("claim", verdict, effect, "No.") for verdict, effect in zip(verdicts, effects)]
    report.save_claims(rows, "03_conclusions", "quick")
    counts = {
        name.removeprefix("conclusions"): count for name, count in claims.verdicts(claims.conclusions("quick")).items()
    }
    assert counts.pop("Chance").startswith("Of 8 such intervals, chance alone makes 0.40")
    assert counts == {"Count": 7, "Hold": 1, "Part": 2, "Open": 2, "Fall": 2}
