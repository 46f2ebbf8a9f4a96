"""The first call of every notebook."""

import pytest

from cifar_helpers import notebook
from cifar_helpers.core import paths
from cifar_helpers.core.profiles import PUBLISH
from cifar_helpers.notebook import setup
from cifar_helpers.report.checks import Checks


def namespace(**values):
    return {"__annotations__": {name: type(value) for name, value in values.items()}, **values}


@pytest.fixture
def places(tmp_path, monkeypatch):
    """A repository of its own, and what is displayed."""
    monkeypatch.setattr(paths, "ROOT", tmp_path)
    monkeypatch.setattr(paths, "aside", None)
    monkeypatch.setattr(Checks, "strict", True)
    monkeypatch.setenv(PUBLISH, "1")
    shown = []
    monkeypatch.setattr(setup, "display", lambda markdown: shown.append(markdown.data))
    return shown


@pytest.mark.parametrize(("profile", "marked"), [("smoke", "SYNTHETIC"), ("quick", "Miniature"), ("full", "")])
def test_a_small_run_is_marked(profile, marked, places):
    assert notebook.start(namespace(profile=profile)) == profile
    assert marked in "".join(places) and bool(places) == bool(marked)


def test_a_wrong_parameter_is_one_sentence(places):
    with pytest.raises(ValueError, match="the parameter epochs is a whole number from 0, not -1"):
        notebook.start(namespace(profile="smoke", epochs=-1))
    with pytest.raises(ValueError, match="unknown profile 'tiny'"):
        notebook.start(namespace(profile="tiny"))


def test_other_parameters_than_the_reports_have_a_folder_of_their_own(tmp_path, places):
    """Else the next PDF would be built from them."""
    notebook.start(namespace(profile="full", epochs=0, activations=""))
    assert paths.figures("full") == tmp_path / "figures" and places == [] and Checks.strict
    folders = set()
    for changed in (dict(epochs=5), dict(activations=["relu", "elu"]), dict(activations="relu, elu")):
        notebook.start(namespace(**dict(profile="full", epochs=0, activations="") | changed))
        folders |= {paths.figures("full"), paths.generated("full").parents[1] / "figures"}
        assert paths.aside.relative_to(tmp_path).as_posix() in places[-1] and not Checks.strict
    assert len(folders) == 3 and all(folder.is_relative_to(tmp_path / "build") for folder in folders)
    assert paths.runs("full") == tmp_path / "runs"  # records are told apart by their configs


def test_only_the_pipeline_writes_for_the_report(tmp_path, places, monkeypatch):
    """Reading a notebook, running all of its cells or comparing it with nbval leaves the checkout clean."""
    monkeypatch.delenv(PUBLISH)
    notebook.start(namespace(profile="full", epochs=0))
    assert paths.figures("full") == tmp_path / "build/unpublished/figures" and Checks.strict
