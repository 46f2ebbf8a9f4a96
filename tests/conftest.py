"""Shared by all tests: a tiny made-up data set, and results that land in a temporary folder."""

import signal
import sys

import pytest
import torch

from cifar_helpers import data
from cifar_helpers.core import paths

if sys.platform == "win32":
    pytest.exit("Windows is not supported: run the tests on Linux or macOS", returncode=1)

# A shell starts what runs in its background deaf to Ctrl-C, and so would be all that the tests start and interrupt.
signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(autouse=True)
def seed():
    """Random numbers that a test does not seed itself do not depend on which tests ran before it in its process."""
    torch.manual_seed(0)


@pytest.fixture(scope="session")
def cifar():
    return data.synthetic(train=400, test=100)


@pytest.fixture
def results(tmp_path, monkeypatch):
    """Records and checkpoints of the test go here instead of into the repository."""
    monkeypatch.setattr(paths, "base", lambda profile: tmp_path / profile)
    monkeypatch.setattr(paths, "CHECKPOINTS", tmp_path / "checkpoints")
    return tmp_path
