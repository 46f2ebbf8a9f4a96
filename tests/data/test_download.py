"""Where the images come from: verified, cached, never a wrong file. Small fakes and a local server only."""

import hashlib
import io
import json
import pickle
import tarfile
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import numpy as np
import pytest
from filelock import FileLock
from PIL import Image

from cifar_helpers import __main__, data
from cifar_helpers.data import download
from cifar_helpers.data.download import ARCHIVE, CACHE, FOLDER, SHEETS, DataError, Remote

NAMES = ("train_images", "train_labels", "test_images", "test_labels")


@pytest.fixture(scope="module")
def arrays():
    made = data.synthetic(train=50, test=10)
    return {name: getattr(made, name) for name in NAMES}


@pytest.fixture(scope="module")
def hashes(arrays):
    return {name: {"shape": list(a.shape), "sha256": hashlib.sha256(a).hexdigest()} for name, a in arrays.items()}


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
    with tarfile.open(fileobj=buffer, mode="w:gz") as archive:
        for name, content in files.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(content)
            archive.addfile(entry, io.BytesIO(content))
    return buffer.getvalue()


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
    folder.mkdir(exist_ok=True)
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
    return Remote("a server", file, lambda: server.url, options)


@pytest.mark.parametrize("kind", [ARCHIVE, FOLDER, SHEETS, CACHE])
def test_every_kind_of_copy_gives_the_same_arrays(tmp_path, arrays, hashes, kind):
    place(tmp_path, kind, arrays)
    assert same(download.fetch([tmp_path], hashes, ()), arrays)
    assert (tmp_path / CACHE).exists()


def test_fetched_once_then_read_without_a_network(tmp_path, arrays, hashes, server):
    server.content = sheets(arrays)
    assert same(download.fetch([tmp_path], hashes, (remote(server, SHEETS),)), arrays)
    assert same(download.fetch([tmp_path], hashes, ()), arrays)
    assert server.asked == 1
    assert sorted(path.name for path in tmp_path.iterdir() if path.suffix != ".lock") == [CACHE]


@pytest.mark.parametrize("kind", [ARCHIVE, FOLDER, SHEETS, CACHE])
def test_an_altered_copy_is_set_aside_and_named(tmp_path, arrays, hashes, kind):
    altered = arrays | {"train_images": arrays["train_images"].copy()}
    altered["train_images"][7, 3, 3, 1] ^= 1  # one bit
    place(tmp_path, kind, altered)
    with pytest.raises(DataError, match=rf"{kind}.*SHA-256 of train_images.*{kind}\.rejected-1"):
        download.fetch([tmp_path], hashes, ())
    assert (tmp_path / f"{kind}.rejected-1").exists() and not (tmp_path / kind).exists()
    place(tmp_path, kind, altered)
    with pytest.raises(DataError, match=r"rejected-2"):
        download.fetch([tmp_path], hashes, ())
    assert (tmp_path / f"{kind}.rejected-1").exists()


@pytest.mark.parametrize("kind", [ARCHIVE, SHEETS, CACHE])
@pytest.mark.parametrize("keep", [0, 0.5])
def test_after_a_truncated_copy_the_next_source_is_used(tmp_path, arrays, hashes, kind, keep):
    place(tmp_path, kind, arrays)
    whole = (tmp_path / kind).read_bytes()
    (tmp_path / kind).write_bytes(whole[: int(keep * len(whole))])
    place(tmp_path / "other", FOLDER, arrays)
    assert same(download.fetch([tmp_path, tmp_path / "other"], hashes, ()), arrays)
    assert (tmp_path / f"{kind}.rejected-1").read_bytes() == whole[: int(keep * len(whole))]


@pytest.mark.parametrize("kind", [ARCHIVE, SHEETS, CACHE])
def test_a_flipped_bit_anywhere_never_gives_other_images(tmp_path, arrays, hashes, kind):
    """Some bits of a file mean nothing, such as an archive's date: then it is still read."""
    place(tmp_path, kind, arrays)
    whole, random, refused = (tmp_path / kind).read_bytes(), np.random.default_rng(0), 0
    for position in random.integers(len(whole), size=40):
        content = bytearray(whole)
        content[position] ^= 1 << random.integers(8)
        (tmp_path / kind).write_bytes(content)
        try:
            assert same(download.read(tmp_path / kind, hashes), arrays)
        except download.Rejected as error:
            assert f"{kind} is truncated, altered or not CIFAR-10" in str(error)
            refused += 1
    assert refused > 20


