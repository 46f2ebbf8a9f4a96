import dataclasses
import io
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from cifar_helpers import cli, data, experiments, predict, records, train
from cifar_helpers.analysis import calibration
from cifar_helpers.core import paths
from cifar_helpers.data.download import CACHE


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """The folder of a network that was trained on made-up images, with its weights, and of its calibration's run."""
    root = tmp_path_factory.mktemp("project")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(paths, "base", lambda profile: root / profile)
        patch.setattr(paths, "CHECKPOINTS", root / "checkpoints")
        first, *_, held = experiments.fast("smoke")
        records.get(held, "fast", "smoke", "cpu")
        records.get(first, "fast", "smoke", "cpu")
    return root


@pytest.fixture
def run(trained, monkeypatch):
    monkeypatch.setattr("cifar_helpers.core.paths.base", lambda profile: trained / profile)
    return predict.best("smoke")


def picture(path, number=0):
    Image.fromarray(data.synthetic().test_images[number]).resize((64, 48)).save(path)
    return path


def asked(run, *arguments):
    return cli.main(["predict", *map(str, arguments), "--model", str(run.folder)])


def test_files_folders_and_broken_pictures(run, tmp_path, capsys):
    (tmp_path / "deep" / "er").mkdir(parents=True)
    picture(tmp_path / "one.png")
    picture(tmp_path / "deep" / "two.jpg", 1)
    picture(tmp_path / "deep" / "er" / "three.PNG", 2)
    (tmp_path / "deep" / "notes.txt").write_text("no picture, and not asked for")
    (tmp_path / "broken.png").write_text("no picture")
    assert asked(run, tmp_path / "one.png", tmp_path / "broken.png", tmp_path / "deep", tmp_path / "missing.png") == 1
    told = capsys.readouterr()
    lines = told.out.splitlines()
    assert [line.split(": ")[0].split("/")[-1] for line in lines] == ["one.png", "three.PNG", "two.jpg"]
    assert all(line.split(": ")[1].split()[0] in data.CLASSES for line in lines)
    assert "broken.png is no picture" in told.err and "missing.png" in told.err and "SYNTHETIC" in told.err


def test_standard_input_and_the_most_probable_classes(run, tmp_path, capsys, monkeypatch):
    content = picture(tmp_path / "one.png").read_bytes()
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(content)))
    assert asked(run, "-", tmp_path / "one.png", "--top", 3) == 0
    lines = capsys.readouterr().out.splitlines()
    told = [line.split(": ")[1] for line in lines]
    assert len(told) == 6 and told[:3] == told[3:]
    shares = [float(line.split()[-2]) for line in lines[:3]]
    assert shares == sorted(shares, reverse=True)
    assert asked(run, "-") == 1  # nothing is left on standard input
    assert "error: -: the file is no picture" in capsys.readouterr().err


def test_weights_on_disk_give_the_accuracy_that_was_reported(run):
    cifar = data.synthetic()
    chosen = data.subset(cifar.test_labels, run.config.test_images)
    shares = predict.probabilities(run, cifar.test_images[chosen])
    np.testing.assert_allclose(shares.sum(1), 1, rtol=1e-5)
    accuracy = 100 * (shares.argmax(1) == cifar.test_labels[chosen]).mean()
    assert accuracy == pytest.approx(run.record["test_tta_accuracy"], abs=1.0)  # half precision may move an image
    table = predict.table(run, [str(number) for number in chosen], cifar.test_images[chosen], top=10)
    assert list(table["probability"][:10]) == sorted(shares[0], reverse=True)
    assert [data.CLASSES.index(name) for name in table["class"][::10]] == list(shares.argmax(1))


