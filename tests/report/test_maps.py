"""Sheets of heat maps."""

import matplotlib.pyplot as plt
import numpy as np
import pytest
import torch

from cifar_helpers.report import maps


@pytest.fixture(autouse=True)
def close():
    yield
    plt.close("all")


def test_a_map_is_drawn_in_shares_of_its_highest_value():
    heat = torch.zeros(32, 32)
    heat[3, 4], heat[5, 6] = 8.0, 2.0
    for values, expected in ((heat, heat / 8), (torch.zeros(32, 32), torch.zeros(32, 32))):
        drawn = maps.overlay(plt.figure().subplots(), np.zeros((32, 32, 3)), values)
        assert np.allclose(drawn.get_array(), expected)
        assert [text.get_text() for text in drawn.axes.texts] == ([] if expected.any() else ["empty"])


def test_a_sheet_has_a_line_per_picture_and_a_column_per_label():
    pictures, some = np.zeros((3, 32, 32, 3), np.uint8), torch.rand(3, 32, 32)
    figure = maps.sheet(pictures, "abc", {"one": (some, "xyz"), "two": (some, "uvw")})
    titles = [axis.get_title() for axis in figure.axes]
    assert titles[:9] == ["a", "one\nx", "two\nu", "b", "y", "v", "c", "z", "w"]


def test_blocks_of_a_sheet_stand_side_by_side_each_with_its_headings():
    pictures, some = np.zeros((4, 32, 32, 3), np.uint8), torch.rand(4, 32, 32)
    figure = maps.sheet(pictures, "abcd", {"one": (some, "wxyz")}, blocks=2)
    titles = [axis.get_title() for axis in figure.axes]
    assert titles[:8] == ["a", "one\nw", "c", "one\ny", "b", "x", "d", "z"]
