"""Checks: what a text says, and the condition on the records that makes it true."""

from cifar_helpers.report import generated


class Checks:
    """The checks behind one group of sentences in a notebook or in the report: `Checks("03_activations", profile)`.

    `check(statement, condition)` prints the statement with its outcome. In the profile `full` one that does not hold
    stops the notebook, so that no text outlives its data. In smaller profiles, and in a run with other parameters than
    the report's, it is printed as not shown.

    The outcomes are written to generated/<group>.checks.tex: report.tex stands by them with \\checked{group}.
    """

    strict = True  # False in a run with other parameters than the report's, whose data the text does not speak of

    def __init__(self, group: str, profile: str):
        generated.check_name(group)
        self.group, self.profile = group, profile
        self.outcomes: dict[str, bool] = {}

    def __call__(self, statement: str, condition) -> None:
        """Check one statement; `condition` is a bool of Python, NumPy or pandas.

        Raises:
            AssertionError: it does not hold, and the profile is full.
            ValueError: the condition has more than one value.
        """
        holds = self.outcomes[statement] = bool(condition)
        if not holds and self.profile == "full" and self.strict:
            raise AssertionError(
                f"the text says: {statement}. The records do not show it: look at them, and rewrite the text"
            )
        self._write()
        print(f"\u2713 {statement}" if holds else f"\u2013 {statement}: not shown by this run")

    def _write(self) -> None:
        lines = [f"% {'holds' if holds else 'not shown'}: {text}" for text, holds in self.outcomes.items()]
        outcome = "" if all(self.outcomes.values()) else r"\notshown"
        lines.append(rf"\expandafter\def\csname checked {self.group}\endcsname{{{outcome}}}")
        generated.write(f"{self.group}.checks", "\n".join(lines), self.profile)
