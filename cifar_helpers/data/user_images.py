"""A user's picture as input for the networks: 32x32 pixels."""

import contextlib
import io
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

import numpy as np
from PIL import ExifTags, Image, ImageOps, UnidentifiedImageError

from cifar_helpers.core.text import printable

SIDE = 32
# Pillow opens more formats; some of them start other programs (EPS) or hold no picture (HDF5).
FORMATS = ("PNG", "JPEG", "WEBP", "GIF", "BMP", "TIFF", "AVIF", "JPEG2000", "PPM")
MAX_BYTES = 250_000_000
# Above this a picture is refused. A JPEG is decoded at an eighth of its size, so that photos of phones are read.
MAX_MEGAPIXELS, MAX_MEGAPIXELS_JPEG = 50, 120
_LIMIT = (
    f"more than is read ({MAX_MEGAPIXELS_JPEG} megapixels of a JPEG, {MAX_MEGAPIXELS} of other files): make it smaller"
)
_BITS_PER_SAMPLE, _PHOTOMETRIC, _SAMPLE_FORMAT = 258, 262, 339  # tags of TIFF


def read(source: bytes | Path, name: str | None = None) -> np.ndarray:
    """A picture, as the bytes of its file or as a path, to (32, 32, 3) uint8, RGB, 0..255.

    Turned as its EXIF data ask, cut to the square in its middle and scaled to 32x32 pixels; what is transparent becomes
    white, and of several frames the first is taken. Grey levels of more than 8 bits are scaled, see `_grey`. The
    largest pictures that are read take up to 1.2 GB of memory, a photo of 12 megapixels 0.1 GB at most.

    name: what messages call the picture (default: the path, or "the file").

    Raises:
        ValueError: in one sentence with the name, for what is no picture, damaged, too large or fully transparent.
        OSError: where a path cannot be opened; FileNotFoundError where nothing is there.
    """
    name = printable(name or ("the file" if isinstance(source, bytes) else source))
    with _opened(source, name) as file, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # what matters of what Pillow warns of ends in an error here
        try:
            return _read(file, name)
        except UnidentifiedImageError:
            raise ValueError(
                f"{name} is no picture that can be read: give a PNG, JPEG, WebP, GIF, BMP, TIFF, AVIF, JPEG 2000 or PPM"
            ) from None
        except _Refused as error:
            raise ValueError(str(error)) from None
        except Image.DecompressionBombError:  # already when it is opened
            raise ValueError(f"{name} has far too many pixels, {_LIMIT}") from None
        except MemoryError:
            raise ValueError(f"{name} cannot be read as a picture: there is not enough memory") from None
        except Exception as error:  # damaged files make decoders raise nearly anything: TypeError, struct.error, ...
            raise ValueError(
                f"{name} cannot be read as a picture: {printable(error) or type(error).__name__}"
            ) from error


class _Refused(ValueError):
    """A picture that was understood and is not taken."""


@contextlib.contextmanager
def _opened(source: bytes | Path, name: str) -> Iterator[BinaryIO]:
    size = len(source) if isinstance(source, bytes) else source.stat().st_size
    if size > MAX_BYTES:
        raise ValueError(f"{name} is larger than {MAX_BYTES / 1e6:.0f} MB: make it smaller")
    if isinstance(source, bytes):
        yield io.BytesIO(source)
    elif not source.is_file():  # a named pipe, say, which would be waited for without end
        what = "folder" if source.is_dir() else "pipe or device, which is read as standard input only"
        raise ValueError(f"{name} is not a file but a {what}")
    else:
        with source.open("rb") as file:
            yield file


def _read(file: BinaryIO, name: str) -> np.ndarray:
    Image.init()
    with Image.open(file, formats=[each for each in FORMATS if each in Image.OPEN]) as picture:
        megapixels = picture.width * picture.height / 1e6
        jpeg = picture.format in ("JPEG", "MPO")  # MPO: a JPEG with another picture behind it, as some phones write it
        if megapixels > (MAX_MEGAPIXELS_JPEG if jpeg else MAX_MEGAPIXELS):
            raise _Refused(f"{name} has {megapixels:,.0f} megapixels, {_LIMIT}")
        picture.draft(None, (8 * SIDE, 8 * SIDE))  # JPEG only: a smaller decoding, of still eight times what is needed
        _scale_transparency(picture)
        picture.load()
        width, height = picture.size
        left, top = max(width - height, 0) // 2, max(height - width, 0) // 2
        square = picture.crop((left, top, width - left, height - top))  # with the half pixels that `fit` cuts off
        rgba = _grey(square, picture, name) if _is_scaled(picture) else _rgba(square)
        orientation = _orientation(picture)
    small = ImageOps.fit(rgba, (SIDE, SIDE), Image.Resampling.LANCZOS)
    if small.getchannel("A").getextrema() == (0, 0):
        raise _Refused(f"{name} is fully transparent: there is nothing to see in the square in its middle")
    small = Image.alpha_composite(Image.new("RGBA", small.size, "white"), small).convert("RGB")
    small.getexif()[ExifTags.Base.Orientation] = orientation
    return np.asarray(ImageOps.exif_transpose(small))


