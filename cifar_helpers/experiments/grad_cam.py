"""Notebooks 07 and 08: the trained networks whose filters and maps are shown."""

from typing import Any

from cifar_helpers.experiments.architectures import RECIPE, SMOKE, TABLE_1
from cifar_helpers.experiments.registry import experiment
from cifar_helpers.train import Config


@experiment(keep=["weights"])
def grad_cam_networks(profile: str) -> list[Config]:
    """The networks whose filters and maps are shown: Table 1's five at a quarter of their filters, with weights.

    The weights of all five at full width are 138 MB, more than a repository should hold.
    """
    sizes: dict[str, dict[str, Any]] = {
        "smoke": SMOKE,
        "quick": dict(images=2000, test_images=500, epochs=6, batch_size=32, learning_rate=0.03),
        "full": dict(epochs=3, **RECIPE),  # narrow groups of filters are slow on a CPU: half an hour for all five
    }
    return [Config(model=name, width=0.25, **sizes[profile]) for name in TABLE_1]
