from types import SimpleNamespace

import pandas as pd

from cifar_helpers.analysis import dead_channels


def run(activation, seed, shares, keep=("dead_units",)):
    rows = [
        dict(epoch=epoch, layer=layer, units=16, silent=share)
        for layer, of_layer in shares.items()
        for epoch, share in enumerate(of_layer, start=1)
    ]
    config = SimpleNamespace(activation=activation, seed=seed)
    return SimpleNamespace(config=config, keep=keep, measurement={"dead_units": pd.DataFrame(rows)}.get)


def test_channels_are_counted_by_run_layer_and_epoch():
    counts = dead_channels.count(
        [
            run("relu", 0, {"stem.2": [0.0, 0.125], "last": [0.0625, 0.0]}),
            run("relu", 1, {"stem.2": [0.0, 1.0], "last": [0.0, 0.0]}),
            run("elu", 0, {}, keep=()),
        ]
    )
    assert counts.loc["relu", 0, "stem.2"].tolist() == [0, 2]
    assert counts.xs("stem.2", level="layer")[2].tolist() == [2, 16]
    assert counts.loc["relu", 0, "last"].tolist() == [1, 0]
    assert set(counts.index.get_level_values("activation")) == {"relu"}


def test_runs_that_kept_none_have_an_empty_table():
    assert dead_channels.count([run("elu", 0, {}, keep=())]).empty
