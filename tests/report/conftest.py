"""A repository of which only the report's sources exist."""

import shutil

import matplotlib.pyplot as plt
import pandas as pd
import pytest

from cifar_helpers.core import paths
from cifar_helpers.report import plots


@pytest.fixture
def root(tmp_path, monkeypatch):
    shutil.copytree(paths.ROOT / "report", tmp_path / "report", ignore=shutil.ignore_patterns("generated", "*.pdf"))
    monkeypatch.setattr(paths, "ROOT", tmp_path)
    return tmp_path


@pytest.fixture
def history():
    """Makes the history of a run: history(3, "validation")."""

    def made(epochs, held="test"):
        return pd.DataFrame(
            {
                "epoch": range(1, epochs + 1),
                "train_loss": 2.0,
                "train_accuracy": 30.0,
                f"{held}_loss": 1.5,
                f"{held}_accuracy": 40.0,
            }
        )

    return made


@pytest.fixture
def figure(history):
    yield plots.seed_bands({"relu": [history(3)]})
    plt.close("all")
