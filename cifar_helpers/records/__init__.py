"""Finished runs on disk: find, load, write; train what is missing."""

from .checksums import DamagedRecord, checksum_ok, update_checksum, write_checksums
from .packed import pack, unpack
from .provenance import device_name, revision
from .record import Run, find, load, write
from .training import OtherHistory, get, get_all

__all__ = [
    "DamagedRecord",
    "OtherHistory",
    "Run",
    "checksum_ok",
    "device_name",
    "find",
    "get",
    "get_all",
    "load",
    "pack",
    "revision",
    "unpack",
    "update_checksum",
    "write",
    "write_checksums",
]
