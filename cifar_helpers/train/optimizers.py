"""The optimizers of a run: one of torch's for all parameters, or Muon for the filters and SGD for the rest."""

from collections.abc import Iterable, Mapping

import torch
from torch import Tensor, nn

from cifar_helpers.train import cpu

OPTIMIZERS = ("sgd", "adam", "rmsprop", "adadelta")  # the report's
ALL = (*OPTIMIZERS, "muon")
SGD_MOMENTUM = 0.85  # of what Muon leaves to SGD


class Muon(torch.optim.Muon):
    """torch's Muon for filters (O, I, k, k), each treated as a matrix (O, I k k) and rescaled to the norm sqrt(O).

    A step is an orthogonal matrix times the rate, whatever the gradient's size (Jordan et al. 2024,
    kellerjordan.github.io/posts/muon). Batch norm makes the loss blind to a filter's length, which would only grow.
    """

    def __init__(
        self,
        filters: Iterable[nn.Parameter],
        lr: float,
        parts: Mapping[Tensor, int] | None = None,
        scale_tall: bool = True,
        **options,
    ):
        """`parts` has the number of matrices that a filter is cut into along its output channels, where that is not 1.

        torch multiplies the step of a tall matrix by sqrt(rows / columns); `scale_tall=False` takes that back.
        """
        self.filters = [(weight, (parts or {}).get(weight, 1)) for weight in filters]
        self.matrices = [
            [nn.Parameter(rows) for rows in _matrix(weight.data).chunk(count)] for weight, count in self.filters
        ]
        by_shape: dict[tuple[int, ...], list[nn.Parameter]] = {}
        for matrix in (matrix for matrices in self.matrices for matrix in matrices):
            by_shape.setdefault(() if scale_tall else tuple(matrix.shape), []).append(matrix)
        groups = [
            {"params": matrices, "lr": lr / (max(1.0, shape[0] / shape[1]) ** 0.5 if shape else 1.0)}
            for shape, matrices in by_shape.items()
        ]
        super().__init__(groups, lr=lr, weight_decay=0.0, ns_steps=3, **options)

    @torch.no_grad()
    def step(self, closure=None):
        for (weight, count), matrices in zip(self.filters, self.matrices):
            gradient = weight.grad
            assert gradient is not None  # a step follows a backward pass
            for matrix, rows in zip(matrices, _matrix(gradient, like=weight).chunk(count)):
                matrix.grad = rows
                matrix.mul_(len(matrix) ** 0.5 / matrix.norm())
        with cpu.muon_in_float32(self.filters[0][0].device):
            return super().step(closure)


def _matrix(filters: Tensor, like: Tensor | None = None) -> Tensor:
    """Filters (O, I, k, k) as a matrix (O, I k k): a view of a weight's own memory, a gradient's copy where it must be.

    The columns' order is that of channels_last where the weight (`like`, for its gradient) is stored so.
    """
    last = (filters if like is None else like).is_contiguous(memory_format=torch.channels_last)
    ordered = filters.permute(0, 2, 3, 1) if last else filters
    return ordered.view(len(filters), -1) if like is None else ordered.reshape(len(filters), -1)


def optimizers_for(config, model: nn.Module) -> list[torch.optim.Optimizer]:
    """One optimizer at the config's rate; for "muon" a second one, SGD, for all that is no filter.

    Where head_rate or bias_rate are set, the last layer and the inner vectors (parameters of norms) have that rate.
    The product of rate and weight decay is the same for all groups.
    """
    trained = {name: p for name, p in model.named_parameters() if p.requires_grad}
    head = [p for name, p in trained.items() if name.startswith("head.")]
    inner = [p for name, p in trained.items() if not name.startswith("head.")]
    vectors, filters = [p for p in inner if p.dim() == 1], [p for p in inner if p.dim() > 1]

    def group(parameters: list, rate: float) -> dict:
        if not rate:
            return {"params": parameters, "lr": config.learning_rate, "weight_decay": config.weight_decay}
        return {"params": parameters, "lr": rate, "weight_decay": config.weight_decay * config.learning_rate / rate}

    groups = [group(list(trained.values()), 0.0)]
    if config.head_rate or config.bias_rate:
        groups = [group(filters, 0.0), group(head, config.head_rate), group(vectors, config.bias_rate)]
    match config.optimizer:
        case "sgd":
            return [torch.optim.SGD(groups, momentum=config.momentum, nesterov=config.momentum > 0)]
        case "adam":
            return [torch.optim.Adam(groups)]
        case "rmsprop":
            return [torch.optim.RMSprop(groups, momentum=config.momentum)]
        case "adadelta":
            return [torch.optim.Adadelta(groups)]
        case _:  # muon
            if not (config.head_rate and config.bias_rate):
                raise ValueError("muon turns filters only: set head_rate and bias_rate for what is left to SGD")
            return [
                Muon(
                    [p for p in filters if p.dim() == 4],
                    lr=config.learning_rate,
                    momentum=config.momentum,
                    parts=_groups(model) if config.muon_per_group else None,
                    scale_tall=config.muon_scale_tall,
                ),
                torch.optim.SGD(groups[1:], momentum=SGD_MOMENTUM, nesterov=True),
            ]


def _groups(model: nn.Module) -> dict[Tensor, int]:
    """The number of groups of each convolution's filters."""
    return {module.weight: module.groups for module in model.modules() if isinstance(module, nn.Conv2d)}
