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


@pytest.mark.parametrize("stem", WITH_EXERCISES)
def test_each_exercise_has_a_folded_hint_and_one_at_least_runs_alone(stem):
    text = TEXTS[stem].split("\n## Exercises\n")[1]
    assert 3 <= text.count(HINT) == text.count("</details>") <= 5
    marked = re.findall(r"^\s*# exercise .*", text, re.MULTILINE)
    assert len(marked) == len(RUNNABLE.findall(text)) >= 1, "a block that is marked is not one that this test runs"
    assert len(set(marked)) == len(marked)


RUNNER = f"""
import json, os, signal, sys
import matplotlib.pyplot, pandas, scipy.stats, torch, torchvision  # once for all hints: seconds each
failed = []
for number, code in json.load(sys.stdin).items():
    child = os.fork()
    if child == 0:
        signal.alarm({SECONDS})
        exec(compile(code, "exercise " + number, "exec"), dict(__name__="__main__"))
        sys.exit()
    if os.waitpid(child, 0)[1]:
        failed.append(number)
sys.exit("failed: exercise " + ", ".join(failed) if failed else 0)
"""


def run_alone(programs, folder):
    """Each from this folder in a process of its own, on one core, without a screen."""
    surroundings = os.environ | {
        "PYTHONPATH": str(paths.ROOT),
        "MPLBACKEND": "Agg",
        "OMP_NUM_THREADS": "1",
        "CIFAR_PROFILE": "smoke",
    }
    command, given = [sys.executable, "-c", RUNNER], json.dumps(programs)
    return subprocess.run(command, input=given, cwd=folder, env=surroundings, capture_output=True, text=True)


@pytest.mark.slow
@pytest.mark.parametrize("stem", WITH_EXERCISES)
def test_code_of_the_hints_runs_alone(stem, tmp_path):
    """What it writes stays in the folder or in build/."""
    done = run_alone({number: code for code, number in RUNNABLE.findall(TEXTS[stem])}, tmp_path)
    assert done.returncode == 0, done.stderr


def test_a_hint_that_fails_or_leans_on_another_is_named(tmp_path):
    done = run_alone({"1": "import math", "2": "math.pi", "3": "1 / 0", "4": "import os"}, tmp_path)
    assert done.returncode == 1 and done.stderr.endswith("failed: exercise 2, 3\n")
