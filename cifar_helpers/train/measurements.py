"""What can be measured while a run goes on: Config(measure=name, measure_every=steps)."""

from collections.abc import Callable

from torch import Tensor

from cifar_helpers.data.batches import Batches
from cifar_helpers.models import Network
from cifar_helpers.train import dead_units, landscape

# f(model, (images, labels), held, config) -> rows. The model is in training mode, its next step is on the images
# (B, 3, 32, 32) and labels (B,); `held` are the batches that the run is evaluated on. f leaves the model, its buffers
# and the random numbers as they were, so that a measured run is the run that is measured.
Measurement = Callable[[Network, tuple[Tensor, Tensor], Batches, object], list[dict]]

MEASUREMENTS: dict[str, Measurement] = {
    "silent_units": dead_units.silent_units,
    "landscape": landscape.landscape,
    "shift": landscape.shift,
}
