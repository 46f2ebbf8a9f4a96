"""What can be measured while a run goes on, see outputs.py for how it is asked for."""

from collections.abc import Callable

from torch import Tensor

from cifar_helpers.data.batches import Batches
from cifar_helpers.models import Network
from cifar_helpers.train import landscape
from cifar_helpers.train.dead_units import dead_units

# f(model, (images, labels), evaluation, config) -> rows. The model is in training mode, its next step is on the images
# (B, 3, side, side) and labels (B,), its last one at an epoch's end; `evaluation` are the batches that the run is
# evaluated on. f leaves the model, its buffers and the random numbers as they were, so that a measured run is the run
# that is measured.
Measurement = Callable[[Network, tuple[Tensor, Tensor], Batches, object], list[dict]]

MEASUREMENTS: dict[str, Measurement] = {
    "dead_units": dead_units,
    "landscape": landscape.landscape,
    "shift": landscape.shift,
}
