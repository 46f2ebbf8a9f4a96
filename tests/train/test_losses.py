import pytest
import torch

from cifar_helpers.train.losses import LOSSES, one_hot

LOGITS, LABELS = torch.randn(8, 10, generator=torch.Generator().manual_seed(0)), torch.arange(8)


def test_each_loss_by_its_formula():
    y, s = one_hot(LABELS, 10), torch.sigmoid(LOGITS)
    binary = -(y * s.log() + (1 - y) * (1 - s).log()).mean()
    expected = {
        "cross_entropy": -(y * LOGITS.log_softmax(1)).sum(1).mean(),
        "mse": ((LOGITS - y) ** 2).mean(),
        "bce_with_logits": binary,
        "multilabel_soft_margin": binary,
    }
    assert set(expected) == set(LOSSES)
    for name, value in expected.items():
        assert LOSSES[name](LOGITS, LABELS, 0.0).item() == pytest.approx(value.item(), rel=1e-5), name


@pytest.mark.parametrize("name", LOSSES)
def test_smoothing_changes_every_loss(name):
    assert LOSSES[name](LOGITS, LABELS, 0.2) != LOSSES[name](LOGITS, LABELS, 0.0)


def test_smoothed_targets_sum_to_one():
    targets = one_hot(LABELS, 10, 0.1)
    assert torch.allclose(targets.sum(1), torch.ones(8))
    assert targets[3, 3].item() == pytest.approx(0.91)
