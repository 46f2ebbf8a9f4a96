"""The first call of every notebook."""

import pytest

from cifar_helpers import notebook


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
