"""Finished runs on disk: find, load, write; train what is missing."""

from .record import (
    DamagedRecord,
    Run,
    checksum_ok,
    device_name,
    find,
    get,
    get_all,
    load,
    missing,
    recorded,
    revision,
    update_checksum,
    write,
    write_checksums,
)

__all__ = [
    "DamagedRecord",
    "Run",
    "checksum_ok",
    "device_name",
    "find",
    "get",
    "get_all",
    "load",
    "missing",
    "recorded",
    "revision",
    "update_checksum",
    "write",
    "write_checksums",
]
