"""Weights in files to hand on: what is packed comes back, and a bad file is one clear error."""

import dataclasses
import io
import json
import os
import subprocess
import zipfile

import pytest
import torch
from PIL import Image
from safetensors.torch import load, load_file, save

from cifar_helpers import cli, data, experiments, records, train
from cifar_helpers.experiments import registry
from cifar_helpers.train import Config

TINY = Config("resnet18", width=0.125, data="synthetic", images=50, test_images=50, epochs=1, batch_size=50)
CONFIGS = [TINY, dataclasses.replace(TINY, seed=1), dataclasses.replace(TINY, seed=2)]


@pytest.fixture(scope="module")
def trained():
    cifar = data.synthetic()
    return [train.train(config, cifar, device="cpu", keep=["weights"]) for config in CONFIGS]


@pytest.fixture
def tiny(results, monkeypatch, trained):
    """The experiment `tiny`, two of whose three runs have weights; the second has the higher accuracy."""
    for module in (experiments, registry):
        monkeypatch.setattr(module, "EXPERIMENTS", {"tiny": lambda profile: CONFIGS, "table_1": lambda profile: []})
    monkeypatch.setattr(registry, "KEEP", {})
    for number, result in enumerate(trained):
        result = dataclasses.replace(result, keep=() if number == 2 else ("weights",))
        result.history["test_accuracy"] = 10.0 + number
        records.write(CONFIGS[number], result, "tiny", "smoke", "cpu")
    return results


def packed(root):
    assert cli.main(["pack", "tiny", "--profile", "smoke"]) == 0
    return root / "weights-smoke.zip"


def run(number):
    return records.find(CONFIGS[number], "smoke")


def same(network, other):
    return all(torch.equal(a, b) for a, b in zip(network.state_dict().values(), other.state_dict().values()))


def test_an_archive_holds_the_weights_that_are_there_and_their_checksums(tiny, tmp_path, capsys):
    file = packed(tiny)
    assert capsys.readouterr().out.splitlines() == [f"{run(n).folder.name}, tiny" for n in (0, 1)] + [str(file)]
    first = file.read_bytes()
    assert packed(tiny).read_bytes() == first
    folder = tmp_path / "unzipped"
    zipfile.ZipFile(file).extractall(folder)
    assert subprocess.run(["sha256sum", "--check", "--strict", "SHA256SUMS"], cwd=folder).returncode == 0
    names = {f"{run(n).folder.name}.safetensors" for n in (0, 1)}
    assert {path.name for path in folder.iterdir()} == names | {"SHA256SUMS"}
    for name in names:
        tensors = load_file(folder / name).values()
        assert {t.dtype for t in tensors if t.is_floating_point()} == {torch.float16}


def test_the_network_comes_back_and_of_an_archive_the_best(tiny, tmp_path):
    file = packed(tiny)
    best = records.unpack(file)
    assert best.config == CONFIGS[1] and best.record == run(1).record
    assert same(best.model(), run(1).model()) and not best.model().training
    assert not same(best.model(), run(0).model())
    zipfile.ZipFile(file).extractall(tmp_path)
    single = records.unpack(tmp_path / f"{run(0).folder.name}.safetensors")
    assert single.config == CONFIGS[0] and same(single.model(), run(0).model())


def test_predict_answers_by_a_file(tiny, tmp_path, capsys):
    file = packed(tiny)
    picture = tmp_path / "one.png"
    Image.fromarray(data.synthetic().test_images[0]).save(picture)
    capsys.readouterr()
    assert cli.main(["predict", str(picture), "--weights", str(file)]) == 0
    by_file = capsys.readouterr()
    assert f"network: resnet18 of {file}/{run(1).folder.name}.safetensors, right for 11.0 % of made-up" in by_file.err
    assert cli.main(["predict", str(picture), "--model", str(run(1).folder)]) == 0
    assert capsys.readouterr().out == by_file.out
    with pytest.raises(SystemExit):  # one network only
        cli.main(["predict", str(picture), "--model", str(run(1).folder), "--weights", str(file)])


def test_without_weights_nothing_is_written_and_who_has_some_is_named(tiny, capsys):
    assert cli.main(["pack", "table_1", "--profile", "smoke"]) == 1
    assert capsys.readouterr().err == "error: no run of table_1 has weights; experiments with some: tiny\n"
    assert cli.main(["pack", "tinny", "--profile", "smoke"]) == 1
    assert "choose from tiny" in capsys.readouterr().err
    assert not (tiny / "weights-smoke.zip").exists()


def test_table_1_is_the_default():
    """With the names that its experiments have today."""
    packed, written = [], experiments.EXPERIMENTS
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(experiments, "configs", lambda name, profile: packed.append(name) or [])
        assert cli.main(["pack", "--profile", "full"]) == 1
    assert packed == [name for name in written if name in ("table_1", "table_1_head_rate", "table_1_seeds")]


