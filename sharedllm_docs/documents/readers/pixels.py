"""Pictures as text recognition takes them: opened within limits, upright, on white, no larger than it needs."""

from __future__ import annotations

import io
from typing import Any

MAX_PIXELS = 100_000_000
LONG_SIDE = 2600  # pixels; larger pictures are made smaller
_UNDRAWN = {"WMF": "WMF and EMF drawings cannot be drawn here", "EPS": "EPS drawings cannot be drawn here"}


class PictureTooLargeError(ValueError):
    """A picture of more pixels than are looked at."""


def opened_picture(data: bytes) -> Any:
    """A picture whose size is known and whose pixels are not read yet.

    Raises:
        ImportError: Pillow is not installed.
        PictureTooLargeError: by far too many pixels.
        Exception: not a picture, or one of a kind that is not drawn; every decoder has errors of its own.
    """
    from PIL import Image

    try:
        image = Image.open(io.BytesIO(data))
    except Image.DecompressionBombError as error:
        raise PictureTooLargeError(str(error)) from error
    if image.format in _UNDRAWN:
        raise ValueError(_UNDRAWN[image.format])
    return image


def upright_picture(image: Any) -> Any:
    """The current frame in colours on white, as its camera meant it, with a long side of ``LONG_SIDE`` at most.

    Raises:
        PictureTooLargeError: more than ``MAX_PIXELS``.
        Exception: it is damaged.
    """
    from PIL import Image, ImageOps

    width, height = image.size
    if width * height > MAX_PIXELS:
        raise PictureTooLargeError(f"it has {width * height:,} pixels, the limit is {MAX_PIXELS:,}")
    frame = ImageOps.exif_transpose(image)
    if frame.mode in ("RGBA", "LA", "P"):
        frame = frame.convert("RGBA")
        frame = Image.alpha_composite(Image.new("RGBA", frame.size, "white"), frame)
    frame = frame.convert("RGB")
    frame.thumbnail((LONG_SIDE, LONG_SIDE))
    return frame
