"""Trained networks in files to hand on: each a .safetensors that says which network it is, several in a .zip."""

import hashlib
import io
import json
import textwrap
import zipfile
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import pandas as pd
from safetensors.torch import load, load_file, save

from cifar_helpers import models
from cifar_helpers.core import files
from cifar_helpers.records.checksums import SUMS
from cifar_helpers.records.record import Run, check_network, with_weights

MAX_BYTES = 2_000_000_000  # all networks of all committed records take less than a tenth


@dataclass(frozen=True, eq=False)
class Packed(Run):
    """A run that was read from such a file: `folder` is the file, the history is empty."""

    network: models.Network

    def model(self) -> models.Network:
        return self.network


def pack(runs: Iterable[Run], path: Path) -> Path:
    """Write a .zip of the weights of records, in half precision, and their SHA256SUMS.

    Each network's metadata has its run.json. The same records give the same bytes.
    """
    sums = ""
    with files.replacing(path) as temporary, zipfile.ZipFile(temporary, "w") as archive:
        for run in runs:
            name = f"{run.folder.name}.safetensors"
            content = save(load_file(run.weights), {"run": json.dumps(run.record)})
            archive.writestr(zipfile.ZipInfo(name), content)
            sums += f"{hashlib.sha256(content).hexdigest()}  {name}\n"
        archive.writestr(zipfile.ZipInfo(SUMS), sums)
    return path


def unpack(file: Path) -> Packed:
    """The network of a .safetensors file that `pack` made; of its .zip the one with the highest test accuracy.

    Raises: ValueError where the file is damaged or none that `pack` made, OSError where it cannot be read.
    """
    if file.exists() and not file.is_file() and not file.is_dir():  # a named pipe would be waited for without end
        raise ValueError(f"{file} is not a file but a pipe or device: save what it gives, and name that file")
    if file.stat().st_size > MAX_BYTES:
        raise ValueError(f"{file} is larger than {MAX_BYTES / 1e9:.0f} GB, so it is no file of the command pack")
    content, name = file.read_bytes(), file
    try:
        if zipfile.is_zipfile(io.BytesIO(content)):
            networks = _networks(content)
            best = max(networks, key=lambda name: _record(networks[name]).get("test_accuracy", 0))
            content, name = networks[best], file / best
        run = Run(name, _record(content), pd.DataFrame())
        check_network(run, run.config)
        return Packed(run.folder, run.record, run.history, with_weights(run.config, load(content)))
    except Exception as error:  # of whatever is in the file
        raise ValueError(f"{file} has no weights that can be used: {textwrap.shorten(str(error), 200)}") from error


def _networks(content: bytes) -> dict[str, bytes]:
    """The .safetensors files of a .zip by their names, each with the checksum that SHA256SUMS has for it."""
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        sums = dict(line.split("  ")[::-1] for line in archive.read(SUMS).decode().splitlines())
        unpacked = sum(archive.getinfo(name).file_size for name in sums)
        if unpacked > max(10 * len(content), 1_000_000):  # weights cannot be made so much smaller
            raise ValueError(f"it has {len(content):,} bytes and would take {unpacked:,} when unpacked")
        networks = {name: archive.read(name) for name in sums}
    if not networks:
        raise ValueError(f"its {SUMS} is empty: it names no network")
    for name, network in networks.items():
        if hashlib.sha256(network).hexdigest() != sums[name]:
            raise ValueError(f"the checksum of {name} is not the one in {SUMS}")
    return networks


def _record(content: bytes) -> dict:
    """The run.json in the metadata of a .safetensors file, which are JSON after eight bytes that give its length."""
    load(content)  # says what is wrong where it is not such a file
    header = json.loads(content[8 : 8 + int.from_bytes(content[:8], "little")])
    record = json.loads(header.get("__metadata__", {}).get("run", "{}"))
    if not {"config", "parameters", "profile", "synthetic"} <= set(record):
        raise ValueError("it does not say which network it is of (for a record, give its folder to --model)")
    return record
