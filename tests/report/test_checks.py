"""What a text says hangs on checks."""

import shutil

import numpy as np
import pytest

from cifar_helpers import report
from cifar_helpers.report import pdf
from cifar_helpers.report.checks import Checks


def test_full_stops_at_a_statement_that_the_records_do_not_show(root, capsys):
    check = report.checks("03_activations", "full")
    check("ELU is below ReLU", np.bool_(True))
    assert capsys.readouterr().out == "\u2713 ELU is below ReLU\n"
    with pytest.raises(AssertionError, match="the text says: ReLU6 is below ReLU. The records do not show it"):
        check("ReLU6 is below ReLU", 0.1 < 0)


def test_a_miniature_says_what_it_does_not_show(root, capsys):
    report.checks("03_activations", "smoke")("ELU is below ReLU", False)
    assert "ELU is below ReLU: not shown by this run" in capsys.readouterr().out


def test_a_run_with_other_parameters_is_not_stopped(root, monkeypatch, capsys):
    monkeypatch.setattr(Checks, "strict", False)
    report.checks("03_activations", "full")("ELU is below ReLU", False)
    assert "not shown by this run" in capsys.readouterr().out


def test_a_condition_of_several_values_is_an_error(root):
    with pytest.raises(ValueError, match="truth value"):
        report.checks("03_activations", "full")("all are above", np.array([True, False]))


@pytest.mark.skipif(shutil.which("latexmk") is None, reason="no LaTeX")
@pytest.mark.parametrize("profile", ["quick", "full"])
def test_the_report_stands_by_its_checks(root, profile):
    """A paragraph whose checks hold compiles; on full, one whose checks have not been made stops the PDF."""
    tex = root / "report" / "report.tex"
    head, _, _ = tex.read_text().partition(r"\maketitle")
    tex.write_text(head + "One.\\checked{03_one} Two.\\checked{03_two}\n\\end{document}\n")
    report.checks("03_one", profile)("one", True)
    report.checks("03_two", "quick")("two", False)
    if profile == "full":
        with pytest.raises(ChildProcessError, match="the checks 03_two have not been made"):
            pdf.build_pdf(profile)
        report.checks("03_two", "full")("two", True)
    pdf.build_pdf(profile)
