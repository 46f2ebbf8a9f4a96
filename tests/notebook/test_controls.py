import ipywidgets
import matplotlib.pyplot as plt
import pytest

from cifar_helpers.notebook import controls


@pytest.fixture
def page(monkeypatch):
    """What is displayed, in order, and what replaces it."""
    shown = []

    class Handle:
        def update(self, made):
            shown[-1] = made

    def display(made, display_id=False):
        shown.append(made)
        return Handle() if display_id else None

    monkeypatch.setattr(controls, "display", display)
    return shown


def test_moving_a_control_redraws_in_place(page):
    slope, name = ipywidgets.FloatSlider(0.5, max=1), ipywidgets.Dropdown(options=["a", "b"], description="which")
    controls.play(lambda slope, one_name: f"{one_name} {slope}", slope=slope, one_name=name)
    assert [control.description for control in page[0].children] == ["slope", "which"]
    assert page[1:] == ["a 0.5"]
    slope.value = 0.75
    name.value = "b"
    assert page[1:] == ["b 0.75"]


def test_figures_are_closed_so_that_the_cell_shows_them_once(page):
    number = ipywidgets.IntSlider(1, max=3)
    controls.play(lambda number: plt.figure(num=number), number=number)
    assert plt.get_fignums() == []
    number.value = 2
    assert plt.get_fignums() == [] and page[1].number == 2
