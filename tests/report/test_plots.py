import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest

from cifar_helpers import experiments, models, train
from cifar_helpers.analysis import grad_cam, statistics
from cifar_helpers.report import plots
from cifar_helpers.train.losses import LOSSES


def history(epochs, level):
    return pd.DataFrame(
        {
            "epoch": range(1, epochs + 1),
            **{
                f"{kind}_{what}": np.full(epochs, float(level))
                for kind in ("train", "test")
                for what in ("loss", "accuracy")
            },
        }
    )


@pytest.mark.parametrize(
    "options",
    [
        ("relu", "relu6", "leaky_relu", "elu"),
        experiments.activations_others.__defaults__[0][:10],  # there are ten colours
        tuple(LOSSES),
        train.OPTIMIZERS,
        ("constant", "multi_step", "cosine", "one_cycle", "linear"),
    ],
)
def test_options_drawn_together_differ_in_colour_and_without_it(options):
    styles = [plots.style(option) for option in options]
    assert len({look["color"] for look in styles}) == len(options)
    assert len({(str(look["linestyle"]), look["marker"]) for look in styles}) == len(options)


def test_every_option_has_a_title_and_a_style_of_its_own():
    for option in (*models.ACTIVATIONS, *LOSSES, *train.OPTIMIZERS):
        assert option in plots.TITLES and option in plots.NUMBERS
    assert plots.title("hidden 256") == "hidden 256"
    assert plots.style("hidden 256") == plots.style("hidden 256")


def test_band_reaches_from_the_lowest_to_the_highest_seed_and_runs_may_end_early():
    figure = plots.seed_bands({"relu": [history(3, 1), history(2, 3)], "elu": [history(1, 5)]})
    axis = figure.axes[0]
    assert len(figure.axes) == 4
    assert axis.lines[0].get_ydata().tolist() == [2.0, 2.0, 1.0]
    corners = axis.collections[0].get_paths()[0].vertices[:, 1]
    assert (corners.min(), corners.max()) == (1.0, 3.0)
    assert [text.get_text() for text in figure.legends[0].texts] == ["ReLU", "ELU"]
    plt.close(figure)


def test_interaction_shows_each_mean_and_each_seed_at_a_place_of_its_own():
    values = pd.DataFrame({"without": [1.0, 1.0, 4.0], "with": [5.0, 7.0, 9.0]})
    panels = {"18 layers": {"with shortcuts": values, "without shortcuts": values}, "34 layers": {"other": values}}
    figure = plots.interaction(panels, "batch norm", "accuracy", level=3)
    axis = figure.axes[0]
    means = [line for line in axis.lines if line.get_label() in panels["18 layers"]]
    assert [line.get_ydata().tolist() for line in means] == [[2.0, 7.0]] * 2
    *seeds, level = [line for line in axis.lines if line not in means]
    assert level.get_ydata() == [3, 3]
    assert sorted(line.get_ydata()[0] for line in seeds) == [1.0, 1.0, 1.0, 1.0, 4.0, 4.0]
    assert (
        len({round(line.get_xdata()[0], 6) for line in seeds}) == 6 and max(line.get_xdata()[0] for line in seeds) < 0
    )
    assert [axis.get_title() for axis in figure.axes] == list(panels)
    plt.close(figure)


def test_training_and_test_images_side_by_side_have_one_scale():
    both = {"relu": [history(2, 1).assign(train_accuracy=[10.0, 90.0])]}
    figure = plots.seed_bands(both, ("train_accuracy", "test_accuracy"))
    assert figure.axes[0].get_ylim() == figure.axes[1].get_ylim() and figure.axes[0].get_ylim()[1] > 90
    loss, accuracy = plots.seed_bands(both, ("train_loss", "test_accuracy")).axes
    assert not loss.get_shared_y_axes().joined(loss, accuracy)
    plt.close("all")


def test_what_is_drawn_beside_the_networks_has_none_of_their_colours():
    networks = ("ResNet18", "ResNeXt50_32x4d", "DPN26", "DLA", "DenseNet121")
    orders, methods = ("Grad-CAM", "other image", "random", "centred blob"), grad_cam.METHODS
    assert not {plots.style(n)["color"] for n in networks} & {plots.style(m)["color"] for m in (*orders, *methods)}
    assert all(len({plots.style(name)["color"] for name in names}) == len(names) for names in (orders, methods))


def test_any_column_of_a_history_can_be_drawn_alone():
    rates = history(3, 1).assign(learning_rate=[0.1, 0.05, 0.0])
    figure = plots.seed_bands({"sgd": [rates]}, ("learning_rate",))
    assert len(figure.axes) == 1 and figure.axes[0].get_ylabel() == "learning rate"
    assert figure.axes[0].lines[0].get_ydata().tolist() == [0.1, 0.05, 0.0]
    plt.close(figure)


def test_labels_of_accuracies_say_where_their_ticks_are():
    axis = plots.seed_bands({"relu": [history(2, 5)], "elu": [history(2, 18)]}).axes[2]
    axis.set_yticks([5, 7.5, 10])
    assert [label.get_text() for label in axis.get_yticklabels()] == ["5%", "7.5%", "10%"]
    plt.close("all")


def test_an_outlier_does_not_flatten_the_losses_of_the_others():
    figure = plots.seed_bands({"relu": [history(5, 2)], "elu": [history(1, 40)]})
    assert [axis.get_yscale() for axis in figure.axes] == ["log", "log", "linear", "linear"]
    assert plots.seed_bands({"relu": [history(5, 2)], "elu": [history(1, 4)]}).axes[0].get_yscale() == "linear"
    plt.close("all")


def test_forest_fills_only_what_is_decided():
    frame = pd.DataFrame(
        [
            {"option": name, "seed": seed, "value": value, "diverged": False}
            for name, values in {
                "relu": [1.0, 2, 3],
                "elu": [2.0, 3, 4.1],
                "selu": [1.1, 1.9, 3.2],
                "one": [1.0, 2.0, 3.0],
            }.items()
            for seed, value in enumerate(values)
        ]
    )
    figure = plots.forest(statistics.family(frame, "relu"), "points")
    points = {
        line.get_ydata()[0]: line.get_markerfacecolor() for line in figure.axes[0].lines if line.get_marker() == "o"
    }
    assert points == {"ELU": "0.2", "SELU": "white", "one": "white"}
    plt.close(figure)
