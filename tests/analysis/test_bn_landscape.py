"""The measurements on functions with a known answer, and that measuring leaves no trace."""

import dataclasses
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
import torch
from scipy import stats
from torch import nn

from cifar_helpers import experiments, models, train
from cifar_helpers.analysis import bn_landscape
from cifar_helpers.models.vgg import ShiftingNoise
from cifar_helpers.train import Config, landscape, measurements

HESSIAN = torch.tensor([[3.0, 1.0], [1.0, 2.0]], dtype=torch.float64)
SLOPE = torch.tensor([0.5, -1.0], dtype=torch.float64)


def config(name="vgg_a_bn", **options):
    small = dict(
        data="synthetic",
        images=100,
        test_images=50,
        batch_size=25,
        epochs=1,
        width=0.125,
        momentum=0.0,
        precision="float32",
        schedule="constant",
        weight_decay=0.0,
        learning_rate=0.1,
    )
    return Config(name, **small | options)


def inputs(cifar, **options):
    """A model in training mode, a batch, the evaluation batches and the config: what a measurement gets."""
    settings = config(**options)
    torch.manual_seed(0)
    model = models.build(settings.model, width=settings.width, hidden=settings.hidden, dropout=settings.dropout)
    batches, held = train.batches_for(settings, cifar, "cpu")
    return model.train(), next(batches.epoch(0)), held, settings


def test_quadratic_with_known_answers():
    """L(w) = w'Aw/2 + b'w: along -g the gradient changes by a A g, and the loss by -a g'g + a^2 g'Ag/2."""
    w = torch.tensor([1.0, 2.0], dtype=torch.float64, requires_grad=True)
    sizes = [0.05, 0.1, 0.7]
    points = landscape.line_scan(lambda: w @ HESSIAN @ w / 2 + SLOPE @ w, [w], sizes)
    g = HESSIAN @ w.detach() + SLOPE
    beta = float((HESSIAN @ g).norm() / g.norm())
    assert points["step_size"].tolist() == [0, *sizes]
    np.testing.assert_allclose(points["smoothness"][1:], beta)
    np.testing.assert_allclose(points["gradient_change"], [a * float((HESSIAN @ g).norm()) for a in [0, *sizes]])
    np.testing.assert_allclose(points["moved"], [a * float(g.norm()) for a in [0, *sizes]])
    start = float(w.detach() @ HESSIAN @ w.detach() / 2 + SLOPE @ w.detach())
    np.testing.assert_allclose(
        points["loss"], [start - a * float(g @ g) + a**2 * float(g @ HESSIAN @ g) / 2 for a in [0, *sizes]]
    )
    assert w.tolist() == [1.0, 2.0]


def test_gradient_is_over_all_parameters_together():
    """Two parameters are one vector: separate walks would each see a smoothness of their own, 1 and 4."""
    a, b = (torch.tensor([1.0], dtype=torch.float64, requires_grad=True) for _ in range(2))
    points = landscape.line_scan(lambda: (a**2 / 2 + 2 * b**2).sum(), [a, b], [0.1])
    assert points["smoothness"][1] == pytest.approx(np.sqrt((1**2 + 16**2) / (1**2 + 4**2)))


def test_largest_and_smallest_are_over_the_step_sizes(cifar, monkeypatch):
    table = pd.DataFrame(
        {
            "step_size": [0, 1, 2, 3],
            "loss": [5.0, 3.0, 1.0, 2.0],
            "moved": 1.0,
            "gradient_change": [0, 2.0, 7.0, 4.0],
            "smoothness": [np.nan, 2.0, 3.0, 1.0],
        }
    )
    seen = []

    def fake(loss_of, parameters, step_sizes):
        seen.extend(step_sizes)
        return table

    monkeypatch.setattr(landscape, "line_scan", fake)
    (row,) = landscape.landscape(*inputs(cifar))
    assert row == {"loss": 5, "loss_low": 1, "loss_high": 3, "change_low": 2, "change_high": 7, "smoothness": 3}
    assert (min(seen), max(seen)) == (0.05, pytest.approx(0.4))  # half of the rate to four times the rate
    assert {type(value) for value in row.values()} == {float}  # a checkpoint takes no other


def test_no_gradient_is_smooth_and_a_dead_layer_does_not_shift(cifar):
    model, batch, held, settings = inputs(cifar, name="vgg_a")
    with torch.no_grad():
        for p in model.parameters():
            p.zero_()
        model.head[-1].bias.fill_(-1e4)[3] = 1e4  # sure of class 3
    images, labels = batch
    (row,) = landscape.landscape(model, (images, torch.full_like(labels, 3)), held, settings)
    assert (row["loss"], row["change_high"], row["smoothness"]) == (0, 0, 0)
    assert {row["shift"] for row in landscape.shift(model, batch, held, settings)} == {0}