def test_a_pickle_that_runs_code_is_refused(tmp_path, arrays, hashes):
    class Evil:
        def __reduce__(self):
            return (open, (str(tmp_path / "ran"), "w"))

    place(tmp_path, FOLDER, arrays)
    (tmp_path / FOLDER / "data_batch_1").write_bytes(pickle.dumps(Evil()))
    with pytest.raises(DataError, match="not an array"):
        download.fetch([tmp_path], hashes, ())
    assert not (tmp_path / "ran").exists()


def test_when_all_fail_one_error_names_each_source_and_what_to_do(tmp_path, hashes, server):
    server.content = b"not an archive"

    def nowhere():
        raise ConnectionError("no route")

    with pytest.raises(DataError) as caught:
        download.fetch([tmp_path], hashes, (Remote("first mirror", ARCHIVE, nowhere, {}), remote(server)))
    for part in (str(tmp_path), "first mirror: no route", "a server:", f"{ARCHIVE}.rejected-1", "set CIFAR_DATA"):
        assert part in str(caught.value)
    assert (tmp_path / f"{ARCHIVE}.rejected-1").read_bytes() == b"not an archive"


def test_without_a_network_the_command_says_what_to_do(tmp_path, monkeypatch, capsys):
    """For real: every address is asked through a proxy that is not there."""
    for name in ("http_proxy", "https_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    for name in ("no_proxy", "NO_PROXY", "CIFAR_DATA"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("PATH", str(tmp_path))  # no npm
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert __main__.main(["data", "--profile", "full"]) == 1
    told = capsys.readouterr().err.split("error: ")[1]
    for part in ("npm is not installed", "mirror of the archive: ", "official archive: ", "set CIFAR_DATA"):
        assert told.count(part) == 1
    assert [path.suffix for path in (tmp_path / "cifar_helpers").iterdir()] == [".lock"]


@pytest.mark.parametrize("sent", ["cut short", "a page"])
def test_after_a_download_of_something_else_the_next_source_is_used(tmp_path, arrays, hashes, server, sent):
    whole = archive(arrays)

    def send(file, content):
        if server.asked > 1:
            file.write(content)
        elif sent == "cut short":
            file.write(content[:400])
        else:
            file.write(b"<html>Please log in</html>".ljust(len(content)))

    server.content, server.send = whole, send
    assert same(download.fetch([tmp_path], hashes, (remote(server), remote(server))), arrays)
    assert server.asked == 2 and len(list(tmp_path.glob("*.rejected-1"))) == 1


def test_a_second_writer_of_the_cache_leaves_it_to_the_first(tmp_path, arrays, recwarn):
    (tmp_path / f"{CACHE}.tmp").write_bytes(b"half a file of a process that was killed")
    with FileLock(tmp_path / f"{CACHE}.lock"):
        download.write_cache(arrays, tmp_path)
        assert not (tmp_path / CACHE).exists() and not recwarn
    download.write_cache(arrays, tmp_path)
    assert (tmp_path / CACHE).exists() and not list(tmp_path.glob("*.tmp"))


def test_a_source_without_progress_is_left_for_the_next(tmp_path, arrays, hashes, server):
    def stall(file, content):
        if server.asked == 1:
            file.write(content[:100])
            file.flush()
            server.over.wait(20)
        file.write(content)

    server.content, server.send = archive(arrays), stall
    started = time.monotonic()
    found = download.fetch([tmp_path], hashes, (remote(server, patience=0.3), remote(server)))
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


def test_a_download_cut_short_is_set_aside(tmp_path, server):
    server.content, server.send = b"x" * 1000, lambda file, content: file.write(content[:400])
    with pytest.raises(download.Rejected, match=rf"400 of 1000 bytes.*{ARCHIVE}\.rejected-1"):
        download.download(server.url, tmp_path / ARCHIVE)
    assert [path.name for path in tmp_path.iterdir()] == [f"{ARCHIVE}.rejected-1"]


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
    download.download(server.url, tmp_path / ARCHIVE)
    assert shown[0] == sum(shown[1:]) == 3_000_000 and len(shown) > 2


def test_of_two_that_miss_the_data_one_downloads(tmp_path, arrays, hashes, server):
    server.content = archive(arrays)
    server.send = lambda file, content: (time.sleep(0.3), file.write(content))
    found = []
    threads = [
        threading.Thread(target=lambda: found.append(download.fetch([tmp_path], hashes, (remote(server),))))
        for _ in range(2)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert server.asked == 1 and len(found) == 2 and all(same(one, arrays) for one in found)


def test_the_committed_hashes_are_those_of_the_data_set():
    assert {name: entry["shape"] for name, entry in download.HASHES.items()} == {
        "train_images": [50000, 32, 32, 3],
        "train_labels": [50000],
        "test_images": [10000, 32, 32, 3],
        "test_labels": [10000],
    }
