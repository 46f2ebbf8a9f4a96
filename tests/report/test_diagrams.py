import matplotlib.pyplot as plt
import pytest

from cifar_helpers.report import blocks, diagrams

BOXES = {"x": (1, 1, "x", "data"), "a": (2, 1, "conv", "layer"), "+": (3, 1, "+", "merge")}


def test_arrows_are_written_as_chains():
    assert diagrams._arrows("x>a>+ x>+:-0.3") == [("x", "a", 0), ("a", "+", 0), ("x", "+", -0.3)]
    diagrams.draw(BOXES, "x>a>+ x>+:-0.3")
    assert len(plt.gca().texts) == len(BOXES) + 3
    plt.close("all")


def test_an_arrow_to_a_box_that_does_not_exist_fails():
    with pytest.raises(KeyError):
        diagrams.draw(BOXES, "x>b")
    plt.close("all")


@pytest.mark.parametrize("name", blocks.BLOCKS)
def test_each_box_of_a_block_is_joined_to_another(name):
    boxes, arrows, _ = blocks.BLOCKS[name]
    assert set(boxes) == {end for arrow in diagrams._arrows(arrows) for end in arrow[:2]}
    blocks.draw(name)
    plt.close("all")
