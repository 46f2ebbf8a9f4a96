"""Where the images come from: verified, cached, never a wrong file. Small fakes and a local server only."""

import contextlib
import gzip
import hashlib
import io
import json
import os
import pickle
import shutil
import socket
import subprocess
import tarfile
import tempfile
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest
import urllib3
from filelock import FileLock
from PIL import Image

from cifar_helpers import cli, data
from cifar_helpers.core import paths
from cifar_helpers.data import download, formats
from cifar_helpers.data.download import DOWNLOADS, DataError, Remote
from cifar_helpers.data.formats import ARCHIVE, BATCHES, CACHE, FOLDER, SHEETS

NAMES = ("train_images", "train_labels", "test_images", "test_labels")


@pytest.fixture(scope="module")
def arrays():
    made = data.synthetic(train=50, test=10)
    return {name: getattr(made, name) for name in NAMES}


@pytest.fixture
def known(arrays, tmp_path, monkeypatch):
    """The made-up images take CIFAR-10's place, with the checksums of their files; the user's cache is empty."""
    contents = official_files(arrays) | {ARCHIVE: archive(arrays), SHEETS: sheets(arrays)}
    md5 = {name: f"md5:{hashlib.md5(content).hexdigest()}" for name, content in contents.items()}
    shown = {name: {"shape": list(a.shape), "sha256": hashlib.sha256(a).hexdigest()} for name, a in arrays.items()}
    monkeypatch.setattr(formats, "FILES", md5)
    monkeypatch.setattr(formats, "ARRAYS", shown)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "home"))
    monkeypatch.delenv("CIFAR_DATA", raising=False)
    return tmp_path / "home" / "cifar_helpers"


def official_files(arrays):
    """{name: bytes} as the official folder holds them: five batches of training images and one of test images."""
    parts = {
        f"data_batch_{i + 1}": (
            arrays["train_images"][10 * i : 10 * i + 10],
            arrays["train_labels"][10 * i : 10 * i + 10],
        )
        for i in range(5)
    }
    parts["test_batch"] = (arrays["test_images"], arrays["test_labels"])
    return {
        name: pickle.dumps({b"data": images.transpose(0, 3, 1, 2).reshape(-1, 3072), b"labels": labels.tolist()})
        for name, (images, labels) in parts.items()
    }


def tar(files):
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        for name, content in files.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(content)
            archive.addfile(entry, io.BytesIO(content))
    return gzip.compress(buffer.getvalue(), mtime=0)  # the same bytes each time


def archive(arrays):
    return tar({f"{FOLDER}/{name}": content for name, content in official_files(arrays).items()})


def sheets(arrays):
    def png(images):
        buffer = io.BytesIO()
        Image.fromarray(images.reshape(-1, 1024, 3)).save(buffer, "png")
        return buffer.getvalue()

    files = {f"data_batch_{i + 1}.png": png(arrays["train_images"][10 * i : 10 * i + 10]) for i in range(5)}
    files |= {"test_batch.png": png(arrays["test_images"])}
    files |= {
        f"{part}_lables.json": json.dumps(arrays[f"{part}_labels"].tolist()).encode() for part in ("train", "test")
    }
    return tar({f"package/{name}": content for name, content in files.items()})


def place(folder, kind, arrays):
    """Puts a copy of the arrays into the folder, as `kind` of file."""
    folder.mkdir(parents=True, exist_ok=True)
    if kind == FOLDER:
        (folder / FOLDER).mkdir()
        for name, content in official_files(arrays).items():
            (folder / FOLDER / name).write_bytes(content)
    elif kind == CACHE:
        download.write_cache(arrays, folder)
    else:
        (folder / kind).write_bytes({ARCHIVE: archive, SHEETS: sheets}[kind](arrays))


def same(a, b):
    return all(np.array_equal(a[name], b[name]) for name in NAMES)