def test_walk_repeats_the_draws_of_dropout():
    """With a fresh mask at each point, the gradient of a linear function would change along the way."""
    w = torch.ones(64, requires_grad=True)
    points = landscape.line_scan(lambda: nn.functional.dropout(w, 0.5).sum(), [w], [0.1, 0.2])
    assert points["gradient_change"].tolist() == [0, 0, 0]


@pytest.mark.parametrize("measure", ("landscape", "shift"))
@pytest.mark.parametrize("name", ("vgg_a", "vgg_a_bn", "vgg_a_bn_noise", "fast_cnn"))  # the last has frozen weights
def test_measuring_leaves_model_and_random_numbers_alone(cifar, measure, name):
    model, batch, held, settings = inputs(cifar, name=name, hidden=(16,), dropout=0.5)
    model.head.eval()  # a mode that differs between parts
    before = {key: tensor.clone() for key, tensor in model.state_dict().items()}
    modes, random = [m.training for m in model.modules()], torch.get_rng_state()
    first = measurements.MEASUREMENTS[measure](model, batch, held, settings)
    assert all(torch.equal(tensor, before[key]) for key, tensor in model.state_dict().items())
    assert [m.training for m in model.modules()] == modes and torch.equal(torch.get_rng_state(), random)
    assert all(p.grad is None for p in model.parameters())
    assert measurements.MEASUREMENTS[measure](model, batch, held, settings) == first


@pytest.mark.parametrize("measure", ("landscape", "shift"))
def test_measured_run_has_the_history_of_an_unmeasured_one(cifar, measure):
    plain, measured = (
        train.train(config("vgg_a_bn_noise", epochs=2), cifar, keep=keep) for keep in ([], [f"{measure}:3"])
    )
    columns = plain.history.columns.drop("seconds")
    pd.testing.assert_frame_equal(measured.history[columns], plain.history[columns], check_exact=True)
    assert np.array_equal(measured.steps, plain.steps)
    assert sorted(set(measured.measured[f"{measure}:3"]["step"])) == [0, 3, 6]


def test_landscape_starts_at_the_loss_of_the_step(cifar):
    result = train.train(config(), cifar, keep=["landscape:2"])
    measured = result.measured["landscape:2"]
    np.testing.assert_allclose(measured["loss"], result.steps[measured["step"]], rtol=1e-5)


def test_what_leaves_the_numbers_is_infinite(cifar):
    model, batch, held, settings = inputs(cifar, name="vgg_a", learning_rate=1e30)
    (row,) = landscape.landscape(model, batch, held, settings)
    assert np.isfinite(row["loss"]) and row["loss_high"] == np.inf == row["smoothness"]


def test_shift_of_a_network_that_does_not_move_is_zero_and_of_noise_is_not(cifar):
    still, noisy = (
        pd.DataFrame(landscape.shift(*inputs(cifar, name=name, learning_rate=0.0)))
        for name in ("vgg_a_bn", "vgg_a_bn_noise")
    )
    assert still["layer"].tolist() == ["stage2", "stage3", "stage4", "stage5"]
    assert (still["shift"] == 0).all() and (noisy["shift"] > 0.1).all()


def test_shift_has_a_closed_form(cifar):
    """Inputs that become c times as large: shift = |c - 1| sqrt(mean(m^2 + s^2) / mean(s^2))."""
    model, batch, held, settings = inputs(cifar, name="vgg_a")
    looks = iter((1.0, 3.0))
    mean, sd = torch.tensor([1.0, 2.0]), torch.tensor([0.5, 1.5])

    def moments(model, images):
        scale = next(looks)
        return {"stage2": (scale * mean, scale * sd)}

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(landscape, "_moments", moments)
        (row,) = landscape.shift(model, batch, held, settings)
    assert row["shift"] == pytest.approx(2 * np.sqrt((1 + 4 + 0.25 + 2.25) / (0.25 + 2.25)))
    assert row["layer"] == "stage2"


def test_noise_is_drawn_anew_each_step_with_the_papers_moments():
    torch.manual_seed(0)
    noise, maps = ShiftingNoise(), torch.randn(2000, 200, 1, 2)
    first, second = noise(maps), noise(maps)
    scale = (first[..., 1] - first[..., 0]) / (maps[..., 1] - maps[..., 0])
    added = first[..., 0] - scale * maps[..., 0]
    of_channel, of_scale = added.mean((0, 2)), scale.mean((0, 2))
    assert of_channel.min() >= -0.51 and of_channel.max() <= 0.51
    assert of_channel.std() == pytest.approx(1 / 12**0.5, rel=0.1)
    assert of_scale.min() >= 0.98 and of_scale.max() <= 1.27
    assert added.std(0).mean() == pytest.approx(0.2 / 12**0.5, rel=0.05)
    assert scale.std(0).mean() == pytest.approx(0.1, rel=0.05)
    assert (first.mean((0, 2, 3)) - second.mean((0, 2, 3))).abs().max() > 0.5  # the means themselves moved
    assert noise.eval()(maps) is maps


