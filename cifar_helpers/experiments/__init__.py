"""What each experiment trains, per profile: a file per notebook, and what they share.

Every experiment is a function of the profile that gives a list of configs; those of the ablations also take `epochs`
and `seeds` (0 for the profile's own numbers) and the names to compare. The order of the imports is the order in which
`train` without names goes through them: sweeps come before what reads their records. Experiments in other files of
this folder come last.
"""

import importlib
import pkgutil
import sys

# isort: off
from cifar_helpers.core.profiles import PROFILES, profile
from cifar_helpers.experiments.registry import (
    EXPERIMENTS,
    FULL_ONLY,
    KEEP,
    configs,
    experiment,
    get_all,
    get_experiment,
    missing,
    recorded,
)
from cifar_helpers.experiments.baseline import RATES, SEEDS, SWEEP_SEEDS, ablation, each_seed, label, rates, ten_epochs
from cifar_helpers.experiments.choices import best_rates
from cifar_helpers.experiments.settings import scale, settings
from cifar_helpers.experiments.architectures import (
    FIRST_PER_FEATURE,
    PER_FEATURE,
    RECIPE,
    TABLE_1,
    first_steps,
    head_rate,
    head_rate_pairs,
    head_rates,
    table_1,
    table_1_head_rate,
    table_1_recipe,
    table_1_seeds,
)
from cifar_helpers.experiments.grad_cam import grad_cam_networks
from cifar_helpers.experiments.activations import activation_rates, activations, activations_others, activations_tuned
from cifar_helpers.experiments.losses import (
    best_strengths,
    loss_rates,
    losses,
    losses_tuned,
    overfitted,
    overfitting,
    overfitting_strengths,
    regularisations,
    strength,
    strengths_tried,
    ten_epoch_loss_rates,
    ten_epoch_losses,
)
from cifar_helpers.experiments.optimizers import (
    optimizer_rates,
    optimizers,
    schedules,
    ten_epoch_optimizer_rates,
    ten_epoch_optimizers,
    ten_epoch_rates,
    ten_epoch_schedules,
)
from cifar_helpers.experiments.components import components, shortcuts_and_batch_norm, without_batch_norm_rates
from cifar_helpers.experiments.best_model import (
    fast,
    fast_ablation,
    fast_config,
    fast_wide,
    ideas,
    original_best,
    search_best,
)
from cifar_helpers.experiments.bn_landscape import BN_RATES, band_keep, bn_band, bn_control, bn_measured, bn_size
# isort: on

for found in pkgutil.iter_modules(__path__):  # every file of this folder may hold experiments
    if (module := f"{__name__}.{found.name}") not in sys.modules:
        if found.name in globals():  # an import would put the module in the place of what has its name
            raise ImportError(f"experiments/{found.name}.py has the name of experiments.{found.name}: rename the file")
        importlib.import_module(module)
