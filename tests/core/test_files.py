"""Files that are whole or not there."""

import errno
import fcntl
import os
import subprocess
import sys

import pytest

from cifar_helpers.core import files


def test_a_file_is_replaced_as_a_whole_or_not_at_all(tmp_path):
    file = tmp_path / "new" / "a.txt"
    files.write(file, "β\r\n")
    assert file.read_bytes() == "β\r\n".encode()
    with pytest.raises(RuntimeError), files.replacing(file) as temporary:
        assert temporary.parent == file.parent and temporary.suffix == ".txt"
        temporary.write_text("half")
        raise RuntimeError
    assert file.read_bytes() == "β\r\n".encode() and list(file.parent.iterdir()) == [file]


def test_a_full_disk_is_told_with_what_to_do(tmp_path):
    file = tmp_path / "a.txt"
    file.write_text("before")
    with (
        pytest.raises(OSError, match="a.txt could not be written .*free some disk space"),
        files.replacing(file) as part,
    ):
        part.write_text("half")
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    assert file.read_text() == "before" and list(tmp_path.iterdir()) == [file]


def test_an_error_of_what_is_read_for_a_file_is_no_full_disk(tmp_path):
    with pytest.raises(FileNotFoundError, match="^run-1 has no weights$"), files.replacing(tmp_path / "a.zip"):
        raise FileNotFoundError("run-1 has no weights")


def test_text_does_not_depend_on_the_locale(tmp_path):
    code = "import pathlib, sys; from cifar_helpers.core import files; files.write(pathlib.Path(sys.argv[1]), chr(946))"
    environment = os.environ | {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
    environment["PYTHONPATH"] = os.pathsep.join(sys.path)
    subprocess.run([sys.executable, "-c", code, tmp_path / "a.txt"], env=environment, check=True)
    assert (tmp_path / "a.txt").read_bytes() == "β".encode()


def test_a_killed_writer_leaves_the_file_of_before(tmp_path):
    file = tmp_path / "a.txt"
    files.write(file, "before")
    code = (
        "import os, pathlib, signal, sys; from cifar_helpers.core import files\n"
        "with files.replacing(pathlib.Path(sys.argv[1])) as part:\n"
        "    part.write_text('half')\n"
        "    os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    assert subprocess.run([sys.executable, "-c", code, file], env=environment).returncode == -9
    assert file.read_text() == "before"


def no_locks(monkeypatch):
    """As a network drive without a lock service answers."""

    def flock(*arguments):
        raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))

    monkeypatch.setattr(fcntl, "flock", flock)


def test_a_file_system_without_locks_is_named_with_what_to_do(tmp_path, monkeypatch):
    no_locks(monkeypatch)
    with (
        pytest.raises(OSError, match=r"a\.lock could not be locked .*No locks.*disk of this machine"),
        files.lock(tmp_path / "a.lock"),
    ):
        pytest.fail("it holds no lock")
