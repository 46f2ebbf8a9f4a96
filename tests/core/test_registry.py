"""A name is one function's."""

import pytest

from cifar_helpers import experiments, models
from cifar_helpers.core import registry
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
    with pytest.raises(ValueError, match="two networks are called resnet18: .*test_registry.py:11 and .*py:19"):
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