@pytest.fixture
def server():
    """A server on this machine: .content is what it sends, .send(handler) how."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            self.server.asked += 1
            self.send_response(200)
            self.send_header("Content-Length", str(len(self.server.content)))
            self.end_headers()
            self.server.send(self.wfile, self.server.content)

        def log_message(self, *args):
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as served:
        served.asked, served.content, served.send = 0, b"", lambda file, content: file.write(content)
        served.url = f"http://127.0.0.1:{served.server_port}/file"
        served.over = threading.Event()
        threading.Thread(target=served.serve_forever, daemon=True).start()
        yield served
        served.over.set()
        served.shutdown()


def remote(server, file=ARCHIVE, **options):
    return Remote("a server", file, lambda: server.url, **options)


def listed(folder):
    return {str(path.relative_to(folder)): path.is_file() and path.read_bytes() for path in folder.rglob("*")}


@pytest.mark.parametrize("kind", [ARCHIVE, FOLDER, SHEETS, CACHE])
def test_every_kind_of_copy_gives_the_same_arrays(tmp_path, arrays, known, kind):
    place(tmp_path, kind, arrays)
    assert same(download.fetch(tmp_path, ()), arrays)
    assert (tmp_path / CACHE).exists() and not known.exists()


def test_fetched_once_then_read_without_a_network(arrays, known, server):
    server.content = sheets(arrays)
    assert same(download.fetch(remotes=(remote(server, SHEETS),)), arrays)
    assert same(download.fetch(remotes=()), arrays)
    assert server.asked == 1
    assert sorted(path.name for path in known.iterdir() if path.suffix != ".lock") == [CACHE]


@pytest.mark.parametrize("kind", [ARCHIVE, FOLDER, SHEETS, CACHE])
def test_an_altered_copy_is_refused_and_named_and_the_users_is_left_alone(tmp_path, arrays, known, kind):
    altered = arrays | {"train_images": arrays["train_images"].copy()}
    altered["train_images"][7, 3, 3, 1] ^= 1  # one bit
    place(tmp_path / "mine", kind, altered)
    before = listed(tmp_path / "mine")
    reason = "SHA-256 of train_images" if kind == CACHE else "MD5 of "
    with pytest.raises(DataError, match=rf"file {tmp_path}/mine/{kind}: the {reason}"):
        download.fetch(tmp_path / "mine", ())
    assert before.items() <= listed(tmp_path / "mine").items()
    place(tmp_path / "other", FOLDER, arrays)
    assert same(download.fetch(tmp_path / "other", ()), arrays)


def test_our_own_cache_is_set_aside_if_it_is_altered(arrays, known):
    altered = arrays | {"test_labels": arrays["test_labels"][::-1]}
    for number in (1, 2):
        place(known, CACHE, altered)
        with pytest.raises(DataError, match=rf"SHA-256 of test_labels.*{CACHE}\.rejected-{number}"):
            download.fetch(remotes=())
        assert (known / f"{CACHE}.rejected-{number}").exists() and not (known / CACHE).exists()


@pytest.mark.parametrize("kind", [ARCHIVE, SHEETS, CACHE])
@pytest.mark.parametrize("keep", [0, 0.5])
def test_after_a_truncated_copy_the_next_source_is_used(tmp_path, arrays, known, kind, keep):
    place(tmp_path, kind, arrays)
    whole = (tmp_path / kind).read_bytes()
    (tmp_path / kind).write_bytes(whole[: int(keep * len(whole))])
    place(known, FOLDER, arrays)
    assert same(download.fetch(tmp_path, ()), arrays)
    assert (tmp_path / kind).read_bytes() == whole[: int(keep * len(whole))]
    assert ((known if kind == CACHE else tmp_path) / CACHE).exists()


@pytest.mark.parametrize("missing", [BATCHES[:1], BATCHES[3:], BATCHES[1:]])
def test_an_incomplete_official_folder_of_the_user_is_left_alone(tmp_path, arrays, known, server, missing):
    place(tmp_path, FOLDER, arrays)
    for name in missing:
        (tmp_path / FOLDER / name).unlink()
    before, server.content = listed(tmp_path), archive(arrays)
    assert same(download.fetch(tmp_path, (remote(server),)), arrays)
    assert before.items() <= listed(tmp_path).items()
    with pytest.raises(DataError, match=rf"No such file .*{FOLDER}/{missing[0]}"):
        download.fetch(tmp_path / FOLDER, ())


@pytest.mark.parametrize("name", [FOLDER, "renamed"])
def test_the_official_folder_itself_may_be_named(tmp_path, arrays, known, monkeypatch, name):
    place(tmp_path, FOLDER, arrays)
    folder = (tmp_path / FOLDER).rename(tmp_path / name)
    before = listed(folder)
    monkeypatch.setenv("CIFAR_DATA", f"{folder}/")
    assert same(vars(data.load()), arrays)
    assert listed(folder) == before and (known / CACHE).exists()


@pytest.mark.parametrize("kind", [ARCHIVE, SHEETS, CACHE])
def test_a_flipped_bit_anywhere_never_gives_other_images(tmp_path, arrays, known, kind):
    """The bits of our cache's header mean nothing."""
    place(tmp_path, kind, arrays)
    whole, random = (tmp_path / kind).read_bytes(), np.random.default_rng(0)
    for position in [*range(128), *random.integers(len(whole), size=40)]:
        content = bytearray(whole)
        content[position] ^= 1 << random.integers(8)
        (tmp_path / kind).write_bytes(content)
        if kind == CACHE and position < 128:
            assert same(formats.read(tmp_path / kind), arrays)
        else:
            with pytest.raises(formats.Rejected, match="is not the official one|is not CIFAR-10's"):
                formats.read(tmp_path / kind)


