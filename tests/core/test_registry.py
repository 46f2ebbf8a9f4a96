"""A name is one function's."""

import functools
import shutil
import subprocess
import sys

import pytest

from cifar_helpers import experiments, models
from cifar_helpers.core import paths, registry
from cifar_helpers.models.network import FAMILIES, family


def made(module="one"):
    def resnet18(width):
        return width

    resnet18.__module__ = module
    return resnet18


def other(module="two"):
    def resnet18(width):
        return 2 * width

    resnet18.__module__ = module
    return resnet18


def test_a_second_function_of_a_name_is_refused_and_both_places_are_named():
    known, first, second = {}, made(), other()
    registry.register(known, first, "network")
    places = " and ".join(rf".*test_registry\.py:{function.__code__.co_firstlineno}" for function in (first, second))
    with pytest.raises(ValueError, match=f"two networks are called resnet18: {places}"):
        registry.register(known, second, "network")
    assert known["resnet18"] is first


def test_the_same_function_may_be_added_again_and_a_notebooks_cell_changed():
    known = {}
    for function in (made(), made()):  # a module that is reloaded
        registry.register(known, function, "network")
    known = {}
    for function in (made("__main__"), other("__main__")):
        registry.register(known, function, "network")
    assert known["resnet18"] is function


@pytest.mark.parametrize("module", ["mine", "__main__"])
def test_the_packages_names_are_taken(module):
    before = dict(FAMILIES), dict(models.TITLES), dict(experiments.EXPERIMENTS)
    with pytest.raises(ValueError, match=r"two networks are called resnet18: .*models.resnet\.py"):
        family("Mine")(made(module))

    def table_1(profile):
        return []

    table_1.__module__ = module
    with pytest.raises(ValueError, match=r"two experiments are called table_1: .*architectures\.py"):
        experiments.experiment(table_1)
    assert before == (FAMILIES, models.TITLES, experiments.EXPERIMENTS)


def test_functions_that_are_made_in_one_place_are_told_apart():
    def made_for(filters):
        def tiny(width):
            return filters * width

        tiny.__module__ = "mine"
        return tiny

    known = {}
    registry.register(known, made_for(8), "network")
    registry.register(known, made_for(8), "network")  # the module is reloaded
    with pytest.raises(ValueError, match="two networks are called tiny"):
        registry.register(known, made_for(16), "network")
    assert known["tiny"](1) == 8


class Callable:
    def __call__(self, width):
        return width


@pytest.mark.parametrize("nameless", [lambda width: width, functools.partial(made()), Callable(), Callable])
def test_what_has_no_name_of_its_own_is_refused(nameless):
    before = dict(FAMILIES)
    with pytest.raises(ValueError, match="networks are functions that are made by def"):
        family("Mine")(nameless)
    with pytest.raises(ValueError, match="experiments are functions that are made by def"):
        experiments.experiment(nameless)
    assert before == FAMILIES


def test_a_second_network_of_a_title_is_refused():
    """Tables and figures would show the two as one."""

    def mine(width):
        return width

    before = dict(FAMILIES), dict(models.TITLES)
    with pytest.raises(ValueError, match=r"the title 'ResNet18': .*models.resnet\.py:\d+ and .*test_registry\.py"):
        family("ResNet18")(mine)
    assert before == (FAMILIES, models.TITLES)
    family("ResNet18")(FAMILIES["resnet18"])  # its module is reloaded
    assert before == (FAMILIES, models.TITLES)


def test_a_file_of_experiments_whose_name_is_taken_is_not_passed_over(tmp_path):
    shutil.copytree(paths.ROOT / "cifar_helpers", tmp_path / "cifar_helpers")
    (tmp_path / "cifar_helpers/experiments/rates.py").write_text("")
    command = [sys.executable, "-c", "import cifar_helpers.experiments"]
    done = subprocess.run(command, cwd=tmp_path, env={"PYTHONPATH": str(tmp_path)}, capture_output=True, text=True)
    assert "experiments/rates.py has the name of experiments.rates: rename the file" in done.stderr.splitlines()[-1]


@pytest.mark.parametrize("name", ["search", "single"])
def test_an_experiment_cannot_have_the_name_of_another_folder_of_runs(name):
    def taken(profile):
        return []

    taken.__name__ = name
    with pytest.raises(ValueError, match=f"{name} at .* cannot be the name of an experiment.*Give it another"):
        experiments.registry.experiment(taken)
    assert name not in experiments.EXPERIMENTS
