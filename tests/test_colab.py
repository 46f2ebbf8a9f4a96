"""The cell for Colab in docs/rerun.md: run as it stands there, in a folder and an environment of its own."""

import re
import subprocess
import sys
import venv
import zipfile
from pathlib import Path

import pytest

from cifar_helpers.core import paths


def wheel(folder, name, version, needs=()):
    """A package without content, for `pip install --no-index --find-links`."""
    stem = f"{name}-{version}"
    with zipfile.ZipFile(folder / f"{stem}-py3-none-any.whl", "w") as file:
        lines = [
            "Metadata-Version: 2.1",
            f"Name: {name}",
            f"Version: {version}",
            *(f"Requires-Dist: {n}" for n in needs),
        ]
        file.writestr(f"{stem}.dist-info/METADATA", "\n".join(lines) + "\n")
        file.writestr(f"{stem}.dist-info/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        file.writestr(f"{stem}.dist-info/RECORD", "")


@pytest.fixture(scope="module")
def machine(tmp_path_factory) -> Path:
    """As in Colab: a torch that came from a URL, and packages whose newest versions need a newer one."""
    root = tmp_path_factory.mktemp("colab")
    (root / "wheels").mkdir()
    wheel(root / "wheels", "torch", "2.11.0+cu128")
    venv.create(root / "venv", with_pip=True)
    pip(root, "install", "--no-index", f"torch @ {(root / 'wheels' / 'torch-2.11.0+cu128-py3-none-any.whl').as_uri()}")
    wheel(root / "wheels", "torch", "3.0")
    for name in ("captum", "optuna", "torchinfo"):
        wheel(root / "wheels", name, "1.0", ["torch>=2"])
        wheel(root / "wheels", name, "2.0", ["torch>=3"])
    (root / "origin" / "cifar_helpers").mkdir(parents=True)
    (root / "origin" / "cifar_helpers" / "__init__.py").touch()
    git = ["git", "-c", "user.name=a", "-c", "user.email=a@b", "-C", str(root / "origin")]
    for command in (["init", "-q"], ["add", "."], ["commit", "-qm", "first"]):
        subprocess.run([*git, *command], check=True)
    return root


def pip(root, *arguments):
    command = [root / "venv" / "bin" / "python", "-m", "pip", *arguments]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def cell(root):
    text = (paths.ROOT / "docs" / "rerun.md").read_text(encoding="utf-8")
    [found] = re.findall(r"```ipython3\n(import os, sys\n.*?)```", text, re.DOTALL)
    return re.sub(r"(--depth 1) \S+", rf"\1 {(root / 'origin').as_uri()}", found)


def run(root, folder, before):
    """Runs the cell twice in IPython; what it leaves in the process."""
    folder.mkdir()
    after = "import cifar_helpers; print(cifar_helpers.__file__, os.environ.get('CIFAR_PROFILE'))"
    code = f"import sys, types\n{before}\nfor _ in range(2):\n  get_ipython().run_cell({cell(root)!r})\n{after}"
    environment = {
        "PATH": f"{root / 'venv' / 'bin'}:/usr/bin:/bin",
        "HOME": str(folder),
        "PIP_NO_INDEX": "1",
        "PIP_FIND_LINKS": str(root / "wheels"),
    }
    command = [sys.executable, "-m", "IPython", "--no-banner", "--colors=NoColor", "-c", code]
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True)
    assert done.returncode == 0 and "fatal" not in done.stdout + done.stderr, done.stdout + done.stderr
    return done.stdout.split()[-2:]


@pytest.mark.slow
def test_the_cell_for_colab_installs_what_is_missing_and_leaves_torch(machine, tmp_path):
    folder = tmp_path / "content"
    package, profile = run(machine, folder, "sys.modules['google.colab'] = types.ModuleType('google.colab')")
    assert (Path(package), profile) == (folder / "cifar" / "cifar_helpers" / "__init__.py", "quick")
    installed = set(pip(machine, "list", "--format=freeze").split())
    assert installed >= {"torch==2.11.0+cu128", "captum==1.0", "optuna==1.0", "torchinfo==1.0"}


@pytest.mark.slow
def test_the_cell_for_colab_does_nothing_elsewhere(machine, tmp_path):
    folder = tmp_path / "elsewhere"
    package, profile = run(machine, folder, "")
    assert not Path(package).is_relative_to(folder) and profile == "None"
    assert not [path.name for path in folder.iterdir() if path.name != ".ipython"]


def test_the_cell_installs_what_the_package_depends_on(machine):
    packages = re.findall(r"installed.txt ([\w ]+)\n", cell(machine))[0].split()
    dependencies = (paths.ROOT / "pyproject.toml").read_text()
    assert packages and all(f'    "{name}>=' in dependencies for name in packages)