class Evil:
    """Its pickle opens a file for writing when it is read."""

    def __init__(self, path):
        self.path = str(path)

    def __reduce__(self):
        return (open, (self.path, "w"))


@pytest.mark.parametrize("kind", [ARCHIVE, FOLDER, "."])
@pytest.mark.parametrize("name", [BATCHES[0], BATCHES[-1]])
def test_a_pickle_of_another_checksum_is_never_opened(tmp_path, arrays, known, kind, name):
    contents = official_files(arrays) | {name: pickle.dumps(Evil(tmp_path / "ran"))}
    if kind == ARCHIVE:
        (tmp_path / ARCHIVE).write_bytes(tar({f"{FOLDER}/{key}": content for key, content in contents.items()}))
    else:
        (tmp_path / kind).mkdir(exist_ok=True)
        for key, content in contents.items():
            (tmp_path / kind / key).write_bytes(content)
    with pytest.raises(DataError, match=f"the MD5 of {ARCHIVE if kind == ARCHIVE else name} is not the official one"):
        download.fetch(tmp_path, ())
    assert not (tmp_path / "ran").exists()


def test_a_pickle_inside_an_accepted_archive_has_its_own_checksum(tmp_path, arrays, known, monkeypatch):
    contents = official_files(arrays) | {"data_batch_4": pickle.dumps(Evil(tmp_path / "ran"))}
    content = tar({f"{FOLDER}/{name}": content for name, content in contents.items()})
    monkeypatch.setitem(formats.FILES, ARCHIVE, f"sha256:{hashlib.sha256(content).hexdigest()}")
    (tmp_path / ARCHIVE).write_bytes(content)
    with pytest.raises(DataError, match="the MD5 of data_batch_4 is not"):
        download.fetch(tmp_path, ())
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize("kind", [ARCHIVE, SHEETS])
def test_a_download_of_another_checksum_is_never_opened(arrays, known, server, monkeypatch, kind):
    server.content = {ARCHIVE: archive, SHEETS: sheets}[kind](arrays | {"test_labels": arrays["test_labels"][::-1]})
    for module in ("tarfile.open", "pickle.loads", "PIL.Image.open"):
        monkeypatch.setattr(module, lambda *_, **__: pytest.fail("it was opened"))
    with pytest.raises(DataError, match=rf"a server: .*hash of downloaded file \({kind}\) does not match"):
        download.fetch(remotes=(remote(server, kind),))
    assert not (known / DOWNLOADS).exists()


def test_arrays_are_checked_whatever_the_file_says(tmp_path, arrays, known, monkeypatch):
    altered = arrays | {"train_labels": arrays["train_labels"][::-1]}
    place(tmp_path, SHEETS, altered)
    monkeypatch.setitem(formats.FILES, SHEETS, f"sha256:{hashlib.sha256(sheets(altered)).hexdigest()}")
    with pytest.raises(DataError, match=f"{SHEETS}: the SHA-256 of train_labels is not"):
        download.fetch(tmp_path, ())