@pytest.mark.skipif(not (data.cache_folder() / CACHE).exists(), reason="CIFAR-10 is not in the cache")
def test_weights_that_are_there_give_their_reported_accuracy():
    """In a process of its own, on the first 1,000 test images: nearly the same predictions as when it was trained."""
    code = """if True:
        from cifar_helpers import data, predict, train
        from cifar_helpers.data import batches
        run, cifar = predict.best(), data.load()
        images, labels = cifar.test_images[:1000], cifar.test_labels[:1000]
        held = batches.Batches(images, labels, 100, shuffle=False, crop=0, flip=False)
        plain, _ = train.predict(run.model(), held)
        viewed = predict.probabilities(run, images)
        print(run.folder)
        print(*plain.argmax(1).tolist())
        print(*viewed.argmax(1))
    """
    folder, plain, viewed = subprocess.run(
        [sys.executable, "-c", code], check=True, capture_output=True, text=True, cwd=paths.ROOT
    ).stdout.splitlines()
    plain, viewed = (np.array(line.split(), int) for line in (plain, viewed))
    run = records.load(Path(folder))
    logits, labels = run.logits  # of the whole test set, without views
    reported = logits.argmax(1)
    assert 100 * (reported == labels).mean() == pytest.approx(run.record["test_accuracy"], abs=0.05)
    assert (plain == reported[:1000]).mean() > 0.99  # half precision, and bfloat16 in the run
    assert (viewed == plain).mean() > 0.95
    accuracy = 100 * (viewed == labels[:1000]).mean()
    assert accuracy == pytest.approx(run.record["test_tta_accuracy"], abs=2.0)  # three standard errors


def test_the_temperature_is_that_of_the_run_on_the_validation_split(run, monkeypatch):
    held = records.find(experiments.fast("smoke")[-1], "smoke")
    fitted = predict.temperature(run)
    assert fitted == calibration.temperature(*held.logits) != 1
    images = data.synthetic().test_images[:20]
    shares = predict.probabilities(run, images)
    monkeypatch.setattr(predict, "temperature", lambda run: 1.0)
    plain = predict.probabilities(run, images)
    softened = plain ** (1 / fitted)
    np.testing.assert_allclose(shares, softened / softened.sum(1, keepdims=True), rtol=1e-5)


def test_without_a_run_on_the_validation_split_the_logits_stay_as_they_are(run, monkeypatch):
    monkeypatch.setattr(records, "find", lambda *a: None)
    assert predict.temperature(run) == 1


def test_without_weights_the_command_is_told(results, capsys):
    assert cli.main(["predict", "x.png"]) == 1
    assert "python -m cifar_helpers train fast_wide fast --profile full" in capsys.readouterr().err
    records.write(experiments.fast("smoke")[1], trained_for_a_moment(), "fast", "smoke", "cpu")
    with pytest.raises(ValueError, match="no weights .* train fast_wide fast --profile smoke"):
        predict.best("smoke")


def trained_for_a_moment():
    config = dataclasses.replace(experiments.ablation("smoke"), epochs=1, keep_logits=True)
    return train.train(config, data.synthetic(), device="cpu")


def test_a_folder_without_weights_lists_those_with(run, tmp_path, capsys):
    assert cli.main(["predict", "x.png", "--model", str(run.folder.parent)]) == 1
    assert f"is no record with weights; there are {run.folder}" in capsys.readouterr().err


def test_an_empty_folder_is_told(run, tmp_path, capsys):
    assert asked(run, tmp_path) == 1
    assert "there is no picture in" in capsys.readouterr().err


@pytest.mark.parametrize("top", (0, 11))
def test_the_number_of_classes_is_checked(run, tmp_path, capsys, top):
    assert asked(run, picture(tmp_path / "one.png"), "--top", top) == 1
    assert f"1 to 10, not {top}" in capsys.readouterr().err


def test_a_name_that_is_no_text(run, tmp_path, capsys):
    name = b"caf\xe9.png".decode(errors="surrogateescape")
    try:
        picture(tmp_path / name)
    except OSError:
        pytest.skip("this file system takes text only")
    assert asked(run, tmp_path) == 0
    assert "caf\ufffd.png: " in capsys.readouterr().out