def changed(content, **fields):
    """A network's file with other fields in its description; None leaves a field out."""
    header = json.loads(content[8 : 8 + int.from_bytes(content[:8], "little")])
    record = json.loads(header["__metadata__"]["run"]) | fields
    record = {name: value for name, value in record.items() if value is not None}
    return save(load(content), {"run": json.dumps(record)})


def archive(**members):
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as opened:
        for name, content in members.items():
            opened.writestr(name, content)
    return file.getvalue()


BAD = {
    "an empty file": (lambda one: b"", "header too small"),
    "a text": (lambda one: b"weights of a network", "header too large"),
    "the end is missing": (lambda one: one[:-100], "incomplete"),
    "no network": (lambda one: save(load(one)), "does not say which network"),
    "another program's metadata": (lambda one: save(load(one), {"format": "pt"}), "does not say which network"),
    "metadata that are no JSON": (lambda one: save(load(one), {"run": "resnet18"}), "Expecting value"),
    "no config": (lambda one: changed(one, config=None), "does not say which network"),
    "a field of another version": (lambda one: changed(one, config={"model": "resnet18", "ema": 1}), "'ema'"),
    "an unknown network": (lambda one: changed(one, config={"model": "resnet19"}), "unknown model 'resnet19'"),
    "another network": (lambda one: changed(one, config={"model": "dla"}), "another network of the name dla"),
    "a tensor is missing": (lambda one: changed(save(without_filters(one), metadata(one))), "Missing key"),
    "an archive without checksums": (lambda one: archive(x=one), "no item named 'SHA256SUMS'"),
    "an archive of nothing": (lambda one: archive(SHA256SUMS=""), "empty"),
    "a wrong checksum": (lambda one: archive(x=one, SHA256SUMS=f"{'0' * 64}  x\n"), "checksum of x is not"),
    "a missing member": (lambda one: archive(SHA256SUMS=f"{'0' * 64}  x\n"), "no item named 'x'"),
    "a damaged member": (lambda one: archive(x=one, SHA256SUMS="0  x").replace(one[-99:], b"0" * 99), "Bad CRC-32"),
}


def without_filters(content):
    return {name: tensor for name, tensor in load(content).items() if tensor.dim() < 4}


def metadata(content):
    return json.loads(content[8 : 8 + int.from_bytes(content[:8], "little")])["__metadata__"]


@pytest.mark.parametrize("name", BAD)
def test_a_bad_file_is_one_clear_error(tiny, tmp_path, capsys, name):
    content = zipfile.ZipFile(packed(tiny)).read(f"{run(0).folder.name}.safetensors")
    make, why = BAD[name]
    (tmp_path / "bad").write_bytes(make(content))
    capsys.readouterr()
    assert cli.main(["predict", "one.png", "--weights", str(tmp_path / "bad")]) == 1
    error = capsys.readouterr().err
    assert error.startswith(f"error: {tmp_path / 'bad'} has no weights that can be used: ") and why in error
    assert error.count("\n") == 1 and len(error) < 400


def test_a_file_that_is_not_there_and_a_folder(tmp_path, capsys):
    for name, why in ((tmp_path / "nothing.zip", "No such file"), (tmp_path, "directory")):
        assert cli.main(["predict", "one.png", "--weights", str(name)]) == 1
        error = capsys.readouterr().err
        assert why in error and str(name) in error and error.count("\n") == 1


@pytest.mark.parametrize(
    ("sums", "why"), [("", "it names no network"), (f"{'0' * 64}  a.safetensors\n", "when unpacked")]
)
def test_a_zip_of_nothing_and_one_that_would_fill_the_memory(tmp_path, capsys, sums, why):
    with zipfile.ZipFile(tmp_path / "bad.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a.safetensors", bytes(50_000_000))
        archive.writestr("SHA256SUMS", sums)
    assert cli.main(["predict", "one.png", "--weights", str(tmp_path / "bad.zip")]) == 1
    assert why in capsys.readouterr().err


def test_weights_that_are_no_file_are_not_read(tmp_path, capsys):
    """A named pipe would be waited for, /dev/zero read, without end."""
    os.mkfifo(tmp_path / "pipe")
    with (tmp_path / "large").open("wb") as file:
        file.truncate(3_000_000_000)  # takes no space on the disk
    for name, why in ((tmp_path / "pipe", "a pipe or device"), ("/dev/zero", "device"), (tmp_path / "large", "2 GB")):
        assert cli.main(["predict", "one.png", "--weights", str(name)]) == 1
        error = capsys.readouterr().err
        assert why in error and str(name) in error and error.count("\n") == 1


def test_a_records_own_weights_say_to_name_its_folder(tiny, capsys):
    assert cli.main(["predict", "one.png", "--weights", str(run(0).weights)]) == 1
    assert "give its folder to --model" in capsys.readouterr().err