def full_of_files(path):
    """No file can be opened any more."""
    import resource

    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (3, hard))
    return lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def short_read(path):
    """A file system that gives fewer bytes than there are, without an error."""
    patch = pytest.MonkeyPatch()
    patch.setattr(Path, "read_bytes", lambda self: self.open("rb").read()[:-100])
    patch.setattr(np, "fromfile", lambda file, dtype: np.frombuffer(file.open("rb").read()[:-100], dtype))
    return patch.undo


def no_memory(path):
    patch = pytest.MonkeyPatch()

    def fail(*_, **__):
        raise MemoryError

    patch.setattr(Path, "read_bytes", fail)
    patch.setattr(np, "fromfile", fail)
    return patch.undo


def not_allowed(path):
    patch = pytest.MonkeyPatch()

    def fail(*_, **__):
        raise PermissionError(13, "Permission denied", str(path))

    patch.setattr(Path, "read_bytes", fail)
    patch.setattr(np, "fromfile", fail)
    return patch.undo


@pytest.mark.parametrize("trouble", [full_of_files, short_read, no_memory, not_allowed])
@pytest.mark.parametrize("kind", [ARCHIVE, FOLDER, SHEETS, CACHE])
@pytest.mark.parametrize("own", [False, True])
def test_trouble_with_the_system_is_no_verdict_on_a_file(tmp_path, arrays, known, kind, trouble, own):
    folder = known if own else tmp_path / "mine"
    place(folder, kind, arrays)
    before = listed(folder)
    over = trouble(folder / kind)
    try:
        with pytest.raises((DataError, OSError), match="bytes could be read|memory|Too many open files|Permission"):
            download.fetch(None if own else folder, ())
    finally:
        over()
    assert listed(folder).keys() - {"cifar10.lock"} == before.keys()
    assert same(download.fetch(None if own else folder, ()), arrays)


@pytest.mark.filterwarnings("ignore:CIFAR-10 could not be cached")
def test_a_download_is_kept_until_the_cache_is_written(arrays, known, server, monkeypatch):
    server.content = sheets(arrays)
    with monkeypatch.context() as patch:
        patch.setattr(download, "write_cache", lambda *_: False)  # a full disk
        for _ in range(2):
            assert same(download.fetch(remotes=(remote(server, SHEETS),)), arrays)
    assert (known / DOWNLOADS / SHEETS).read_bytes() == server.content and server.asked == 1
    (known / DOWNLOADS / "tmpabc").write_bytes(b"half of it, from a process that was killed")
    assert same(download.fetch(remotes=()), arrays)
    assert (known / CACHE).exists() and not (known / DOWNLOADS).exists()


def test_a_download_goes_over_no_file_of_the_user(tmp_path, arrays, known, server):
    (tmp_path / ARCHIVE).write_bytes(b"half of it")
    server.content = archive(arrays)
    assert same(download.fetch(tmp_path, (remote(server),)), arrays)
    assert (tmp_path / ARCHIVE).read_bytes() == b"half of it" and (tmp_path / CACHE).exists()


def test_the_users_file_of_our_caches_name_is_left_alone(tmp_path, arrays, known, server):
    np.save(tmp_path / CACHE, np.zeros(5))
    before, server.content = (tmp_path / CACHE).read_bytes(), archive(arrays)
    assert same(download.fetch(tmp_path, (remote(server),)), arrays)
    assert (tmp_path / CACHE).read_bytes() == before and (known / CACHE).exists()


@pytest.mark.parametrize("home", [None, "/proc/nonexistent"])
def test_without_a_home_directory_a_named_folder_is_enough(tmp_path, arrays, known, server, monkeypatch, home):
    monkeypatch.delenv("XDG_CACHE_HOME")
    if home:
        monkeypatch.setattr(Path, "home", lambda: Path(home))
    else:
        monkeypatch.setattr(Path, "home", without_home)
    server.content = archive(arrays)
    monkeypatch.setenv("CIFAR_DATA", str(tmp_path / "new"))
    monkeypatch.setattr(download.fetch, "__defaults__", (None, (remote(server),)))
    assert same(vars(data.load()), arrays) and same(vars(data.load()), arrays) and server.asked == 1
    monkeypatch.delenv("CIFAR_DATA")
    with pytest.raises(DataError, match="(?s)(home directory|holds none).*set CIFAR_DATA"):
        data.load()


