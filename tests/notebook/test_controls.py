import ipywidgets
import matplotlib.pyplot as plt
import pandas as pd
import pytest
from IPython.core.interactiveshell import InteractiveShell

from cifar_helpers.notebook import controls


@pytest.fixture(autouse=True)
def no_shell_stays():
    """Formatting what is displayed makes IPython's shell, which other tests must not find."""
    yield
    InteractiveShell.clear_instance()


@pytest.fixture
def page(monkeypatch):
    """What is displayed, in order, and the widgets that hold a picture."""
    shown, pictures, output = [], [], ipywidgets.Output
    monkeypatch.setattr(controls, "display", lambda made, **_: shown.append(made))
    monkeypatch.setattr(ipywidgets, "Output", lambda: pictures.append(output()) or pictures[-1])
    return shown, pictures


def text(picture):
    return [output["data"]["text/plain"] for output in picture.outputs]


def test_changing_a_control_redraws_in_place(page):
    _, pictures = page
    slope, name = ipywidgets.FloatSlider(0.5, max=1), ipywidgets.Dropdown(options=["a", "b"], description="which")
    controls.play(lambda slope, one_name: f"{one_name} {slope}", slope=slope, one_name=name)
    assert [control.description for control in (slope, name)] == ["slope", "which"]
    assert [text(picture) for picture in pictures] == [["'a 0.5'"]]
    slope.value = 0.75
    name.value = "b"
    assert [text(picture) for picture in pictures] == [["'b 0.75'"]]


def test_first_picture_is_stored_and_a_line_says_how_to_get_the_controls(page):
    """For a page without the kernel, or without widgets."""
    shown, pictures = page
    controls.play(lambda number: f"picture {number}", number=ipywidgets.IntSlider(1, max=3))
    box, stored, note = shown
    assert box.children[-1] is pictures[0] and stored["text/plain"] == "'picture 1'"
    assert "Run All Cells" in note.data


def test_figures_are_closed_so_that_the_cell_shows_them_once(page):
    number = ipywidgets.IntSlider(1, max=3)
    controls.play(lambda number: plt.figure(num=number), number=number)
    assert plt.get_fignums() == []
    number.value = 2
    assert plt.get_fignums() == [] and "Figure" in text(page[1][0])[0]


def test_an_error_takes_the_place_of_the_picture_until_there_is_one_again(page):
    def draw(number):
        return f"picture {12 // (number - 2)}, {plt.figure() and 1}"

    number = ipywidgets.IntSlider(1, max=3)
    controls.play(draw, number=number)
    number.value = 2
    (output,) = page[1][0].outputs
    assert output["name"] == "stderr" and output["text"].startswith("ZeroDivisionError: integer division")
    number.value = 3
    assert text(page[1][0]) == ["'picture 12, 1'"] and plt.get_fignums() == []
    with pytest.raises(ZeroDivisionError):  # as any cell, so that the pipeline stops
        controls.play(draw, number=ipywidgets.IntSlider(2, max=3))


def test_curves_of_chosen_options_and_of_all_where_none_is_chosen(monkeypatch, page):
    drawn = []
    monkeypatch.setattr(
        controls.plots, "seed_bands", lambda histories, curves: drawn.append((list(histories), curves)) or "picture"
    )
    histories = {name: [pd.DataFrame({"epoch": [1], "test_accuracy": [50.0]})] for name in ("sgd", "adam")}
    controls.play_curves(histories, start=["adam"])
    menu, curve = page[0][0].children[:2]
    assert drawn == [(["adam"], ("test_accuracy",))]
    menu.value = ()
    curve.value = "train_loss"
    assert drawn[1:] == [(["sgd", "adam"], ("test_accuracy",)), (["sgd", "adam"], ("train_loss",))]
