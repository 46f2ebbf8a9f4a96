import contextlib
import dataclasses
import io
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file, save_file

from cifar_helpers import cli, data, experiments, predict, records, train
from cifar_helpers.analysis import calibration
from cifar_helpers.core import paths
from cifar_helpers.data.batches import Batches
from cifar_helpers.data.formats import CACHE


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """The folder of a network that was trained on made-up images, with its weights, and of its calibration's run."""
    root = tmp_path_factory.mktemp("project")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(paths, "base", lambda profile: root / profile)
        patch.setattr(paths, "CHECKPOINTS", root / "checkpoints")
        first, *_, validation = experiments.fast("smoke")
        experiments.get_all("fast", "smoke", "cpu", configs=[validation])
        experiments.get_all("fast", "smoke", "cpu", configs=[first])
    return root


@pytest.fixture
def run(trained, monkeypatch):
    monkeypatch.setattr("cifar_helpers.core.paths.base", lambda profile: trained / profile)
    return predict.best("smoke")


def picture(path, number=0):
    Image.fromarray(data.synthetic().test_images[number]).resize((64, 48)).save(path)
    return path


def predicted(run, *arguments):
    return cli.main(["predict", *map(str, arguments), "--model", str(run.folder)])


def test_files_folders_and_broken_pictures(run, tmp_path, capsys):
    (tmp_path / "deep" / "er").mkdir(parents=True)
    picture(tmp_path / "one.png")
    picture(tmp_path / "deep" / "two.jpg", 1)
    picture(tmp_path / "deep" / "er" / "three.PNG", 2)
    (tmp_path / "deep" / "notes.txt").write_text("no picture, and not asked for")
    (tmp_path / "broken.png").write_text("no picture")
    assert (
        predicted(run, tmp_path / "one.png", tmp_path / "broken.png", tmp_path / "deep", tmp_path / "missing.png") == 1
    )
    printed = capsys.readouterr()
    lines = printed.out.splitlines()
    assert [line.split(": ")[0].split("/")[-1] for line in lines] == ["one.png", "three.PNG", "two.jpg"]
    assert all(line.split(": ")[1].split()[0] in data.CLASSES for line in lines)
    assert "broken.png is no picture" in printed.err and "missing.png: No such file" in printed.err
    assert "SYNTHETIC" in printed.err and "notes.txt" in printed.err


def test_the_network_and_its_classes_are_named(run, tmp_path, capsys):
    assert predicted(run, picture(tmp_path / "one.png")) == 0
    line = next(line for line in capsys.readouterr().err.splitlines() if line.startswith("network: "))
    assert line.startswith(f"network: fast_cnn of {run.folder}, right for ")
    assert f"{run.record['test_tta_accuracy']:.1f} % of made-up test images" in line
    assert line.endswith("one of ten classes: " + ", ".join(data.CLASSES))


def test_damaged_pictures_do_not_keep_the_others_from_their_answer(run, tmp_path, capsys):
    for name in ("broken_decoder.jpg", "broken_type.tif"):
        shutil.copy(Path(__file__).parent / "data" / "pictures" / name, tmp_path)
    Image.new("RGBA", (64, 48)).save(tmp_path / "clear.png")
    picture(tmp_path / "fine.png")
    assert predicted(run, tmp_path) == 1
    printed = capsys.readouterr()
    assert [line.split(": ")[0] for line in printed.out.splitlines()] == [str(tmp_path / "fine.png")]
    for name in ("broken_decoder.jpg cannot", "broken_type.tif cannot", "clear.png is fully transparent"):
        assert printed.err.count(f"error: {tmp_path / name}") == 1


def test_libraries_write_nothing_of_their_own(run, tmp_path, capfd):
    """libtiff has lines of its own for a file like this."""
    photo = Image.fromarray(np.random.default_rng(0).integers(0, 256, (48, 64, 3), dtype=np.uint8))
    photo.save(tmp_path / "half.tif", compression="tiff_lzw")
    content = bytearray((tmp_path / "half.tif").read_bytes())
    content[3000:3100] = b"\xff" * 100
    (tmp_path / "half.tif").write_bytes(content)
    with contextlib.suppress(OSError):
        Image.open(tmp_path / "half.tif").load()
    assert "Using code not yet in table" in capfd.readouterr().err
    assert predicted(run, tmp_path) == 1
    lines = capfd.readouterr().err.splitlines()
    assert [line.split(": ")[0] for line in lines] == ["SYNTHETIC", "network", "error"]


