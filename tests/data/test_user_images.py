import io
import os
import struct
import warnings
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageMode

from cifar_helpers.data import user_images

PICTURES = Path(__file__).parent / "pictures"  # files that once went wrong
RED, BLUE = (250, 10, 20), (10, 20, 250)


def saved(picture, kind="PNG", **options) -> bytes:
    file = io.BytesIO()
    picture.save(file, kind, **options)
    return file.getvalue()


def blue(image) -> bool:
    """Scaling mixes in a little of what lies beyond the border."""
    return (abs(image[:, 3:-3].astype(int) - BLUE) <= 2).all()


def wide(mode="RGB"):
    """90x30: red, then blue in the square of the middle, then red."""
    picture = Image.new("RGB", (90, 30), RED)
    picture.paste(BLUE, (30, 0, 60, 30))
    return picture.convert(mode)


def test_the_square_in_the_middle_is_what_is_left():
    image = user_images.read(saved(wide()))
    assert image.shape == (32, 32, 3) and image.dtype == np.uint8
    assert blue(image)


def test_a_path_is_as_good_as_bytes(tmp_path):
    (tmp_path / "mine.png").write_bytes(saved(wide()))
    assert np.array_equal(user_images.read(tmp_path / "mine.png"), user_images.read(saved(wide())))


def test_an_image_of_the_right_size_stays_as_it_is():
    pixels = np.random.default_rng(0).integers(0, 256, (32, 32, 3), dtype=np.uint8)
    assert np.array_equal(user_images.read(saved(Image.fromarray(pixels))), pixels)


@pytest.mark.parametrize("size", ((1, 1), (3, 500), (1000, 700)))
def test_any_size_becomes_32x32(size):
    assert (user_images.read(saved(Image.new("RGB", size, RED))) == RED).all()


def test_grey_becomes_three_equal_channels():
    grey = Image.fromarray(np.tile(np.arange(0, 256, 8, dtype=np.uint8), (32, 1)))
    image = user_images.read(saved(grey))
    assert (image == image[..., :1]).all() and np.array_equal(image[5, :, 0], np.arange(0, 256, 8))


def test_sixteen_bits_of_grey_keep_their_shades():
    shades = np.tile(np.arange(0, 65536, 2048, dtype=np.uint16), (32, 1))
    image = user_images.read(saved(Image.fromarray(shades)))
    assert np.array_equal(image[0, :, 1], np.arange(0, 65536, 2048) // 257)


def test_what_is_transparent_is_white():
    picture = wide("RGBA")
    picture.putalpha(Image.new("L", picture.size, 0))
    picture.paste(BLUE, (30, 0, 45, 30))
    image = user_images.read(saved(picture))
    assert (image[:, 20:] == 255).all() and (abs(image[:, 3:12].astype(int) - BLUE) <= 2).all()
    assert blue(user_images.read(saved(wide("RGBA"))))


@pytest.mark.parametrize("mode", ("RGBA", "LA", "P", "1", "L", "RGB", "I;16"))
def test_a_picture_that_is_fully_transparent_is_refused(mode):
    picture = Image.new("RGBA", (64, 48)) if mode in ("RGBA", "P") else Image.new(mode, (64, 48))
    options = {"transparency": (0, 0, 0) if mode == "RGB" else 0} if mode not in ("RGBA", "LA") else {}
    content = saved(picture.convert("P") if mode == "P" else picture, **options)
    with pytest.raises(ValueError, match="the file is fully transparent"):
        user_images.read(content)


def test_only_the_square_in_the_middle_counts():
    picture = Image.new("RGBA", (90, 30), RED)
    picture.paste((0, 0, 0, 0), (30, 0, 60, 30))
    with pytest.raises(ValueError, match="fully transparent.* square in its middle"):
        user_images.read(saved(picture))


def test_palettes_and_printing_colours():
    assert blue(user_images.read(saved(wide().quantize(8), "GIF")))
    assert user_images.read(saved(wide("CMYK"), "JPEG")).shape == (32, 32, 3)


def test_the_camera_was_held_on_its_side():
    """EXIF orientation 6: turn by 90 degrees clockwise, so that the left side comes on top."""
    picture = Image.new("RGB", (32, 32), BLUE)
    picture.paste(RED, (0, 0, 16, 32))
    exif = Image.Exif()
    exif[0x0112] = 6
    image = user_images.read(saved(picture, exif=exif))
    assert (image[:16] == RED).all() and (image[16:] == BLUE).all()


@pytest.mark.parametrize("content", (b"", b"no picture", b"<svg></svg>", b"\x89PNG\r\n\x1a\n"))
def test_what_is_no_picture_is_an_error(content):
    with pytest.raises(ValueError, match="no picture that can be read: give a PNG, JPEG"):
        user_images.read(content)


@pytest.mark.parametrize("kind", ("PNG", "JPEG"))
def test_a_file_that_ends_too_soon(kind, tmp_path):
    pixels = np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)
    (tmp_path / "half").write_bytes(saved(Image.fromarray(pixels), kind)[:2000])
    with pytest.raises(ValueError, match="half cannot be read as a picture: .*truncated"):
        user_images.read(tmp_path / "half")


