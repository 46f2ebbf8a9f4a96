"""A file in the folder of experiments is found: the recipe of docs/extend.md, followed to the letter."""

import os
import shutil
import subprocess
import sys
import textwrap

from cifar_helpers.core import paths


def test_a_file_in_the_folder_is_an_experiment(tmp_path):
    """In a process of its own, with the file that docs/extend.md shows."""
    text = (paths.ROOT / "docs/extend.md").read_text()
    shown = text.split("cifar_helpers/experiments/batch_sizes.py`:\n  ```python\n")[1].split("  ```")[0]
    shutil.copytree(paths.ROOT / "cifar_helpers", tmp_path / "cifar_helpers")
    (tmp_path / "cifar_helpers/experiments/batch_sizes.py").write_text(textwrap.dedent(shown))
    code = """if True:
        from cifar_helpers import experiments
        assert list(experiments.EXPERIMENTS)[-1] == "batch_sizes"
        sizes = {config.batch_size for config in experiments.configs("batch_sizes", "quick")}
        assert sizes == {32, 16}, sizes"""
    environment = os.environ | {"PYTHONPATH": str(tmp_path)}
    subprocess.run([sys.executable, "-c", code], cwd=tmp_path, check=True, env=environment)