def test_nothing_in_a_folder_is_left_out_without_a_word(run, tmp_path, capsys):
    folder, elsewhere = tmp_path / "mine", tmp_path / "elsewhere"
    (folder / "deep").mkdir(parents=True)
    elsewhere.mkdir()
    picture(elsewhere / "far.png")
    for name, kind in (("a.jfif", "JPEG"), ("b.AVIF", "AVIF"), ("c.jp2", "JPEG2000"), ("deep/d.webp", "WEBP")):
        Image.fromarray(data.synthetic().test_images[0]).save(folder / name, kind)
    (folder / "link").symlink_to(elsewhere)
    (folder / "deep" / "circle").symlink_to(folder)
    (folder / "lost.png").symlink_to(folder / "nothing.png")
    (folder / "phone.heic").write_bytes(b"\0\0\0\x18ftypheic\0\0\0\0mif1heic")
    (folder / "drawing.svg").write_text("<svg></svg>")
    os.mkfifo(folder / "pipe.png")
    for number in range(5):
        (folder / f"notes{number}.txt").touch()
    assert predicted(run, folder) == 1
    printed = capsys.readouterr()
    names = [line.split(": ")[0].removeprefix(f"{folder}/") for line in printed.out.splitlines()]
    assert names == ["a.jfif", "b.AVIF", "c.jp2", "deep/d.webp", "link/far.png"]
    assert f"note: {folder}/deep/circle is the same folder as {folder} and is left out" in printed.err
    assert "note: left out, since the names" in printed.err and "notes2.txt and 2 more" in printed.err
    for name in ("lost.png: No such file", "phone.heic is no picture", "drawing.svg is no", "pipe.png is not a file"):
        assert f"error: {folder / name}" in printed.err


def test_a_folder_that_cannot_be_read(run, tmp_path, capsys, monkeypatch):
    (tmp_path / "closed").mkdir()
    picture(tmp_path / "one.png")

    def scandir(folder, scandir=os.scandir):
        if str(folder).endswith("closed"):
            raise PermissionError(13, "Permission denied", folder)
        return scandir(folder)

    monkeypatch.setattr(os, "scandir", scandir)
    assert predicted(run, tmp_path) == 1
    printed = capsys.readouterr()
    assert "one.png: " in printed.out
    assert f"error: the folder {tmp_path / 'closed'} cannot be read: Permission denied" in printed.err


def test_a_name_that_is_no_path_does_not_keep_the_others_from_their_answer(run, tmp_path, capsys):
    (tmp_path / "loop.png").symlink_to("loop.png")
    names = [tmp_path / ("x" * 5000), tmp_path / "loop.png", picture(tmp_path / "one.png"), tmp_path / "one.png/a"]
    assert predicted(run, *names) == 1
    printed = capsys.readouterr()
    assert printed.out.startswith(f"{tmp_path / 'one.png'}: ") and printed.err.count("error: ") == 3


def test_an_empty_name_is_not_the_current_folder(run, tmp_path, capsys, monkeypatch):
    picture(tmp_path / "one.png")
    monkeypatch.chdir(tmp_path)
    assert predicted(run, "", "one.png") == 1
    printed = capsys.readouterr()
    assert printed.out.startswith("one.png: ") and len(printed.out.splitlines()) == 1
    assert "error: the name of a picture is empty" in printed.err
    with pytest.raises(ValueError, match="an empty name is no record with weights"):
        predict.named("")


def test_a_reader_that_has_seen_enough(run, tmp_path, capsys, monkeypatch):
    """As `predict photos/ | head -1`: the pipe is closed at its other end."""
    picture(tmp_path / "one.png")
    reader, writer = os.pipe()
    os.close(reader)
    with open(writer, "w") as stdout:
        monkeypatch.setattr(sys, "stdout", stdout)
        assert predicted(run, tmp_path) == 0
        stdout.flush()  # as Python does when it ends; it would raise BrokenPipeError again
    assert "error" not in capsys.readouterr().err


@pytest.mark.parametrize("closed", ("stdout", "stderr"))
def test_a_stream_that_is_closed(run, tmp_path, capsys, monkeypatch, closed):
    """As by `predict picture.png 2>&-`."""
    picture(tmp_path / "one.png")
    monkeypatch.setattr(sys, closed, None)
    assert predicted(run, tmp_path) == 0
    assert ("one.png: " in capsys.readouterr().out) == (closed == "stderr")


