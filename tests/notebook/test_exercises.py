"""The exercises at the end of a notebook: each has a folded hint, and the hints' code works.

A fenced Python block whose first line is `# exercise 1, runs alone` is a whole program: it imports what it needs, uses
made-up or very little data, and takes less than a minute on one core.
"""

import json
import os
import re
import subprocess
import sys

import pytest

from cifar_helpers.core import paths

SECONDS = 60
RUNNABLE = re.compile(r"^```python\n(# exercise (\d+), runs alone\n.*?)^```$", re.MULTILINE | re.DOTALL)
HINT = "<details><summary>Hint</summary>"


def markdown(path):
    cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
    return "\n\n".join("".join(cell["source"]) for cell in cells if cell["cell_type"] == "markdown")


TEXTS = {path.stem: markdown(path) for path in sorted((paths.ROOT / "notebooks").glob("[0-9]*.ipynb"))}
WITH_EXERCISES = [stem for stem, text in TEXTS.items() if re.search(r"^## Exercises$", text, re.MULTILINE)]
PROGRAMS = {f"{stem}-{number}": code for stem, text in TEXTS.items() for code, number in RUNNABLE.findall(text)}


@pytest.mark.parametrize("stem", WITH_EXERCISES)
def test_each_exercise_has_a_folded_hint_and_one_at_least_runs_alone(stem):
    text = TEXTS[stem].split("\n## Exercises\n")[1]
    assert 3 <= text.count(HINT) == text.count("</details>") <= 5
    marked = re.findall(r"^\s*# exercise .*", text, re.MULTILINE)
    assert len(marked) == len(RUNNABLE.findall(text)) >= 1, "a block that is marked is not one that this test runs"
    assert len(set(marked)) == len(marked)


@pytest.mark.slow
@pytest.mark.parametrize("name", PROGRAMS)
def test_code_of_a_hint_runs_alone(name, tmp_path):
    """From an empty folder, on one core, without a screen; what it writes stays in that folder or in build/."""
    surroundings = os.environ | {
        "PYTHONPATH": str(paths.ROOT),
        "MPLBACKEND": "Agg",
        "OMP_NUM_THREADS": "1",
        "CIFAR_PROFILE": "smoke",
    }
    command = [sys.executable, "-c", PROGRAMS[name]]
    done = subprocess.run(command, cwd=tmp_path, env=surroundings, capture_output=True, text=True, timeout=SECONDS)
    assert done.returncode == 0, done.stderr
