import io

import numpy as np
import pytest
from PIL import Image

from cifar_helpers.data import user_images

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
    assert (user_images.read(saved(picture)) == 255).all()
    assert blue(user_images.read(saved(wide("RGBA"))))


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
def test_what_is_no_picture_is_told(content):
    with pytest.raises(ValueError, match="no picture that can be read: give a PNG, JPEG"):
        user_images.read(content)


@pytest.mark.parametrize("kind", ("PNG", "JPEG"))
def test_a_file_that_ends_too_soon(kind, tmp_path):
    pixels = np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)
    (tmp_path / "half").write_bytes(saved(Image.fromarray(pixels), kind)[:2000])
    with pytest.raises(ValueError, match="half cannot be read as a picture: .*truncated"):
        user_images.read(tmp_path / "half")


def test_a_picture_that_would_fill_the_memory(monkeypatch):
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 1000)
    with pytest.raises(ValueError, match="cannot be read as a picture: Image size .*exceeds"):
        user_images.read(saved(wide()))


def test_a_path_where_there_is_nothing(tmp_path):
    with pytest.raises(FileNotFoundError, match="nothing.png"):
        user_images.read(tmp_path / "nothing.png")
