import itertools

import numpy as np
import pytest
import torch

from cifar_helpers.analysis import calibration
from cifar_helpers.train import losses

RANDOM = np.random.default_rng(0)


def sure(confidence, right, count=1000, classes=10):
    """Logits whose softmax gives `confidence` to class 0, and labels of which the share `right` is class 0."""
    logits = np.full((count, classes), np.log((1 - confidence) / (classes - 1)))
    logits[:, 0] = np.log(confidence)
    labels = np.ones(count, dtype=np.int64)
    labels[: round(right * count)] = 0
    return logits, labels


def test_always_90_percent_sure_and_50_percent_right():
    logits, labels = sure(0.9, 0.5)
    assert calibration.calibration_error(logits, labels) == pytest.approx(40, abs=1e-3)
    rows = calibration.reliability(logits, labels, bins=10)
    filled = rows[rows["count"] > 0]
    assert len(rows) == 10 and len(filled) == 1 and rows.drop(filled.index)["accuracy"].isna().all()
    low, high, confidence, accuracy, count = filled.iloc[0]
    assert (confidence, accuracy, count) == (pytest.approx(90), pytest.approx(50), 1000)
    assert low <= confidence <= high and high - low == pytest.approx(10)


def test_perfectly_calibrated():
    parts = [sure(share, share) for share in (0.35, 0.55, 0.75, 0.95)]
    logits, labels = (np.concatenate(part) for part in zip(*parts))
    assert calibration.calibration_error(logits, labels) == pytest.approx(0, abs=1e-3)
    rows = calibration.reliability(logits, labels).dropna()
    np.testing.assert_allclose(rows["confidence"], rows["accuracy"])


@pytest.mark.parametrize("bins", (5, 15))
@pytest.mark.parametrize("readout", ("softmax", "sigmoid", "clipped"))
def test_reliability_and_calibration_error_agree(readout, bins):
    logits, labels = RANDOM.normal(0, 2, (5000, 10)), RANDOM.integers(0, 10, 5000)
    rows = calibration.reliability(logits, labels, bins, readout)
    assert rows["count"].sum() == 5000
    gaps = (rows["accuracy"] - rows["confidence"]).abs()
    expected = (gaps * rows["count"]).sum() / 5000
    assert expected > 1
    assert calibration.calibration_error(logits, labels, bins, readout) == pytest.approx(expected, rel=1e-3)


@pytest.mark.parametrize("readout", ("softmax", "sigmoid", "clipped"))
@pytest.mark.parametrize("scale", (0.1, 1, 100, 1e4))
def test_probabilities_sum_to_one_and_keep_the_order(readout, scale):
    logits = scale * RANDOM.normal(size=(500, 10)) - (scale if readout == "clipped" else 0)
    shares = calibration.probabilities(logits, readout)
    np.testing.assert_allclose(shares.sum(1), 1)
    assert shares.min() >= 0 and shares.max() <= 1
    largest = np.take_along_axis(shares, logits.argmax(1)[:, None], 1)[:, 0]
    np.testing.assert_array_equal(largest, shares.max(1))


def test_each_loss_has_the_readout_that_it_trains_for():
    """In the mean over labels drawn from p, the loss has no gradient at the logits whose readout is p."""
    p = torch.tensor([0.5, 0.3, 0.15, 0.05], dtype=torch.float64)
    best = {"softmax": p.log(), "sigmoid": p.logit(), "clipped": p}
    assert set(calibration.READOUTS) == set(losses.LOSSES)
    for name, readout in calibration.READOUTS.items():
        logits = best[readout].clone().requires_grad_()
        sum(share * losses.LOSSES[name](logits[None], torch.tensor([k]), 0.0) for k, share in enumerate(p)).backward()
        assert logits.grad.abs().max() < 1e-7, name
        np.testing.assert_allclose(calibration.probabilities(logits.detach()[None], readout)[0], p, atol=1e-8)


def test_a_network_that_left_the_numbers_is_not_called_calibrated():
    logits, labels = sure(0.9, 0.9, count=100)
    logits[7] = np.nan
    assert np.isnan(calibration.calibration_error(logits, labels))
    assert calibration.reliability(logits, labels)["count"].sum() == 99


def test_certainty_is_in_the_last_bin():
    rows = calibration.reliability(np.array([[1000.0, 0], [0, 1000.0]]), np.array([0, 0]), bins=4)
    assert rows["count"].tolist() == [0, 0, 0, 2] and rows["accuracy"].iloc[-1] == 50