def test_a_bar_counts_the_pictures_and_answers_come_in_between(run, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(predict, "BATCH", 2)
    for number in range(5):
        picture(tmp_path / f"{number}.png", number)
    bars, read, done = [], [], []
    monkeypatch.setattr(predict, "bar", lambda *a, bar=predict.bar, **k: bars.append(bar(*a, **k)) or bars[0])
    monkeypatch.setattr(predict, "read", lambda name, of=predict.read: read.append(name) or of(name))
    monkeypatch.setattr(predict, "table", lambda *a, of=predict.table: done.append(len(read)) or of(*a))
    assert predicted(run, tmp_path) == 0
    assert (bars[0].total, done) == (5, [2, 4, 5])
    assert len(capsys.readouterr().out.splitlines()) == 5


def test_standard_input_and_the_most_probable_classes(run, tmp_path, capsys, monkeypatch):
    content = picture(tmp_path / "one.png").read_bytes()
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(content)))
    assert predicted(run, "-", tmp_path / "one.png", "--top", 3) == 0
    lines = capsys.readouterr().out.splitlines()
    answers = [line.split(": ")[1] for line in lines]
    assert len(answers) == 6 and answers[:3] == answers[3:]
    shares = [float(line.split()[-2]) for line in lines[:3]]
    assert shares == sorted(shares, reverse=True)
    assert predicted(run, "-") == 1  # nothing is left on standard input
    assert "error: -: the file is no picture" in capsys.readouterr().err
    monkeypatch.setattr(sys, "stdin", None)
    assert predicted(run, "-") == 1
    assert "error: -: standard input is closed" in capsys.readouterr().err


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
        plain = batches.Batches(images, labels, 100, shuffle=False, crop=0, flip=False)
        plain, _ = train.predict(run.model(), plain)
        augmented = predict.probabilities(run, images)
        print(run.folder)
        print(*plain.argmax(1).tolist())
        print(*augmented.argmax(1))
    """
    folder, plain, augmented = subprocess.run(
        [sys.executable, "-c", code], check=True, capture_output=True, text=True, cwd=paths.ROOT
    ).stdout.splitlines()
    plain, augmented = (np.array(line.split(), int) for line in (plain, augmented))
    run = records.load(Path(folder))
    logits, labels = run.logits  # of the whole test set, without test-time augmentation
    reported = logits.argmax(1)
    assert 100 * (reported == labels).mean() == pytest.approx(run.record["test_accuracy"], abs=0.05)
    assert (plain == reported[:1000]).mean() > 0.99  # half precision, and bfloat16 in the run
    assert (augmented == plain).mean() > 0.95
    accuracy = 100 * (augmented == labels[:1000]).mean()
    assert accuracy == pytest.approx(run.record["test_tta_accuracy"], abs=2.0)  # three standard errors


def test_the_temperature_divides_what_it_was_fitted_on(run):
    """Logits of single images: those of the validation split, and of each image of test-time augmentation."""
    validation = records.find(experiments.fast("smoke")[-1], "smoke")
    fitted = predict.temperature(run)
    assert fitted == calibration.temperature(*validation.logits) != 1
    images = data.synthetic().test_images[:20]
    (batch, _), *_ = Batches(images, np.zeros(20, int), 20, shuffle=False, crop=0, flip=False).epoch()
    padded = torch.nn.functional.pad(batch, (1, 1, 1, 1), mode="reflect")
    expected = torch.zeros(20, 10)
    with torch.inference_mode():
        for start, weight in ((1, 0.5), (0, 0.25), (2, 0.25)):
            moved = padded[:, :, start : start + 32, start : start + 32]
            for each in (moved, moved.flip(-1)):
                expected += weight / 2 * (run.model()(each) / fitted).softmax(1)
    np.testing.assert_allclose(predict.probabilities(run, images), expected, rtol=1e-4, atol=1e-6)


def test_without_test_time_augmentation_the_temperature_divides_the_logits(run):
    record = {name: value for name, value in run.record.items() if name != "test_tta_accuracy"}
    plain = dataclasses.replace(run, record=record)
    images = data.synthetic().test_images[:20]
    (batch, _), *_ = Batches(images, np.zeros(20, int), 20, shuffle=False, crop=0, flip=False).epoch()
    with torch.inference_mode():
        expected = (run.model()(batch) / predict.temperature(run)).softmax(1)
    np.testing.assert_allclose(predict.probabilities(plain, images), expected, rtol=1e-4, atol=1e-6)


def test_without_a_run_on_the_validation_split_the_logits_stay_as_they_are(run, monkeypatch):
    monkeypatch.setattr(records, "find", lambda *a, **k: None)
    assert predict.temperature(run) == 1


def test_a_validation_run_that_diverged_gives_no_temperature(run, monkeypatch):
    monkeypatch.setattr(calibration, "temperature", lambda logits, labels: float("nan"))
    assert predict.temperature(run) == 1


@pytest.mark.parametrize("value", (float("nan"), float("inf")))
def test_weights_that_are_no_numbers_are_an_error(run, tmp_path, capsys, value):
    damaged = Path(shutil.copytree(run.folder, tmp_path / "damaged"))
    weights = load_file(damaged / "weights.safetensors")
    name = next(name for name, tensor in reversed(weights.items()) if tensor.ndim > 1)
    weights[name][0, 0] = value
    save_file(weights, damaged / "weights.safetensors")
    records.write_checksums(damaged)
    assert cli.main(["predict", str(picture(tmp_path / "one.png")), "--model", str(damaged)]) == 1
    printed = capsys.readouterr()
    assert printed.out == "" and f"error: the network of {damaged} gives NaN or infinity" in printed.err


def test_without_weights_the_command_that_trains_them_is_named(results, capsys):
    assert cli.main(["predict", "x.png"]) == 1
    assert "python -m cifar_helpers train fast_wide fast --profile full" in capsys.readouterr().err
    config = experiments.fast("smoke")[1]
    records.write(config, trained_for_a_moment(config), "fast", "smoke", "cpu")
    with pytest.raises(ValueError, match="no weights .* train fast_wide fast --profile smoke"):
        predict.best("smoke")


def trained_for_a_moment(config):
    return train.train(config, data.synthetic(), device="cpu", keep=["logits"])


def test_a_folder_without_weights_lists_those_with(run, tmp_path, capsys):
    assert cli.main(["predict", "x.png", "--model", str(run.folder.parent)]) == 1
    assert f"is no record with weights; there are {run.folder}" in capsys.readouterr().err


def test_a_model_that_is_not_there_searches_no_file_system(run, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(paths, "runs", lambda profile: run.folder.parents[1])
    monkeypatch.setattr(Path, "rglob", lambda *a: pytest.fail("searched"))
    monkeypatch.setattr(os, "walk", lambda *a, **k: pytest.fail("searched"))
    monkeypatch.chdir(run.folder.parent)
    for model in ("/nonexistent", "nosuch", "../nosuch", str(tmp_path / "\x1b[31m")):
        assert cli.main(["predict", "x.png", "--model", model]) == 1
        message = capsys.readouterr().err
        assert message.count(run.folder.name) == 1 and "\x1b" not in message


def test_a_package_that_is_installed_says_where_weights_are(results, monkeypatch, capsys):
    monkeypatch.setattr(paths, "ROOT", results / "site-packages")
    assert cli.main(["predict", "x.png"]) == 1
    message = capsys.readouterr().err
    assert f"installed in {Path(predict.__file__).parent}, apart from its repository" in message
    assert "--model" in message


def test_an_empty_folder_is_an_error(run, tmp_path, capsys):
    assert predicted(run, tmp_path) == 1
    assert "there is no picture in" in capsys.readouterr().err


@pytest.mark.parametrize("top", (0, 11))
def test_the_number_of_classes_is_checked(run, tmp_path, capsys, top):
    assert predicted(run, picture(tmp_path / "one.png"), "--top", top) == 1
    assert f"1 to 10, not {top}" in capsys.readouterr().err


def test_a_name_that_is_no_text(run, tmp_path, capsys):
    name = b"caf\xe9.png".decode(errors="surrogateescape")
    try:
        picture(tmp_path / name)
    except OSError:
        pytest.skip("this file system takes text only")
    assert predicted(run, tmp_path) == 0
    assert "caf\ufffd.png: " in capsys.readouterr().out


@pytest.mark.parametrize(
    ("name", "printed"),
    (
        ("\x1b[31m.png", r"\x1b[31m.png: "),
        ("\x1b]0;title\x07.png", r"\x1b]0;title\x07.png: "),
        ("two\nlines.png", r"two\nlines.png: "),
        ("日本.png", r"\u65e5\u672c.png: "),
    ),
)
def test_names_that_the_terminal_cannot_print(run, tmp_path, capsys, monkeypatch, name, printed):
    picture(tmp_path / name)
    (tmp_path / ("broken" + name)).touch()
    (tmp_path / (name + ".txt")).touch()
    terminal = io.TextIOWrapper(io.BytesIO(), "ascii")
    monkeypatch.setattr(sys, "stdout", terminal)
    assert predicted(run, tmp_path) == 1
    terminal.seek(0)
    assert [line.removeprefix(f"{tmp_path}/")[: len(printed)] for line in terminal.read().splitlines()] == [printed]
    errors = capsys.readouterr().err
    assert "\x1b" not in errors and len([line for line in errors.splitlines() if line.startswith("error: ")]) == 1