def png(width, height, depth=1, rows=b"", colour=0, transparent=None):
    """A PNG written by hand, without any pixels too: grey, or RGB for colour=2."""

    def chunk(kind, content):
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))

    header = struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0)
    key = chunk(b"tRNS", transparent) if transparent else b""
    pixels = chunk(b"IDAT", zlib.compress(rows))
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + key + pixels + chunk(b"IEND", b"")


@pytest.mark.parametrize(
    ("depth", "colour", "clear", "seen"),
    (
        (2, 0, b"\x55" * 4, b"\xaa" * 4),
        (4, 0, b"\x55" * 8, b"\xaa" * 8),
        (8, 0, b"\x55" * 16, b"\xaa" * 16),
        (16, 0, b"\x55\x66" * 16, b"\xaa\xaa" * 16),
        (8, 2, b"\x55\x66\x77" * 16, b"\xaa\xaa\xaa" * 16),
        (16, 2, b"\x55\x01\x66\x02\x77\x03" * 16, b"\xaa" * 96),
    ),
)
def test_a_colour_that_stands_for_transparent(depth, colour, clear, seen):
    """In a PNG of each depth; the left half is of that colour."""
    sample = {2: b"\0\1", 4: b"\0\5"}.get(depth, clear[: max(depth // 8, 1) * (3 if colour else 1)])
    if depth == 8:
        sample = b"".join(bytes([0, value]) for value in sample)  # written in 16 bits always
    image = user_images.read(png(32, 32, depth, (b"\0" + clear + seen) * 32, colour, sample))
    assert (image[:, :16] == 255).all() and (image[:, 16:] == 170).all()


@pytest.mark.parametrize("side", (7100, 13_000, 14_142, 60_000))  # 50, 169, 200 and 3,600 megapixels
def test_a_picture_that_would_fill_the_memory(side):
    with pytest.raises(ValueError, match="^the file has .*more than is read .120 megapixels of a JPEG, 50 of"):
        user_images.read(png(side, side))


def test_large_photos_of_phones(tmp_path, monkeypatch):
    photo = Image.new("RGB", (12_000, 9000), BLUE)  # 108 megapixels
    photo.save(tmp_path / "photo.jpg")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        image = user_images.read(tmp_path / "photo.jpg")
    assert (abs(image.astype(int) - BLUE) <= 2).all()
    with pytest.raises(ValueError, match="has 108 megapixels, more than"):
        user_images.read(png(12_000, 9000))
    monkeypatch.setattr(user_images, "MAX_MEGAPIXELS_JPEG", 100)
    with pytest.raises(ValueError, match="photo.jpg has 108 megapixels, more than"):
        user_images.read(tmp_path / "photo.jpg")


def test_a_photo_is_decoded_at_a_fraction_of_its_size(monkeypatch):
    decoded = []
    monkeypatch.setattr(
        Image.Image, "crop", lambda self, box, crop=Image.Image.crop: decoded.append(box) or crop(self, box)
    )
    pixels = np.random.default_rng(0).integers(0, 256, (300, 400, 3), dtype=np.uint8)
    photo = Image.fromarray(pixels).resize((2800, 2100), Image.Resampling.BICUBIC)
    scaled, whole = user_images.read(saved(photo, "JPEG", quality=95)), user_images.read(saved(photo, "PPM"))
    assert decoded == [(43, 0, 307, 263), (350, 0, 2450, 2100)]
    assert abs(scaled.astype(int) - whole).max() <= 6  # of noise


def test_a_file_that_is_too_large(tmp_path, monkeypatch):
    monkeypatch.setattr(user_images, "MAX_BYTES", 10_000)
    with (tmp_path / "endless.webp").open("wb") as file:
        os.truncate(file.fileno(), 10_001)
    for source in (tmp_path / "endless.webp", bytes(10_001)):
        with pytest.raises(ValueError, match="is larger than"):
            user_images.read(source)


def test_what_is_no_file(tmp_path):
    os.mkfifo(tmp_path / "pipe.png")
    with pytest.raises(ValueError, match="pipe.png is not a file but a pipe or device"):
        user_images.read(tmp_path / "pipe.png")
    with pytest.raises(ValueError, match="is not a file but a folder"):
        user_images.read(tmp_path)


@pytest.mark.parametrize("name", ("broken_decoder.jpg", "broken_type.tif"))
def test_a_decoder_that_fails_in_its_own_way(name):
    with pytest.raises(ValueError, match=f"{name} cannot be read as a picture: "):
        user_images.read(PICTURES / name)
    with pytest.raises(ValueError, match="^the file cannot be read as a picture: "):
        user_images.read((PICTURES / name).read_bytes())


@pytest.mark.parametrize("error", (MemoryError, RecursionError, KeyError("x"), OverflowError, struct.error("short")))
def test_any_error_of_a_decoder_is_one_sentence(monkeypatch, error):
    def fails(self):
        raise error

    monkeypatch.setattr("PIL.ImageFile.ImageFile.load", fails)
    with pytest.raises(ValueError, match="^mine.png cannot be read as a picture: .") as raised:
        user_images.read(saved(wide()), "mine.png")
    assert "\n" not in str(raised.value)


def test_a_name_is_never_printed_raw():
    with pytest.raises(ValueError, match=r"^\\x1b\[31mred\\n.png is no picture") as raised:
        user_images.read(b"", "\x1b[31mred\n.png")
    assert str(raised.value).isprintable()


@pytest.mark.parametrize("exif", (b"MM\0*" + b"\xff" * 40, b"", b"II*\0\x08\0\0\0\x01\0\x12\x01\x02\0\x04\0\0\0abc\0"))
def test_damaged_exif_data_leave_the_picture(exif):
    content = saved(wide(), "JPEG", exif=b"Exif\0\0" + exif)
    assert np.array_equal(user_images.read(content), user_images.read(saved(wide(), "JPEG")))


def test_a_path_where_there_is_nothing(tmp_path):
    with pytest.raises(FileNotFoundError, match="nothing.png"):
        user_images.read(tmp_path / "nothing.png")


RAMP = np.tile(np.linspace(0, 255, 32).round().astype(np.uint8), (32, 1))  # black on the left, white on the right
COLOUR = (200, 100, 50)

# How a picture in each of Pillow's modes comes about: the format whose files open in it, None where there is none.
MODES = {
    "1": "PNG",
    "L": "PNG",
    "LA": "PNG",
    "La": None,
    "P": "PNG",
    "PA": "TIFF",
    "RGB": "PNG",
    "RGBX": None,
    "RGBA": "PNG",
    "RGBa": None,
    "CMYK": "TIFF",
    "YCbCr": "TIFF",
    "LAB": "TIFF",
    "HSV": None,
    "I": "TIFF",
    "F": "TIFF",
    "I;16": "PNG",
    "I;16L": None,
    "I;16B": "TIFF",
    "I;16N": None,
}


def in_mode(mode):
    """A ramp of greys for the modes of grey levels, else one colour."""
    if mode in ("I", "F"):
        return Image.fromarray(RAMP.astype(np.int32) * 1000 if mode == "I" else RAMP.astype(np.float32) / 255)
    if mode.startswith("I;16"):
        order = ">u2" if mode == "I;16B" else "<u2"
        return Image.frombytes(mode, (32, 32), (RAMP.astype(np.uint16) * 257).astype(order).tobytes())
    if ImageMode.getmode(mode).basemode == "L" and mode != "P":
        ramp = Image.fromarray(RAMP)
        return ramp.convert("LA").convert("La") if mode == "La" else ramp.convert(mode)
    if mode == "RGBX":
        return Image.frombytes("RGBX", (32, 32), bytes([*COLOUR, 0]) * 1024)  # the fourth byte is anything
    picture = Image.new("RGB", (32, 32), COLOUR)
    if mode in ("P", "PA"):
        return picture.quantize(8).convert(mode)
    return picture.convert("RGBA" if mode == "RGBa" else "RGB").convert(mode)


def test_no_mode_of_pillow_is_forgotten():
    assert set(MODES) == set(Image.MODES)


@pytest.mark.parametrize("mode", MODES)
def test_every_mode_is_seen_as_it_is(mode):
    picture = in_mode(mode)
    assert picture.mode == mode
    if MODES[mode]:
        content = saved(picture, MODES[mode])
        assert Image.open(io.BytesIO(content)).mode == mode
        image = user_images.read(content)
    else:
        picture = user_images._grey(picture, picture, "it") if mode[0] == "I" else user_images._rgba(picture)
        assert picture.getextrema()[3] == (255, 255)
        image = np.asarray(picture.convert("RGB"))
    if mode == "1":  # dithered
        assert set(np.unique(image)) == {0, 255} and abs(image.mean() - RAMP.mean()) < 5
    elif mode in ("L", "LA", "La", "F") or mode.startswith("I"):
        assert abs(image.astype(int) - RAMP[..., None]).max() <= 1
    else:
        assert abs(image.astype(int) - COLOUR).max() <= 5


def tiff(values, **tags):
    """A TIFF of one strip of grey levels, whose tags may differ from what Pillow would write."""
    values = np.ascontiguousarray(values)
    entries = {256: 32, 257: 32, 258: 8 * values.itemsize, 259: 1, 262: 1, 273: 8, 277: 1, 278: 32, 279: values.nbytes}
    entries |= {339: {"u": 1, "i": 2, "f": 3}[values.dtype.kind]} | {int(key[1:]): value for key, value in tags.items()}
    directory = b"".join(struct.pack("<HHII", tag, 4, 1, value) for tag, value in sorted(entries.items()))
    end = struct.pack("<H", len(entries)) + directory + bytes(4)
    return b"II*\0" + struct.pack("<I", 8 + values.nbytes) + values.tobytes() + end


@pytest.mark.parametrize(
    ("content", "what"),
    (
        (tiff(RAMP.astype("<u2") * 257), "16 bits"),
        (tiff(RAMP[:, ::-1].astype("<u2") * 257, t262=0), "16 bits, white is zero"),
        (tiff(RAMP.astype("<i2") * 100 - 9000), "16 bits with a sign"),
        (tiff((RAMP.astype(int) - 128).astype("i1")), "8 bits with a sign"),
        (tiff(RAMP.astype("<u4") * 2**24), "32 bits, some above 2**31"),
        (tiff(RAMP.astype("<i4") * 2**23 - 2**30), "32 bits with a sign"),
        (tiff(RAMP.astype("<f4") / 255), "floats from 0 to 1"),
        (tiff(RAMP[:, ::-1].astype("<f4") / 255, t262=0), "floats, white is zero"),
        (tiff((RAMP.astype("<f4") - 128) * 2e36), "the largest floats"),
        (b"P5 32 32 65535\n" + (RAMP.astype(">u2") * 257).tobytes(), "PGM of 16 bits"),
        (b"P5 32 32 1023\n" + (RAMP * (1023 / 255)).astype(">u2").tobytes(), "PGM of 10 bits"),
        (b"Pf 32 32 -1.0\n" + (RAMP.astype("<f4") / 255).tobytes(), "PFM"),
        (saved(Image.fromarray(RAMP.astype(np.uint16) * 257), "JPEG2000"), "JPEG 2000 of 16 bits"),
    ),
    ids=lambda case: case if isinstance(case, str) else "",
)
def test_grey_levels_of_more_than_8_bits_or_with_a_sign(content, what):
    image = user_images.read(content)
    assert abs(image.astype(int) - RAMP[..., None]).max() <= 1


def test_twelve_bits():
    levels = (RAMP * (4095 / 255)).astype(np.uint16).reshape(-1, 2)  # two in three bytes
    first, second = levels[:, 0], levels[:, 1]
    packed = np.stack([first >> 4, (first & 15) << 4 | second >> 8, second & 255], 1).astype(np.uint8)
    content = tiff(packed, t258=12, t279=packed.nbytes)
    assert Image.open(io.BytesIO(content)).mode == "I;16"
    assert abs(user_images.read(content).astype(int) - RAMP[..., None]).max() <= 1


@pytest.mark.parametrize("name", ("grey32i.tif", "greyfloat01.tif"))
def test_files_that_were_seen_white_and_black(name):
    image = user_images.read(PICTURES / name)
    assert 120 < image.mean() < 130 and image.min() < 20 and image.max() > 228


def test_a_range_that_is_defined_is_not_stretched():
    """A dark picture stays dark: 16 bits, and floats from 0 to 1."""
    for values in (RAMP.astype("<u2"), RAMP.astype("<f4") / 2550):
        assert user_images.read(tiff(values)).max() <= 26


@pytest.mark.parametrize("value", (np.nan, np.inf, -np.inf))
def test_grey_levels_that_are_no_numbers(value):
    levels = RAMP.astype("<f4") / 255
    levels[3, 4] = value
    with pytest.raises(ValueError, match="mine.tif holds grey levels that are NaN or infinite"):
        user_images.read(tiff(levels), "mine.tif")


def test_one_grey_level_without_a_range():
    with pytest.raises(ValueError, match="holds one grey level only, 7000, and does not define which are black"):
        user_images.read(tiff(np.full((32, 32), 7000, "<i4")))
    assert (user_images.read(tiff(np.full((32, 32), 0.5, "<f4"))) == 127).all()


@pytest.mark.parametrize("kind", ("TIFF", "PNG", "WEBP", "AVIF"))
def test_pictures_on_their_side_in_other_formats(kind):
    picture = Image.new("RGB", (32, 32), BLUE)
    picture.paste(RED, (0, 0, 16, 32))
    exif = Image.Exif()
    exif[0x0112] = 6
    options = {"lossless": True} if kind == "WEBP" else {"quality": 100} if kind == "AVIF" else {}
    image = user_images.read(saved(picture, kind, exif=exif, **options)).astype(int)
    assert (abs(image[:14] - RED) <= 20).all() and (abs(image[18:] - BLUE) <= 20).all()


@pytest.mark.parametrize("kind", ("AVIF", "JPEG2000", "PPM", "TIFF", "BMP", "WEBP"))
def test_formats(kind):
    assert (abs(user_images.read(saved(wide(), kind))[:, 5:-5].astype(int) - BLUE) <= 20).all()


@pytest.mark.parametrize("kind", ("EPS", "PDF", "ICO"))
def test_formats_that_are_not_taken(kind):
    with pytest.raises(ValueError, match="no picture that can be read"):
        user_images.read(saved(wide(), kind))