def run(rate, steps, diverged=False, model="vgg_a", seed=0):
    return SimpleNamespace(
        config=SimpleNamespace(learning_rate=rate, model=model, seed=seed),
        steps=np.array(steps, dtype=np.float32),
        record={"diverged": diverged},
    )


def test_band_of_runs_of_unequal_length():
    frame = bn_landscape.band([run(0.1, [3, 2, 1]), run(0.2, [4, 1]), run(0.3, [3.5, 1.5, 0, 0])])
    assert frame[["low", "high"]].values.tolist() == [[3, 4], [1, 2]]


def test_diverged_run_is_infinitely_high_from_there_on():
    frame = bn_landscape.band([run(0.1, [3, 2, 1, 1]), run(0.2, [4, np.inf, 7], diverged=True)])
    assert frame["high"].tolist() == [4, np.inf, np.inf, np.inf] and frame["low"].tolist() == [3, 2, 1, 1]
    assert frame["width"].tolist() == [1, np.inf, np.inf, np.inf]
    both = bn_landscape.band([run(0.1, [3, np.nan], True), run(0.2, [4, 1, np.nan], True)])
    assert both["width"].tolist() == [1, np.inf, np.inf]


def test_band_smoothing_averages_each_run():
    frame = bn_landscape.band([run(0.1, [1, 3, 5]), run(0.2, [0, 0, 0])], smoothing=2)
    assert frame["high"].tolist() == [1, 2, 4]


@pytest.mark.parametrize("smoothing", (1, 50))
def test_band_needs_two_rates(smoothing):
    for runs in ([], [run(0.1, [1]), run(0.1, [2])]):
        with pytest.raises(ValueError, match="two of them or more"):
            bn_landscape.band(runs, smoothing)


def test_bands_side_by_side():
    runs = [
        run(rate, [rate, 2 * rate][:length], model=model, seed=seed)
        for model, length in (("vgg_a", 2), ("vgg_a_bn", 1))
        for seed in (0, 1)
        for rate in (1, 2, 4)
    ]
    table = bn_landscape.bands(runs, (1, 4))
    assert table["high"]["VGG-A"].tolist() == [4, 8, 4, 8] and table["low"]["VGG-A"].tolist() == [1, 2, 1, 2]
    assert table["width"]["VGG-A with batch norm"].tolist() == [3, np.inf, 3, np.inf]
    assert table.index.names == ["seed", "step"]


def test_ratio_and_its_interval():
    random = np.random.default_rng(1)
    plain = random.uniform(1, 3, 400)
    assert bn_landscape.ratio(plain / 2, plain) == pytest.approx((0.5, 0.5, 0.5))  # the blocks stay paired
    assert bn_landscape.ratio(3 * plain, plain) == pytest.approx((3, 3, 3))
    ratio, low, high = bn_landscape.ratio(random.uniform(1, 3, 400), plain)
    assert low < ratio < high and low < 1 < high


def test_ratio_with_infinities():
    one, lost = np.ones(40), np.full(40, np.inf)
    assert bn_landscape.ratio(one, lost) == (0, 0, 0)
    assert np.isnan(bn_landscape.ratio(lost, lost)).all() and np.isnan(bn_landscape.ratio([], one)).all()
    assert bn_landscape.ratio(one, np.ones(10))[0] == 1  # cut to the shorter


def test_ratios_of_several_cases():
    frame = pd.DataFrame({"normed": [1.0, 2.0, 3.0], "plain": [4.0, 4.0, 4.0]})
    found = bn_landscape.ratios({"all": frame, "none": frame[:0]}, "normed", "plain")
    assert found.loc["all"].tolist()[:3] == [4, 2, 0.5] and found.loc["none"].isna().all()


def test_measured_side_by_side():
    def record(model, seed, steps):
        rows = pd.DataFrame({"epoch": 1, "step": steps, "smoothness": [10.0 * seed + step for step in steps]})
        return SimpleNamespace(config=SimpleNamespace(model=model, seed=seed), measurement={"landscape": rows}.get)

    table = bn_landscape.measured(
        [record(model, seed, steps) for model, seed, steps in (("vgg_a", 0, [0, 5]), ("vgg_a_bn", 0, [0]))]
        + [record(model, 1, [0, 5]) for model in ("vgg_a", "vgg_a_bn")],
        "landscape",
    )
    assert table["smoothness"]["VGG-A"].tolist() == [0, 5, 10, 15]
    assert table["smoothness"]["VGG-A with batch norm"].tolist() == [0, np.inf, 10, 15]  # it diverged before step 5
    assert table.index.names == ["seed", "step"]


