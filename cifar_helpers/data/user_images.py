"""A picture of one's own as the networks take it: 32x32 pixels."""

import io
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

SIDE = 32


def read(source: bytes | Path) -> np.ndarray:
    """A picture, as the bytes of its file or as a path, to (32, 32, 3) uint8, RGB, 0..255.

    Turned as its EXIF data ask, cut to the square in its middle and scaled to 32x32 pixels; what is transparent becomes
    white, and of several frames the first is taken. ValueError for what is no picture, FileNotFoundError for a path
    where there is none.
    """
    name = "the file" if isinstance(source, bytes) else str(source)
    try:
        with Image.open(io.BytesIO(source) if isinstance(source, bytes) else source) as file:
            picture = ImageOps.exif_transpose(file)
            if picture.mode.startswith("I;16"):  # 65,536 greys, which pillow would cut off at 255
                picture = Image.fromarray((np.asarray(picture) // 257).astype(np.uint8))
            picture = picture.convert("RGBA")
            white = Image.new("RGBA", picture.size, "white")
            picture = Image.alpha_composite(white, picture).convert("RGB")
            return np.asarray(ImageOps.fit(picture, (SIDE, SIDE), Image.Resampling.LANCZOS))
    except FileNotFoundError:
        raise
    except UnidentifiedImageError:
        raise ValueError(f"{name} is no picture that can be read: give a PNG, JPEG, WebP, GIF, BMP or TIFF") from None
    except (OSError, SyntaxError, Image.DecompressionBombError) as error:  # cut off in the middle, or far too large
        raise ValueError(f"{name} cannot be read as a picture: {error}") from error