def test_the_home_of_another_user_is_no_obstacle(arrays, known, monkeypatch):
    """As in a container that is run with another user's number, and HOME is still root's."""
    base = Path(tempfile.mkdtemp())
    base.chmod(0o755)
    (base / "closed").mkdir(mode=0o755)
    place(base / "data", FOLDER, arrays)
    (base / "closed").chmod(0)
    monkeypatch.setenv("XDG_CACHE_HOME", str(base / "closed" / "cache"))
    user = os.geteuid()
    if user == 0:  # root may look anywhere
        os.setresuid(65534, 65534, 0)
    try:
        assert same(download.fetch(base / "data", ()), arrays)
        with pytest.raises(DataError, match=f"(?s)folder {base}/closed/cache/.*set CIFAR_DATA"):
            download.fetch(base / "empty", ())
    finally:
        if user == 0:
            os.setresuid(0, 0, 0)
        (base / "closed").chmod(0o755)
        shutil.rmtree(base)


@pytest.mark.parametrize("relative", ["cache", "~/.cache", "../cache", ""])
def test_a_relative_cache_is_no_second_one_in_each_working_directory(tmp_path, monkeypatch, relative):
    monkeypatch.setenv("XDG_CACHE_HOME", relative)
    monkeypatch.setenv("HOME", str(tmp_path))
    assert data.cache_folder() == tmp_path / ".cache" / "cifar_helpers"
    monkeypatch.setenv("HOME", "here")
    with pytest.raises(RuntimeError, match="the home directory here is no absolute path"):
        data.cache_folder()


