"""What batch norm does to the loss: the measurements of Santurkar et al. (NeurIPS 2018, arXiv 1805.11604).

At a step of training, with its weights w, its batch and the gradient g of its loss L, walk along -g and look:
    loss variation              L(w - a g),                                smallest and largest over the step sizes a
    gradient predictiveness     |grad L(w - a g) - g|,                     smallest and largest over a
    effective beta-smoothness   |grad L(w - a g) - g| / |a g|,             largest over a
One gradient per step size serves all three. `landscape` and `shift` are measurements for training.Config(measure=...).
"""

import contextlib
from collections.abc import Callable, Iterator, Sequence

import numpy as np
import pandas as pd
import torch
from torch import nn

from cifar_helpers import losses, models
from cifar_helpers.batches import Batches
from cifar_helpers.statistics import CONFIDENCE

# Step sizes as multiples of the learning rate: the paper's range for VGG, [1/2, 4] (its appendix A.2.2). It does not
# say how finely; steps of 1/2 are ours.
FACTORS = np.arange(1, 9) / 2
PROBE = 200  # held-out images on which `shift` looks at the layers


@contextlib.contextmanager
def unchanged(model: nn.Module) -> Iterator[None]:
    """Do anything to the model inside; afterwards its weights, buffers, modes and the random numbers are as before."""
    tensors = [*model.parameters(), *model.buffers()]
    saved, modes = [tensor.detach().clone() for tensor in tensors], [(m, m.training) for m in model.modules()]
    with torch.random.fork_rng(_gpus(tensors)):
        try:
            yield
        finally:
            with torch.no_grad():
                for tensor, value in zip(tensors, saved):
                    tensor.copy_(value)
            for module, training in modes:
                module.training = training


def along_gradient(
    loss_of: Callable[[], torch.Tensor], parameters: Sequence[torch.Tensor], step_sizes: Sequence[float]
) -> pd.DataFrame:
    """Walk from where the parameters are along the negative gradient, each step size from the start.

    loss_of() is the loss (a scalar) at the parameters' present values; each call gets the same random numbers, so
    dropout and noise stay as they are. A row per point, the start (step size 0) first: step_size, loss, moved
    (the length of the way), gradient_change (the l2 distance of the gradient there from the one at the start) and
    smoothness, their ratio (NaN at the start). The parameters are as before afterwards.
    """
    gpus = _gpus(parameters)

    def look():
        with torch.random.fork_rng(gpus):
            loss = loss_of()
        return loss.detach(), torch.autograd.grad(loss, parameters)

    start = [p.detach().clone() for p in parameters]
    loss, gradient = look()
    rows = [(0.0, loss, torch.zeros(()), torch.zeros(()))]
    try:
        for size in step_sizes:
            with torch.no_grad():
                for p, weight, slope in zip(parameters, start, gradient):
                    p.copy_(weight - size * slope)
            loss, there = look()
            rows.append((float(size), loss, _distance(parameters, start), _distance(there, gradient)))
    finally:
        with torch.no_grad():
            for p, weight in zip(parameters, start):
                p.copy_(weight)
    points = pd.DataFrame(
        [[float(value) for value in row] for row in rows], columns=["step_size", "loss", "moved", "gradient_change"]
    )
    return points.assign(smoothness=points["gradient_change"] / points["moved"])


def landscape(model: nn.Module, batch: tuple, held: Batches, config) -> list[dict]:
    """The three measurements at this step: one row of loss, loss_low, loss_high, change_low, change_high, smoothness.

    The step sizes are FACTORS times the config's learning rate. The loss is that of the training step, batch norm
    with the batch's own statistics, but in float32 also where training uses bfloat16, whose rounding would count as a
    change of the gradient. What leaves the numbers is infinite.
    """
    images, labels = batch
    criterion = losses.LOSSES[config.loss]
    with unchanged(model):
        model.train()
        points = along_gradient(
            lambda: criterion(model(images), labels, config.label_smoothing),
            list(model.parameters()),
            config.learning_rate * FACTORS,
        )
    points["smoothness"] = points["smoothness"].mask(points["moved"] == 0, 0.0)  # where the gradient is zero
    points = points.fillna(np.inf)
    ahead = points.iloc[1:]
    row = {
        "loss": points["loss"].iloc[0],
        "loss_low": ahead["loss"].min(),
        "loss_high": ahead["loss"].max(),
        "change_low": ahead["gradient_change"].min(),
        "change_high": ahead["gradient_change"].max(),
        "smoothness": ahead["smoothness"].max(),
    }
    return [{name: float(value) for name, value in row.items()}]  # a checkpoint holds no numpy scalars


