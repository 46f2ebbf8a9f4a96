import ast
import re

import nbformat
import papermill
import pytest
from papermill.exceptions import PapermillExecutionError

from cifar_helpers import experiments, models
from cifar_helpers.core import paths
from cifar_helpers.notebook import parameters

NOTEBOOKS = sorted((paths.ROOT / "notebooks").glob("*.ipynb"))


def namespace(**changed):
    values = {"profile": "quick", "epochs": 0, "seeds": 3} | changed
    return {"__annotations__": {"profile": str, "epochs": int, "seeds": int}, "np": object(), **values}


def test_a_line_that_a_reader_wrote_without_its_type_is_not_checked():
    parameters.check({"profile": "quick"})
    assert parameters.declared({"profile": "quick"}) == {}


def test_values_of_the_declared_types_pass():
    parameters.check(namespace())
    parameters.check(namespace(profile=["relu", "silu"]))  # a list where text with commas is asked for
    parameters.check(namespace(In=["", "profile: str = ''", "# Parameters\nprofile = 'quick'\nseeds = 3\n"]))


@pytest.mark.parametrize(
    "changed, message",
    [
        ({"epochs": "three"}, "the parameter epochs is a whole number from 0, not 'three'"),
        ({"epochs": 1.5}, "epochs is a whole number from 0, not 1.5"),
        ({"epochs": True}, "epochs is a whole number from 0, not True"),
        ({"seeds": -1}, "seeds is a whole number from 0, not -1"),
        ({"profile": 3}, "profile is text, not 3"),
        ({"profile": []}, r"profile is text, not \[\]"),
        ({"In": ["# Parameters\nepoch = 3\n"]}, "no parameter 'epoch'; choose from profile, epochs, seeds"),
    ],
)
def test_wrong_parameter_is_one_sentence(changed, message):
    with pytest.raises(ValueError, match=message):
        parameters.check(namespace(**changed))


def test_a_cell_of_the_notebooks_own_is_not_taken_for_papermills():
    assert parameters.injected(["epoch = 3", "x = 1\n# Parameters\ny = 2"]) == []
    assert parameters.injected(["# Parameters\na = 1\nb = [1, 2]\n"]) == ["a", "b"]


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_help_tells_type_and_meaning_of_each_parameter(path):
    """What `papermill --help-notebook` prints."""
    found = papermill.inspect_notebook(str(path))
    assert "profile" in found
    for parameter in found.values():
        assert parameter["inferred_type_name"] in ("str", "int", "float"), parameter
        assert len(parameter["help"]) > 20, parameter


@pytest.mark.parametrize(
    "given, message",
    [
        ({"epoch": 3}, "this notebook has no parameter 'epoch'; choose from profile, activations, epochs, seeds"),
        ({"epochs": "three"}, "the parameter epochs is a whole number from 0, not 'three'"),
    ],
)
def test_papermill_ends_in_the_first_cell(tmp_path, given, message):
    out = tmp_path / "out.ipynb"
    with pytest.raises(PapermillExecutionError, match=message):
        papermill.execute_notebook(
            paths.ROOT / "notebooks/03_activations.ipynb",
            out,
            parameters={"profile": "smoke", **given},
            cwd=paths.ROOT / "notebooks",
            kernel_name="python3",
            progress_bar=False,
        )
    code = [cell for cell in nbformat.read(out, as_version=4).cells if cell.cell_type == "code"]
    run = [cell for cell in code if cell.execution_count and "papermill-error-cell-tag" not in cell.metadata.tags]
    assert "notebook.start(globals())" in run[-1].source and len(run) == 3  # the parameters, those given, the set-up


@pytest.mark.parametrize("value", [["relu", "silu"], '["relu", "silu"]', "relu, silu", "relu,,silu,relu"])
def test_choose_reads_lists_json_and_commas(value):
    assert parameters.choose(value, models.ACTIVATIONS, "activations") == ["relu", "silu"]


def test_choose_names_what_is_known():
    assert parameters.choose("", ("a", "b"), "letters") == ["a", "b"]
    with pytest.raises(ValueError, match="unknown name 'swish' in activations; choose from relu, relu6"):
        parameters.choose("relu, swish", models.ACTIVATIONS, "activations")
    with pytest.raises(ValueError, match="activations=.* is no list"):
        parameters.choose('["relu"', models.ACTIVATIONS, "activations")


@pytest.mark.parametrize("value", ['[["relu"]]', [["relu"]], '{"relu": 1}', "[null]", "[1]", '"relu"'])
def test_what_is_no_list_of_names_is_one_error(value):
    with pytest.raises(ValueError, match="unknown name .* in activations; choose from relu, relu6"):
        parameters.choose(value, models.ACTIVATIONS, "activations")


@pytest.mark.parametrize("value", ["[]", "[ ]", [], ",", " ", '[""]'])
def test_a_list_of_nothing_does_not_mean_all(value):
    with pytest.raises(ValueError, match="activations=.* names nothing"):
        parameters.choose(value, models.ACTIVATIONS, "activations")
    with pytest.raises(ValueError, match="rates=.* names nothing"):
        parameters.numbers(value, (5,), "rates")


def test_numbers_of_a_parameter():
    for value in ("[1e-3, 2]", "0.001,2", [0.001, 2]):
        assert parameters.numbers(value, (5,), "rates") == [0.001, 2]
    assert parameters.numbers("", (5,), "rates") == [5]
    for value in ("fast", "[[1]]", "[null]", [[1]]):
        with pytest.raises(ValueError, match=r"rates=.* is no list of numbers"):
            parameters.numbers(value, (5,), "rates")


def test_notebook_03_trains_no_activations_but_those_asked_for(monkeypatch):
    """Its statements that ask for runs, with the parameters of the README's example for papermill."""
    asked = []
    monkeypatch.setattr(experiments, "get_all", lambda name, profile, configs: asked.extend(configs))
    cells = nbformat.read(paths.ROOT / "notebooks/03_activations.ipynb", as_version=4).cells
    code = [
        ast.parse(cell.source) for cell in cells if re.search(r"experiments\.activations|ten_epoch_rates", cell.source)
    ]
    wanted = {"sweeps", "sweep", "names", "trained", "wanted", "others"}
    lines = [line for tree in code for line in tree.body if isinstance(line, ast.Assign)]
    lines = [line for line in lines if isinstance(line.targets[0], ast.Name) and line.targets[0].id in wanted]
    given = {"profile": "quick", "activations": ["relu", "silu"], "epochs": 0, "seeds": 0}
    given |= {"experiments": experiments, "models": models, "parameters": parameters}
    exec(compile(ast.Module(lines, []), "03_activations", "exec"), given)
    assert len(lines) == len(wanted) and {config.activation for config in asked} == {"relu", "silu"}
    assert {config.epochs for config in asked} == {experiments.ablation("quick").epochs}
    assert given["others"] == given["sweeps"] == given["sweep"] == []