def _is_scaled(picture: Image.Image) -> bool:
    """Whether it has grey levels that `_grey` scales: more than 8 bits, or 8 with a sign, which Pillow overlooks."""
    signed = getattr(picture, "tag_v2", {}).get(_SAMPLE_FORMAT, (1,))[0] == 2
    return picture.mode.startswith(("I", "F")) or (picture.mode == "L" and signed)


def _scale_transparency(picture: Image.Image) -> None:
    """The colour that stands for transparent in a PNG, in 8 bits as its pixels will be; Pillow leaves it as it was."""
    bits = picture.tile[0][3] if picture.format == "PNG" and picture.tile else None  # type: ignore[attr-defined]
    transparent = picture.info.get("transparency")
    if isinstance(transparent, int) and bits in ("L;2", "L;4"):
        picture.info["transparency"] = transparent * {"L;2": 85, "L;4": 17}[bits]
    elif isinstance(transparent, tuple) and bits == "RGB;16B":
        picture.info["transparency"] = tuple(value >> 8 for value in transparent)


def _orientation(picture: Image.Image) -> int:
    """1 to 8, as EXIF numbers them; 1, upright, where nothing is said or the EXIF data are damaged."""
    try:
        return int(picture.getexif().get(ExifTags.Base.Orientation, 1))
    except Exception:  # as many kinds of errors as with damaged pictures
        return 1


def _rgba(picture: Image.Image) -> Image.Image:
    """A picture of 8 bits per channel or less as RGBA."""
    if picture.mode == "La":  # with alpha multiplied into it; Pillow turns it into LA only
        picture = picture.convert("LA")
    if picture.mode == "RGBX":  # the fourth byte means nothing
        picture = picture.convert("RGB")
    return picture.convert("RGBA")


def _grey(picture: Image.Image, file: Image.Image, name: str) -> Image.Image:
    """Grey levels of more than 8 bits (modes I;16, I and F) or with a sign, part of an opened file, as RGBA.

    Black and white are the ends of the range where the file defines it: integers of 12 or 16 bits without a sign, and
    floats from 0 to 1. Else they are the lowest and the highest value of the picture.
    """
    tags = getattr(file, "tag_v2", {})  # of TIFF only
    values = np.asarray(picture)
    if file.mode == "I" and tags.get(_SAMPLE_FORMAT, (1,))[0] == 1 and file.format == "TIFF":
        values = values.view(np.uint32)  # Pillow takes them for signed ones
    elif file.mode == "L":
        values = values.view(np.int8)
    low, high = float(values.min()), float(values.max())
    if not np.isfinite(high - low):
        raise _Refused(f"{name} holds grey levels that are NaN or infinite")
    if file.mode.startswith("I;16") or (file.mode == "I" and file.format in ("PNG", "PPM")):
        low, high = 0, 2 ** tags.get(_BITS_PER_SAMPLE, (16,))[0] - 1
    elif file.mode == "F" and low >= 0 and high <= 1:
        low, high = 0, 1
    if low == high:
        raise _Refused(f"{name} holds one grey level only, {low:g}, and does not define which are black and white")
    bands = np.array_split(values, 64)  # one after the other, to save memory
    grey = np.vstack([((band.astype(np.float64) - low) * 255 / (high - low)).astype(np.uint8) for band in bands])
    if tags.get(_PHOTOMETRIC) == 0:  # white is zero; Pillow turns round those of 8 bits itself
        grey = 255 - grey
    rgba = Image.fromarray(grey).convert("RGBA")
    if isinstance(transparent := picture.info.get("transparency"), int):  # PNG: the level that stands for transparent
        rgba.putalpha(Image.fromarray(np.where(values == transparent, 0, 255).astype(np.uint8)))
    return rgba
