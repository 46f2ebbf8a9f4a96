"""Text in LaTeX."""

import re
import shutil
import subprocess

import pandas as pd
import pytest

from cifar_helpers.report.latex import escape
from cifar_helpers.report.tables import tabular


@pytest.mark.parametrize(
    "text, escaped",
    [
        ("a_b & 50 % #1 $", r"a\_b \& 50 \% \#1 \$"),
        (r"\input{/etc/passwd}", r"\textbackslash{}input\{/etc/passwd\}"),
        ("~ ^", r"\textasciitilde{} \textasciicircum{}"),
        ("β ≥ −1 Δ", r"$\beta$ $\ge$ $-$1 $\Delta$"),
        ("naïve Łódź “x” – A\u0300", "naïve Łódź “x” – À"),
        ("中 🙂 \x00", "U+4E2D U+1F642 U+0000"),
        ("--keep <<x>> ,,y'' - 1,000", "-{}-keep <{}<x>{}> ,{},y'{}' - 1,000"),
        ("[2pt] a[1]", "{}[2pt] a[1]"),
        ("* a*b", "{}* a*b"),
        ("two\nlines\tand \u00a0spaces", "two lines and  spaces"),
    ],
)
def test_text_is_shown_and_never_run(text, escaped):
    assert escape(text) == escaped


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("pdflatex") is None, reason="LaTeX is missing: see README.md")
def test_every_character_compiles(tmp_path):
    numbers = [*range(0x500), *range(0x2000, 0x2400), *range(0x4E00, 0x4E20), *range(0x1F600, 0x1F650)]
    text = "\n\n".join(escape(chr(number)) for number in numbers)
    # each first in a line of a table, where [ would be an argument of the line before
    text += "\n\n" + "\n\n".join(tabular(pd.DataFrame({chr(n): [f"{chr(n)}2pt] x"] * 2})) for n in range(32, 127))
    head = r"\documentclass{article}\usepackage[T1]{fontenc}\usepackage[utf8]{inputenc}\usepackage{lmodern,booktabs}"
    (tmp_path / "a.tex").write_text(f"{head}\\begin{{document}}\n{text}\n\\end{{document}}\n", encoding="utf-8")
    run = ["pdflatex", "-interaction=nonstopmode", "-halt-on-error", "a.tex"]
    done = subprocess.run(run, cwd=tmp_path, capture_output=True, encoding="utf-8", errors="replace")
    assert done.returncode == 0 and not re.search("^!|Missing character", done.stdout, re.MULTILINE), done.stdout[-500:]
