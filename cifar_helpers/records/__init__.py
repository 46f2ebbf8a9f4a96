"""Finished runs on disk: find, load, write; train what is missing."""

from .checksums import DamagedRecord, checksum_ok, update_checksum, write_checksums
from .packed import pack, unpack
from .provenance import device_name
from .record import Run, find, load, write
from .training import OtherHistory, get, get_all