def by_seed(*seeds):
    return pd.concat({seed: pd.DataFrame(columns) for seed, columns in enumerate(seeds)}, names=["seed", "step"])


def test_pairs_of_equal_loss():
    loss = by_seed({"plain": [4.0, 2.0, 1.0, np.inf], "normed": [1.9, 1.0, 0.5, 0.25]})
    values = by_seed({"plain": [40.0, 20, 10, np.inf], "normed": [3.0, 2, 1, 0]})
    pairs = bn_landscape.at_equal_loss(loss, values, "normed", "plain")
    assert pairs.to_dict("list") == {"normed": [3, 2], "plain": [20, 10]}  # nothing is within a quarter of 4


def test_a_step_is_the_partner_of_one_step_only():
    loss = by_seed({"plain": [1.0, 1.05], "normed": [1.3, 1.0]})
    pairs = bn_landscape.at_equal_loss(loss, loss, "normed", "plain")  # both of plain are nearest to 1.0
    assert pairs.to_dict("list") == {"normed": [1.0, 1.3], "plain": [1.0, 1.05]}
    assert bn_landscape.at_equal_loss(loss, loss, "normed", "plain", factor=1.2)["plain"].tolist() == [1.0]


def test_steps_are_matched_within_a_seed():
    loss = by_seed({"plain": [1.0, 2.0], "normed": [2.0, 4.0]}, {"plain": [4.0, 8.0], "normed": [8.0, 16.0]})
    pairs = bn_landscape.at_equal_loss(loss, loss, "normed", "plain")
    assert pairs.index.tolist() == [(0, 0), (1, 0)] and pairs["plain"].tolist() == pairs["normed"].tolist() == [2, 8]


def test_ratios_over_seeds():
    seeds = [{"normed": [1.0, 2.0, 9.0], "plain": [0.0, 4 * factor, 99.0]} for factor in (1.0, 2.0, 4.0)]
    found = bn_landscape.seed_ratios({"all": by_seed(*seeds), "one": by_seed(seeds[0])}, "normed", "plain")
    half = np.log(2) * stats.t.ppf(0.975, 2) / 3**0.5  # the seeds: 1/2, 1/4, 1/8
    assert found.loc["all"].tolist() == pytest.approx([8, 2, 1 / 4, np.exp(-half) / 4, np.exp(half) / 4])
    assert found.loc["one"].tolist()[:3] == pytest.approx([4, 2, 0.5])
    assert found.loc["one"].isna().tolist()[3:] == [True, True]


def test_a_claim_about_a_ratio_is_judged_over_the_seeds():
    index = pd.MultiIndex.from_product([range(3), range(5)], names=["seed", "step"])
    plain = pd.Series(np.arange(15.0) + 1, index)
    table = pd.DataFrame({"plain": plain, "half": plain * np.repeat([0.5, 0.5, 0.4], 5)})
    text, seeds, verdict = bn_landscape.judge(table, "half", "plain", "lower")
    assert text.startswith("0.46 times [0.3") and (seeds, verdict) == (3, "holds")
    assert bn_landscape.judge(table, "half", "plain", "higher")[2] == "contradicted"
    assert bn_landscape.judge(table.loc[[0]], "half", "plain", "lower") == ("0.50 times", 1, "undecided")


def test_experiments_ask_for_what_the_notebook_reads():
    band = experiments.bn_band("smoke", rates=(0.1, 0.3, 0.2))
    assert [c.learning_rate for c in band] == [0.1, 0.2, 0.3] * 2
    kept = {c: experiments.band_keep((0.1, 0.3, 0.2))(c) for c in [*band, dataclasses.replace(band[1], seed=1)]}
    assert all("steps" in names for names in kept.values())
    assert [(c.model, c.learning_rate, c.seed) for c, names in kept.items() if "weights" in names] == [
        ("vgg_a", 0.2, 0),
        ("vgg_a_bn", 0.2, 0),
    ]
    assert {c.model for c in experiments.bn_control("smoke")} == {"vgg_a", "vgg_a_bn", "vgg_a_bn_noise"}
    assert all(c.momentum == 0 == c.weight_decay for c in experiments.bn_measured("full"))
    assert all(c.epochs * (50_000 // c.batch_size) >= 10_000 for c in experiments.bn_band("full"))


@pytest.mark.parametrize(
    "rates, words",
    (
        ((0.1,), "two of them"),
        ((), "two of them"),
        ((0.1, -0.1), "learning_rate is a number"),
        ((0.1, float("nan")), "learning_rate is"),
    ),
)
def test_bad_rates_are_named(rates, words):
    with pytest.raises(ValueError, match=words):
        experiments.bn_band("smoke", rates=rates)