def error_by_definition(confidence, right, bins):
    """Guo et al. 2017, equation 3: sum over bins of |B| / n |acc(B) - conf(B)|, in percent; the last bin is closed."""
    total = 0.0
    for low, high in itertools.pairwise(np.linspace(0, 1, bins + 1)):
        inside = [k for k, c in enumerate(confidence) if low <= c < high or c == high == 1]
        if inside:
            gap = sum(right[k] for k in inside) / len(inside) - sum(confidence[k] for k in inside) / len(inside)
            total += len(inside) / len(confidence) * abs(gap)
    return 100 * total


@pytest.mark.parametrize("bins", (1, 4, 10, 15))
def test_calibration_error_at_the_edges_of_bins(monkeypatch, bins):
    """Confidences at, just below and just above every edge, 0 and 1 included, one right and one wrong at random."""
    edges = np.linspace(0, 1, bins + 1)
    near = np.concatenate(
        [edges, np.nextafter(edges[1:], 0), np.nextafter(edges[:-1], 1), np.float32([0.3, 0.95, 1.0])]
    )
    for seed in range(20):
        random = np.random.default_rng(seed)
        confidence = random.choice(near, 12)
        right = random.integers(2, size=12).astype(bool)
        shares = np.column_stack([confidence, np.zeros(12)])
        monkeypatch.setattr(calibration, "probabilities", lambda *_, shares=shares: shares)
        labels = np.where(right, 0, 1)
        found = calibration.calibration_error(np.zeros((12, 2)), labels, bins)
        assert found == pytest.approx(error_by_definition(confidence, right, bins), abs=1e-9)
        assert calibration.reliability(np.zeros((12, 2)), labels, bins)["count"].sum() == 12


@pytest.mark.parametrize("dtype", (np.float32, np.float64))
def test_a_confidence_that_rounds_to_one_is_not_in_a_bin_of_its_own(dtype):
    """Sure by 0.95 and right; sure by 1 - 2e-9, which float32 rounds to 1, and wrong: both in the last of 15 bins."""
    logits = np.array([[np.log(0.95 / 0.05), 0], [20, 0]], dtype)
    assert calibration.calibration_error(logits, np.array([0, 1])) == pytest.approx(47.5, abs=1e-4)
    assert calibration.calibration_error(1000 * logits, np.array([0, 1])) == pytest.approx(50)


def test_calibration_error_of_one_image():
    assert calibration.calibration_error(np.array([[0.0, 0.0]]), np.array([0])) == pytest.approx(50)
    assert calibration.calibration_error(np.array([[0.0, 0.0]]), np.array([1])) == pytest.approx(50)


def test_calibration_error_of_no_image():
    assert np.isnan(calibration.calibration_error(np.zeros((0, 10)), np.zeros(0, int)))


def test_unknown_readout_names_the_known_ones():
    with pytest.raises(ValueError, match="softmax, sigmoid, clipped"):
        calibration.probabilities(np.zeros((1, 2)), "argmax")


def test_temperature_is_the_factor_by_which_logits_were_too_sure():
    random = np.random.default_rng(0)
    logits = random.normal(size=(20000, 10))
    shares = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
    labels = (shares.cumsum(1) > random.random((20000, 1))).argmax(1)  # drawn as the softmax says
    assert calibration.temperature(logits, labels) == pytest.approx(1, abs=0.05)
    assert calibration.temperature(3 * logits, labels) == pytest.approx(3, rel=0.05)
    assert calibration.temperature(0.5 * logits, labels) == pytest.approx(0.5, rel=0.05)
    errors = [
        calibration.calibration_error(3 * logits / divisor, labels)
        for divisor in (1, calibration.temperature(3 * logits, labels))
    ]
    assert errors[0] > 10 and errors[1] < 2
    fitted = 3 * logits / calibration.temperature(3 * logits, labels)
    assert (fitted.argmax(1) == logits.argmax(1)).all()


def test_temperature_of_what_cannot_be_mended():
    logits, labels = sure(0.9, 1.0, count=50)
    assert 0 < calibration.temperature(logits, labels) < 0.1  # always right: the surer the better
    assert calibration.temperature(logits, 1 - labels) > 50  # always wrong: the less sure the better
    logits[3] = np.inf
    assert np.isnan(calibration.temperature(logits, labels))


def test_one_half_is_measured_and_the_other_fits_the_temperature():
    (first, of_first), (second, of_second) = sure(0.9, 0.6, count=500), sure(0.9, 0.8, count=500)
    found = calibration.of_half(np.concatenate([first, second]), np.concatenate([of_first, of_second]), "softmax")
    assert found["ECE, softmax"] == found["ECE, own readout"] == pytest.approx(10)  # 90 % sure, 80 % right
    assert found["ECE, temperature"] == pytest.approx(20, abs=0.1)  # a temperature for 60 % right
    assert found["confidence minus accuracy"] == found["confidence minus accuracy, softmax"] == pytest.approx(10)
