"""A record's revision is this repository's, or none."""

import subprocess

from cifar_helpers.core import paths
from cifar_helpers.records import revision


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
    assert revision() == git(other, "rev-parse", "--short", "HEAD")


def test_variables_of_git_do_not_change_it(tmp_path, monkeypatch):
    own, other = repository(tmp_path / "own"), repository(tmp_path / "other")
    git(other, "commit", "-q", "--allow-empty", "-m", "two")
    monkeypatch.setattr(paths, "ROOT", own)
    usual = revision()
    monkeypatch.setenv("GIT_DIR", str(other / ".git"))
    monkeypatch.setenv("GIT_WORK_TREE", str(other))
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
