"""The first call of every notebook."""

import pytest

from cifar_helpers import notebook
from cifar_helpers.core import paths


def namespace(**values):
    return {"__annotations__": {name: type(value) for name, value in values.items()}, **values}


@pytest.mark.parametrize(("profile", "marked"), [("smoke", "SYNTHETIC"), ("quick", "Miniature"), ("full", "")])
def test_a_small_run_is_marked(profile, marked, capsys, monkeypatch):
    shown = []
    monkeypatch.setattr("cifar_helpers.notebook.setup.display", lambda markdown: shown.append(markdown.data))
    assert notebook.start(namespace(profile=profile)) == profile
    assert marked in "".join(shown) and bool(shown) == bool(marked)


def test_a_wrong_parameter_is_one_sentence():
    with pytest.raises(ValueError, match="the parameter epochs is a whole number from 0, not -1"):
        notebook.start(namespace(profile="smoke", epochs=-1))
    with pytest.raises(ValueError, match="unknown profile 'tiny'"):
        notebook.start(namespace(profile="tiny"))


def test_other_parameters_than_the_reports_have_a_folder_of_their_own(tmp_path, monkeypatch):
    """Else the next PDF would be built from them."""
    monkeypatch.setattr(paths, "ROOT", tmp_path)
    monkeypatch.setattr(paths, "aside", None)
    shown = []
    monkeypatch.setattr("cifar_helpers.notebook.setup.display", lambda markdown: shown.append(markdown.data))
    notebook.start(namespace(profile="full", epochs=0, activations=""))
    assert paths.figures("full") == tmp_path / "figures" and shown == []
    folders = set()
    for changed in (dict(epochs=5), dict(activations=["relu", "elu"]), dict(activations="relu, elu")):
        notebook.start(namespace(**dict(profile="full", epochs=0, activations="") | changed))
        folders |= {paths.figures("full"), paths.generated("full").parents[1] / "figures"}
        assert str(paths.aside.relative_to(tmp_path)) in shown[-1]
    assert len(folders) == 3 and all(folder.is_relative_to(tmp_path / "build") for folder in folders)
    assert paths.runs("full") == tmp_path / "runs"  # records are told apart by their configs
