"""What a notebook does not write any more is removed when it has run."""

import pandas as pd
import pytest

from cifar_helpers import report
from cifar_helpers.core import notebook_outputs


def names(root):
    return sorted(file.name for folder in ("figures", "report/generated") for file in (root / folder).iterdir())


def test_only_what_this_notebook_did_not_write_is_removed(root, figure):
    for number in ("03", "11"):
        report.save_figure(figure, f"{number}_a", "full", caption="A caption.")
        report.save_table(pd.DataFrame({"a": [1]}), f"{number}_b", "full")
        report.save_numbers({"number": 1}, f"{number}_numbers", "full")
    (root / "figures/.11_a.4711.pdf").write_bytes(b"of a run that was killed")
    all_of_03 = [name for name in names(root) if name.startswith("03")]
    before = notebook_outputs.of_notebook("11_batch_sizes", "full")
    report.save_figure(figure, "11_a", "full")  # the same picture, without a caption now
    report.save_numbers({"number": 1}, "11_numbers", "full")
    removed = notebook_outputs.remove_unwritten("11_batch_sizes", "full", before)
    assert sorted(file.name for file in removed) == [".11_a.4711.pdf", "11_a.figure.tex", "11_b.tex"]
    assert names(root) == sorted([*all_of_03, "11_a.pdf", "11_a.png", "11_numbers.tex"])


@pytest.mark.parametrize("spoil", ["changed", "emptied", "removed"])
@pytest.mark.parametrize("name", ["report/generated/03_b.tex", "figures/03_a.pdf"])
def test_a_file_that_is_not_as_its_notebook_wrote_it_is_named(root, figure, name, spoil):
    report.save_figure(figure, "03_a", "full")
    report.save_table(pd.DataFrame({"a": [1]}), "03_b", "full")
    notebook_outputs.write_checksums("03_activations", "full")
    notebook_outputs.write_checksums("03_activations", "full")  # its own file is no part of it
    notebook_outputs.check("full")
    file = root / name
    match spoil:
        case "changed":
            file.write_bytes(file.read_bytes() + b" ")
        case "emptied":
            file.write_bytes(b"")
        case "removed":
            file.unlink()
    with pytest.raises(ValueError, match=rf"{file.name} is not .* notebook 03_activations --profile full"):
        report.build_pdf("full")


@pytest.mark.parametrize(
    "spoil", [b"", b"\xff\xfe\0", b"a line without a name\n", "cut", "a file that it does not know"]
)
def test_damaged_checksums_are_noticed(root, spoil):
    report.save_table(pd.DataFrame({"a": [1]}), "03_b", "full")
    notebook_outputs.write_checksums("03_activations", "full")
    sums = root / "report/generated/03_activations.sha256"
    if spoil == "cut":
        sums.write_bytes(sums.read_bytes()[:70])
    elif isinstance(spoil, bytes):
        sums.write_bytes(spoil)
    else:
        report.save_table(pd.DataFrame({"a": [1]}), "03_c", "full")
    with pytest.raises(ValueError, match=r"03_[bc].* is not .* notebook 03_activations --profile full"):
        notebook_outputs.check("full")


def test_what_a_killed_writer_left_is_no_damage(root):
    report.save_table(pd.DataFrame({"a": [1]}), "03_b", "full")
    notebook_outputs.write_checksums("03_activations", "full")
    (root / "report/generated/.03_b.4711.tex").write_text("half")
    notebook_outputs.check("full")