def shift(model: models.Network, batch: tuple, held: Batches, config) -> list[dict]:
    """How far one step moves the distribution of each later stage's input: a row per stage of layer, shift.

    Each channel of the input to stages 2, 3, ... has a mean m_c and a standard deviation s_c over the positions of
    PROBE held-out images, in training mode (so with the noise, where a network has some). They are taken before and
    after the step w - a g of plain gradient descent on the batch, a the learning rate: the step of training itself
    for SGD without momentum and weight decay. With dm_c and ds_c their changes,
        shift = sqrt(mean_c(dm_c^2 + ds_c^2) / mean_c(s_c^2)),
    the 2-Wasserstein distance of Gaussians with these moments in units of the spread.
    """
    images, labels = batch
    probe = next(held.epoch(0))[0][:PROBE]
    parameters = list(model.parameters())
    with unchanged(model):
        model.train()
        before = _moments(model, probe)
        loss = losses.LOSSES[config.loss](model(images), labels, config.label_smoothing)
        with torch.no_grad():
            for p, slope in zip(parameters, torch.autograd.grad(loss, parameters)):
                p.sub_(config.learning_rate * slope)
        after = _moments(model, probe)
    rows = []
    for layer, (mean, sd) in before.items():
        moved = (after[layer][0] - mean).square() + (after[layer][1] - sd).square()
        distance, spread = moved.mean().sqrt(), sd.square().mean().sqrt()
        # a dead layer has no spread and does not move
        rows.append({"layer": layer, "shift": float(distance / spread) if distance != 0 else 0.0})
    return rows


def band(runs: Sequence, smoothing: int = 1) -> pd.DataFrame:
    """Per step the smallest and largest loss over runs at several rates: step (from 0), low, high, width, lost.

    `runs` are records with keep_steps. Each loss is first averaged over the last `smoothing` steps. Runs of unequal
    length are compared up to the shortest (attrs["cut"] is then true). A run that diverged does not cut the others
    short: from its last finite loss on it counts as infinitely high, and `lost` counts such runs.
    """
    rates = sorted({run.config.learning_rate for run in runs})
    if len(rates) < 2:
        raise ValueError(
            "the band is the spread of the loss over learning rates, so it takes two of them or more, not "
            f"{', '.join(f'{rate:g}' for rate in rates) or 'none'}"
        )
    if smoothing < 1:
        raise ValueError(f"smoothing is a number of steps, 1 or more, not {smoothing}")
    lengths = [len(run.steps) for run in runs if not run.record["diverged"]]
    length = min(lengths) if lengths else max(len(run.steps) for run in runs)
    table = np.full((len(runs), length), np.inf)
    for row, run in zip(table, runs):
        steps = run.steps[:length].astype(float)
        averaged = pd.Series(steps).rolling(smoothing, min_periods=1).mean()
        row[: len(steps)] = averaged.where(np.logical_and.accumulate(np.isfinite(steps)), np.inf)
    low, high = table.min(0), table.max(0)
    width = np.subtract(high, low, out=np.full(length, np.inf), where=np.isfinite(high))
    frame = pd.DataFrame(
        {"step": np.arange(length), "low": low, "high": high, "width": width, "lost": np.isinf(table).sum(0)}
    )
    frame.attrs["cut"] = len(set(lengths)) > 1
    return frame


def ratio(
    normed: Sequence[float], plain: Sequence[float], confidence: float = CONFIDENCE, blocks: int = 20, draws: int = 2000
) -> dict:
    """The median over training of `normed` divided by that of `plain`: ratio, low, high, smaller, outcome.

    The interval is from a bootstrap over blocks of consecutive steps (both sides keep the same blocks), since
    neighbouring steps are alike: it says how the ratio varies over this training, not over seeds. smaller is the
    share of steps (0..1) at which normed is below plain; outcome is "smaller", "larger" or "undecided". Infinite
    values are welcome; where both medians are infinite or zero, the ratio is NaN. Unequal lengths are cut to the
    shorter.
    """
    length = min(len(normed), len(plain))
    both = np.column_stack([normed[:length], plain[:length]]).astype(float)
    parts = np.array_split(both, min(blocks, len(both)))
    random = np.random.default_rng(0)

    def of(pairs: np.ndarray) -> float:
        top, bottom = np.median(pairs, axis=0)
        with np.errstate(divide="ignore", invalid="ignore"):
            return top / bottom

    drawn = [of(np.concatenate([parts[i] for i in random.integers(len(parts), size=len(parts))])) for _ in range(draws)]
    tail = (1 - confidence) / 2
    low, high = np.quantile(drawn, [tail, 1 - tail], method="nearest")  # interpolation makes NaN of infinities
    outcome = "smaller" if high < 1 else "larger" if low > 1 else "undecided"
    return {
        "ratio": of(both),
        "low": low,
        "high": high,
        "smaller": float((both[:, 0] < both[:, 1]).mean()),
        "outcome": outcome,
    }