def test_the_home_directory_of_a_user_who_has_none_is_no_folder_named_tilde(tmp_path, known, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("CIFAR_DATA", "~nobody-of-this-name/data")
    told = (
        "the folder ~nobody-of-this-name/data cannot be found, since no home directory is known: give an absolute path"
    )
    with pytest.raises(ValueError, match=told):
        data.load()
    assert cli.main(["data", "--profile", "quick"]) == 1 and told in capsys.readouterr().err
    assert not list(tmp_path.glob("~*"))


@pytest.mark.parametrize("name", [CACHE, ARCHIVE, SHEETS, f"{FOLDER}/{BATCHES[0]}"])
def test_a_file_that_is_far_too_large_is_not_read(tmp_path, known, name):
    """Nor does it end the search for another source, as a lack of memory would."""
    file = tmp_path / "data" / name
    file.parent.mkdir(parents=True)
    file.touch()
    os.truncate(file, 10**12)
    with pytest.raises(DataError, match="has 1,000,000,000,000 bytes, more than any file of CIFAR-10"):
        download.fetch(tmp_path / "data", ())


@pytest.mark.parametrize("make", [os.mkfifo, os.mkdir, lambda path: path.symlink_to("/dev/zero")])
def test_a_batch_that_is_no_file_is_not_waited_for(tmp_path, known, make):
    folder = tmp_path / "data" / FOLDER
    folder.mkdir(parents=True)
    for name in BATCHES:
        make(folder / name)
    with pytest.raises(DataError, match=f"it is not a file but a folder, a pipe or a device: '{folder / BATCHES[0]}'"):
        download.fetch(tmp_path / "data", ())


def without_home():
    raise RuntimeError("Could not determine home directory.")


def test_a_relative_folder_is_named_by_its_absolute_path(tmp_path, arrays, known, monkeypatch):
    place(tmp_path / "mine", ARCHIVE, arrays)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("CIFAR_DATA", "mine")
    assert same(vars(data.load()), arrays)
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")  # as a notebook does
    with pytest.raises(DataError, match=f"there is no folder {tmp_path}/elsewhere/mine"):
        data.load()
    assert not list((tmp_path / "elsewhere").iterdir())
    (tmp_path / "elsewhere" / "mine").mkdir()
    monkeypatch.setattr(download.fetch, "__defaults__", (None, ()))
    with pytest.raises(DataError, match=f"folder {tmp_path}/elsewhere/mine: it holds none of {CACHE}"):
        data.load()


@pytest.mark.parametrize("folder, absolute", [("my data", "{here}/my data"), ("/my data", "/my data"), ("", "")])
def test_what_starts_notebooks_makes_the_folder_absolute(tmp_path, monkeypatch, folder, absolute):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("CIFAR_DATA", folder)
    assert cli.main(["data", "--profile", "smoke"]) == 0
    assert os.environ["CIFAR_DATA"] == absolute.format(here=tmp_path)
    monkeypatch.setenv("CIFAR_DATA", folder)
    say = ["--eval", 'say:; @echo "$$CIFAR_DATA"', "say"]
    for given in ([], [f"CIFAR_DATA={folder}"]):
        command = ["make", "-C", str(paths.ROOT), "--no-print-directory", *say, *given]
        said = subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
        assert said == absolute.format(here=paths.ROOT)


def test_when_all_fail_one_error_names_each_source_and_what_to_do(tmp_path, known, server):
    server.content = b"not an archive"

    def nowhere():
        raise ConnectionError("no route")

    with pytest.raises(DataError) as caught:
        download.fetch(tmp_path, (Remote("first mirror", ARCHIVE, nowhere), remote(server)))
    for part in (str(tmp_path), str(known), "first mirror: no route", "a server:", "does not match", "set CIFAR_DATA"):
        assert part in str(caught.value)


def test_without_a_network_the_command_says_what_to_do(tmp_path, monkeypatch, capsys):
    """For real: every address is asked through a proxy that is not there."""
    for name in ("http_proxy", "https_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    for name in ("no_proxy", "NO_PROXY", "CIFAR_DATA"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("PATH", str(tmp_path))  # no npm
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert cli.main(["data", "--profile", "full"]) == 1
    told = capsys.readouterr().err.split("error: ")[1]
    for part in ("npm is not installed", "mirror of the archive: ", "official archive: ", "set CIFAR_DATA"):
        assert told.count(part) == 1
    assert [path.suffix for path in (tmp_path / "cifar_helpers").iterdir()] == [".lock"]


@pytest.mark.parametrize("sent", ["cut short", "a page"])
def test_after_a_download_of_something_else_the_next_source_is_used(tmp_path, arrays, known, server, sent):
    whole = archive(arrays)

    def send(file, content):
        if server.asked > 1:
            file.write(content)
        elif sent == "cut short":
            file.write(content[:400])
        else:
            file.write(b"<html>Please log in</html>".ljust(len(content)))

    server.content, server.send = whole, send
    assert same(download.fetch(tmp_path, (remote(server), remote(server))), arrays)
    assert server.asked == 2
    assert sorted(path.name for path in tmp_path.iterdir() if path.suffix != ".lock") == [CACHE]


def test_a_second_writer_of_the_cache_leaves_it_to_the_first(tmp_path, arrays, recwarn):
    (tmp_path / f"{CACHE}.tmp").write_bytes(b"half a file of a process that was killed")
    with FileLock(tmp_path / f"{CACHE}.lock"):
        download.write_cache(arrays, tmp_path)
        assert not (tmp_path / CACHE).exists() and not recwarn
    download.write_cache(arrays, tmp_path)
    assert (tmp_path / CACHE).exists() and not list(tmp_path.glob("*.tmp"))


def test_a_source_without_progress_is_left_for_the_next(tmp_path, arrays, known, server):
    def stall(file, content):
        if server.asked == 1:
            file.write(content[:100])
            file.flush()
            server.over.wait(20)
        file.write(content)

    server.content, server.send = archive(arrays), stall
    started = time.monotonic()
    found = download.fetch(tmp_path, (remote(server, patience=0.3), remote(server)))
    assert same(found, arrays) and server.asked == 2 and time.monotonic() - started < 10


def test_a_trickle_is_no_progress(tmp_path, server):
    def trickle(file, content):
        for _ in range(100):
            file.write(b"x")
            file.flush()
            if server.over.wait(0.05):
                break

    server.content, server.send = b"x" * 100, trickle
    with pytest.raises(TimeoutError, match="only 0 kB/s"):
        download.download(server.url, tmp_path / ARCHIVE, slowest=1000, window=0.3)
    assert not list(tmp_path.iterdir())


def test_a_trickle_of_headers_is_no_progress(tmp_path):
    """A byte every 50 ms, for ten seconds: no single one is waited for long."""
    over, listening = threading.Event(), socket.create_server(("127.0.0.1", 0))

    def answer():
        connection, _ = listening.accept()
        with connection, contextlib.suppress(OSError):
            for byte in b"HTTP/1.1 200 OK\r\nX-Slow: ".ljust(200, b"x"):
                connection.sendall(bytes([byte]))
                if over.wait(0.05):
                    break

    threading.Thread(target=answer, daemon=True).start()
    started = time.monotonic()
    with listening, pytest.raises(TimeoutError, match="no complete headers within 1 s"):
        download.download(
            f"http://127.0.0.1:{listening.getsockname()[1]}", tmp_path / ARCHIVE, patience=0.5, window=0.3
        )
    over.set()
    assert time.monotonic() - started < 5 and not list(tmp_path.iterdir())


def test_without_memory_no_other_source_is_asked(tmp_path, arrays, known, server, monkeypatch):
    server.content = archive(arrays)
    monkeypatch.setattr(formats, "read", lambda path: (_ for _ in ()).throw(MemoryError()))
    with pytest.raises(MemoryError):
        download.fetch(tmp_path, (remote(server), remote(server)))
    assert server.asked == 1


def test_of_a_download_cut_short_nothing_is_left(tmp_path, server):
    server.content, server.send = b"x" * 1000, lambda file, content: file.write(content[:400])
    with pytest.raises(urllib3.exceptions.ProtocolError, match="400 bytes read, 600 more expected"):
        download.download(server.url, tmp_path / ARCHIVE)
    assert not list(tmp_path.iterdir())


def test_a_full_disk_says_so(tmp_path, server, monkeypatch):
    class Full(io.BytesIO):
        def write(self, _):
            raise OSError(28, "No space left on device")

    server.content = b"x" * 1000
    monkeypatch.setattr("builtins.open", lambda *args, **kwargs: Full())
    with pytest.raises(OSError, match="disk of .* is full: free"):
        download.download(server.url, tmp_path / ARCHIVE)


def test_a_download_shows_its_progress(tmp_path, server, monkeypatch):
    shown = []

    class Bar:
        def __init__(self, total, name, **options):
            shown.append(total)

        def __enter__(self):
            return self

        def __exit__(self, *args):
            pass

        update = staticmethod(shown.append)

    monkeypatch.setattr(download, "bar", Bar)
    server.content = b"x" * 3_000_000
    monkeypatch.setitem(formats.FILES, ARCHIVE, f"sha256:{hashlib.sha256(server.content).hexdigest()}")
    download.download(server.url, tmp_path / ARCHIVE)
    assert shown[0] == sum(shown[1:]) == 3_000_000 and len(shown) > 2


def test_of_two_that_miss_the_data_one_downloads(tmp_path, arrays, known, server):
    server.content = archive(arrays)
    server.send = lambda file, content: (time.sleep(0.3), file.write(content))
    found = []
    threads = [
        threading.Thread(target=lambda: found.append(download.fetch(tmp_path, (remote(server),)))) for _ in range(2)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert server.asked == 1 and len(found) == 2 and all(same(one, arrays) for one in found)


def test_load_looks_in_the_named_folder_then_in_the_cache(tmp_path, arrays, known, monkeypatch):
    asked = []
    monkeypatch.setattr(formats, "read", lambda path: asked.append(path.parent) or arrays)
    for folder in (tmp_path / "data", tmp_path / "mine", known):
        place(folder, CACHE, arrays)
    monkeypatch.setenv("CIFAR_DATA", str(tmp_path / "data"))
    loaded = data.load()
    data.load(tmp_path / "mine")
    (tmp_path / "data" / CACHE).unlink()
    data.load()
    monkeypatch.delenv("CIFAR_DATA")
    data.load()
    assert asked == [tmp_path / "data", tmp_path / "mine", known, known]
    assert not loaded.synthetic and loaded.classes == data.CLASSES
    (tmp_path / "file").touch()
    with pytest.raises(DataError, match="is a file"):
        data.load(tmp_path / "file")


def test_the_committed_hashes_are_those_of_the_data_set():
    assert {name: entry["shape"] for name, entry in formats.ARRAYS.items()} == {
        "train_images": [50000, 32, 32, 3],
        "train_labels": [50000],
        "test_images": [10000, 32, 32, 3],
        "test_labels": [10000],
    }
