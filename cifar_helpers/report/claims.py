"""The original's conclusions, put to our runs: a file per notebook, one table in the PDF and in the README."""

from pathlib import Path

import pandas as pd

from cifar_helpers.core import files, paths
from cifar_helpers.core.text import markdown
from cifar_helpers.report import generated
from cifar_helpers.report.show import display_table

CLAIM = ["The original says", "These runs", "Effect", "Could its evidence show it?"]


def show_claims(claims: list[tuple[str, str, str, str]], name: str, profile: str) -> None:
    """Write generated/<name>.csv ("03_conclusions"): conclusions of the original, in the columns of CLAIM; display it.

    An effect is a difference with its interval, as text. `conclusions` puts those of all notebooks together.
    """
    generated.check_name(name)
    table = pd.DataFrame(claims, columns=CLAIM)
    files.write(paths.generated(profile) / f"{name}.csv", table.to_csv(index=False))
    display_table(table, name)


def conclusions(profile: str) -> pd.DataFrame:
    """A row per conclusion of the original, in the columns of CLAIM and the order of the notebooks."""
    found = sorted(paths.generated(profile).glob("*_conclusions.csv"))
    rows = [pd.read_csv(file, dtype=str, keep_default_na=False) for file in found]
    return pd.concat(rows, ignore_index=True) if rows else pd.DataFrame(columns=CLAIM)


def write_conclusions(readme: Path) -> None:
    """Put the committed conclusions into the README, between its two comments that name them."""
    found = conclusions("full")
    rows = [CLAIM, ["---"] * len(CLAIM), *found[CLAIM].map(markdown).to_numpy().tolist()]
    lines = ["| " + " | ".join(row) + " |" for row in rows]
    before, _, rest = readme.read_text(encoding="utf-8").partition("<!-- conclusions -->\n")
    _, end, after = rest.partition("<!-- end of conclusions -->")
    if not end:
        raise ValueError(f"{readme} has lost the comments between which the conclusions stand")
    count = verdicts(found)
    hold, fall = count["conclusionsHold"] + count["conclusionsPart"], count["conclusionsFall"]
    unclear = count["conclusionsOpen"]
    said = (
        f"Of {count['conclusionsCount']} conclusions, {hold} {'holds' if hold == 1 else 'hold'}, "
        f"{fall} {'is' if fall == 1 else 'are'} contradicted, "
        f"and {unclear} {'stays' if unclear == 1 else 'stay'} undecided."
    )
    files.write(readme, before + "\n".join(["<!-- conclusions -->", said, "", *lines, end]) + after)


def verdicts(found: pd.DataFrame) -> dict[str, int]:
    """How many of the original's conclusions hold, hold in part, are contradicted or undecided: by their first word."""
    words = found[CLAIM[1]]
    part = words.str.startswith("holds in part")
    hold, unclear = words.str.startswith("holds") & ~part, words.str.startswith("undecided")
    of = {"Count": words.notna(), "Hold": hold, "Part": part, "Open": unclear, "Fall": ~(hold | part | unclear)}
    return {f"conclusions{name}": int(rows.sum()) for name, rows in of.items()}