def at_equal_loss(loss: pd.DataFrame, values: pd.DataFrame, normed: str, plain: str, factor: float = 1.25):
    """Pairs of values (normed, plain) from steps of equal loss instead of equal number.

    A network that has learned more has a smaller loss, and all that is measured along its gradient is smaller with it.
    Each step of `plain` gets the step of `normed` whose loss is nearest; pairs whose losses differ by more than the
    factor are left out. loss and values are tables of `measured` (a column per network). Two arrays, by step of plain.
    """
    sides = []
    for name in (plain, normed):
        side = pd.DataFrame({"log": np.log(loss[name].to_numpy()), name: values[name].to_numpy()})
        side["order"] = np.arange(len(side))
        sides.append(side[np.isfinite(side["log"])].sort_values("log"))
    pairs = (
        pd.merge_asof(sides[0], sides[1].drop(columns="order"), on="log", direction="nearest", tolerance=np.log(factor))
        .dropna()
        .sort_values("order")
    )
    return pairs[normed].to_numpy(), pairs[plain].to_numpy()


def sentence(
    what: str,
    result: dict,
    one: str = "with batch norm",
    other: str = "without",
    expected: str | None = "smaller",
    who: str = "the paper",
) -> str:
    """`ratio`'s result for a reader: "The width of the loss band with batch norm is 0.40 times that without ...".

    expected is what `who` says of it, "smaller" or "larger"; None where nobody says anything.
    """
    told = "no difference that these steps can show" if result["outcome"] == "undecided" else result["outcome"]
    if expected and result["outcome"] != "undecided":
        told += f", {'as' if result['outcome'] == expected else 'against what'} {who} says"
    numbers = [result[key] for key in ("ratio", "low", "high")]
    if not np.isfinite(numbers).all() or min(numbers) == 0:
        return (
            f"{what} {one} cannot be divided by that {other}, since one of them is infinite or zero at too many "
            f"steps: {told}."
        )
    told_ratio, low, high = (f"{number:.{2 if 0.095 <= number < 10 else 3}g}" for number in numbers)
    return (
        f"{what} {one} is {told_ratio} times that {other} in the median over the steps "
        f"({100 * CONFIDENCE:.0f} % interval over blocks of steps {low} to {high}): {told}."
    )


def measured(runs: Sequence) -> pd.DataFrame:
    """The measurements of runs of several networks side by side: table[quantity][network] by seed, step (and layer).

    Where a run had diverged and another of the same seed went on, its values are infinite.
    """
    rows = pd.concat([run.measurements.assign(network=run.config.model, seed=run.config.seed) for run in runs])
    index = [name for name in ("seed", "step", "layer") if name in rows]
    table = rows.drop(columns="epoch").pivot(index=index, columns="network")
    return table.fillna(np.inf)


def _moments(model: models.Network, images: torch.Tensor) -> dict[str, tuple[torch.Tensor, torch.Tensor]]:
    """(mean, standard deviation) of each channel of the inputs to stages 2, 3, ..."""
    found = {}
    later = list(models.stages(model).items())[1:]

    def keep(name: str):
        def hook(module, inputs):
            found[name] = inputs[0].mean((0, 2, 3)), inputs[0].std((0, 2, 3))

        return hook

    hooks = [stage.register_forward_pre_hook(keep(name)) for name, stage in later]
    try:
        with torch.no_grad():
            model(images)
    finally:
        for hook in hooks:
            hook.remove()
    return found


def _distance(one: Sequence[torch.Tensor], other: Sequence[torch.Tensor]) -> torch.Tensor:
    norms = [torch.linalg.vector_norm(a.detach() - b, dtype=torch.float64) for a, b in zip(one, other)]
    return torch.linalg.vector_norm(torch.stack(norms))


def _gpus(tensors: Sequence[torch.Tensor]) -> list[torch.device]:
    return list({tensor.device for tensor in tensors if tensor.is_cuda})
