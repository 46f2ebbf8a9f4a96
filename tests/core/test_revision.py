"""A record's revision is this repository's, or none."""

import subprocess

import pytest

from cifar_helpers import records, train
from cifar_helpers.core import paths
from cifar_helpers.core.revision import revision
from cifar_helpers.train import loop


@pytest.fixture(autouse=True)
def new_process():
    revision.cache_clear()
    yield
    revision.cache_clear()


def git(folder, *arguments):
    author = ["-c", "user.name=A", "-c", "user.email=a@example.org"]
    done = subprocess.run(["git", "-C", folder, *author, *arguments], check=True, capture_output=True, text=True)
    return done.stdout.strip()


def repository(folder):
    folder.mkdir()
    git(folder, "init", "-q")
    git(folder, "commit", "-q", "--allow-empty", "-m", "one")
    return folder


def test_the_revision_of_a_repository_around_the_code_is_not_its_own(tmp_path, monkeypatch):
    other = repository(tmp_path / "other")
    (other / "unpacked" / "cifar_helpers").mkdir(parents=True)
    monkeypatch.setattr(paths, "ROOT", other / "unpacked")
    assert revision() is None
    monkeypatch.setattr(paths, "ROOT", other)
    revision.cache_clear()
    assert revision() == git(other, "rev-parse", "--short", "HEAD")


def test_variables_of_git_do_not_change_it(tmp_path, monkeypatch):
    own, other = repository(tmp_path / "own"), repository(tmp_path / "other")
    git(other, "commit", "-q", "--allow-empty", "-m", "two")
    monkeypatch.setattr(paths, "ROOT", own)
    usual = revision()
    monkeypatch.setenv("GIT_DIR", str(other / ".git"))
    monkeypatch.setenv("GIT_WORK_TREE", str(other))
    revision.cache_clear()
    assert revision() == usual == git_of(own)


def git_of(folder):
    return subprocess.run(
        ["env", "-u", "GIT_DIR", "-u", "GIT_WORK_TREE", "git", "-C", folder, "rev-parse", "--short", "HEAD"],
        check=True,
        capture_output=True,
        text=True,
    ).stdout.strip()


def test_code_that_is_in_no_repository_has_none(tmp_path, monkeypatch):
    monkeypatch.setattr(paths, "ROOT", tmp_path)
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    assert revision() is None


def test_what_is_committed_during_a_training_is_not_the_code_that_trained(tmp_path, monkeypatch):
    own = repository(tmp_path / "own")
    monkeypatch.setattr(paths, "ROOT", own)
    began = revision()
    git(own, "commit", "-q", "--allow-empty", "-m", "two")
    assert revision() == began != git(own, "rev-parse", "--short", "HEAD")


@pytest.mark.parametrize(
    "setting", ["status.showUntrackedFiles=no", "color.status=always", "status.relativePaths=false"]
)
def test_new_code_is_noticed_whatever_the_users_settings_of_git(tmp_path, monkeypatch, setting):
    own = repository(tmp_path / "own")
    (own / "cifar_helpers/models").mkdir(parents=True)
    git(own, "config", *setting.split("="))
    monkeypatch.setattr(paths, "ROOT", own)
    clean = revision()
    (own / "cifar_helpers/models/tiny.py").touch()
    revision.cache_clear()
    assert revision() == f"{clean}+"


SMALL = train.Config("resnet18", width=0.125, data="synthetic", images=50, test_images=50, epochs=2, batch_size=50)


def test_a_record_has_the_revision_from_before_its_training(results, monkeypatch):
    own = repository(results / "own")
    monkeypatch.setattr(paths, "ROOT", own)
    evaluate = loop.evaluate

    def commit_and_evaluate(*arguments, **options):
        git(own, "commit", "-q", "--allow-empty", "-m", "two")
        return evaluate(*arguments, **options)

    began = git(own, "rev-parse", "--short", "HEAD")
    monkeypatch.setattr(loop, "evaluate", commit_and_evaluate)
    assert records.get(SMALL, "tiny", "smoke", "cpu").record["revision"] == began


def test_a_training_that_other_code_went_on_with_names_both(tmp_path, monkeypatch, cifar):
    own = repository(tmp_path / "own")
    monkeypatch.setattr(paths, "ROOT", own)
    began, options = revision(), dict(device="cpu", checkpoint=tmp_path / "run.pt")

    def stop(epoch, row):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train.train(SMALL, cifar, after_epoch=stop, **options)
    git(own, "commit", "-q", "--allow-empty", "-m", "two")
    revision.cache_clear()
    assert train.train(SMALL, cifar, **options).revision == f"{began}, {revision()}"
    assert train.train(SMALL, cifar, device="cpu").revision == revision() != began
