import pytest
import torch

from cifar_helpers.train import schedules

STEPS, RATE = 200, 0.4


def rates(schedule, warmup=0.0):
    factor = schedules.resolve(schedule, warmup)
    return [RATE * factor(step / STEPS) for step in range(STEPS)]


def torchs(build, momentum=0.9):
    optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=RATE, momentum=momentum)
    scheduler, seen = build(optimizer), []
    for _ in range(STEPS):
        seen.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        scheduler.step()
    return seen


def test_cosine_and_multi_step_are_those_of_torch():
    lr_scheduler = torch.optim.lr_scheduler
    assert rates("cosine") == pytest.approx(torchs(lambda o: lr_scheduler.CosineAnnealingLR(o, STEPS)), abs=1e-12)
    assert rates("multi_step") == pytest.approx(torchs(lambda o: lr_scheduler.MultiStepLR(o, [100, 150])))


def test_one_cycle_has_the_shape_of_torchs():
    """torch puts its peak and its end half a step away, so equal up to that."""
    expected = torchs(lambda o: torch.optim.lr_scheduler.OneCycleLR(o, RATE, total_steps=STEPS + 1))
    assert rates("one_cycle") == pytest.approx(expected, abs=0.02 * RATE)
    assert rates("one_cycle")[0] == pytest.approx(RATE / 25)
    assert max(rates("one_cycle")) == pytest.approx(RATE)


def test_linear_is_that_of_torch():
    expected = torchs(lambda o: torch.optim.lr_scheduler.LinearLR(o, 1.0, 0.0, STEPS))
    assert rates("linear") == pytest.approx(expected, abs=1e-9)


@pytest.mark.parametrize("name", schedules.SCHEDULES)
def test_every_schedule_by_name_is_a_factor_that_ends_low(name):
    found = rates(name)
    assert all(0 <= rate <= RATE for rate in found) and max(found) == pytest.approx(RATE, rel=1e-3)
    assert found[-1] < 0.02 * RATE or name == "constant"
    assert schedules.label(name) == name


def test_warmup_grows_linearly_to_the_schedule():
    warm, plain = rates("constant", warmup=0.1), rates("constant")
    assert 0 < warm[0] < 0.02 * RATE and warm[:20] == sorted(warm[:20])
    assert warm[20:] == plain[20:]


def test_own_function_is_known_by_its_values():
    def mine(t):
        return 1 - t

    def other(t):
        return 1 - t / 2

    other.__name__ = "mine"
    assert rates(mine)[100] == pytest.approx(RATE / 2)
    assert schedules.label(mine).startswith("mine@")
    assert schedules.label(mine) != schedules.label(other)
    with pytest.raises(ValueError, match="pass that function again"):
        schedules.resolve(schedules.label(mine))


def test_unknown_name_lists_the_choices():
    with pytest.raises(ValueError, match="unknown schedule 'cosin'.*cosine"):
        schedules.resolve("cosin")
