"""Pictures as people send them, for tests."""

import random
from io import BytesIO
from typing import Any

from PIL import Image


def drawn(width: int = 300, height: int = 200, mode: str = "RGB") -> Image.Image:
    """A picture whose upper left quarter is white and whose rest is black."""
    image = Image.new(mode, (width, height))
    image.paste(Image.new(mode, (width // 2, height // 2), "white"))
    return image


def encoded(image: Image.Image, kind: str, **options: Any) -> bytes:
    """The picture as a file of a kind, such as PNG."""
    file = BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


def png(width: int = 300, height: int = 200) -> bytes:
    """A PNG of this size, always the same."""
    return encoded(drawn(width, height), "PNG")


def noise(width: int, height: int, seed: int = 1) -> Image.Image:
    """A picture that cannot be made small, other for each seed."""
    return Image.frombytes("RGB", (width, height), random.Random(seed).randbytes(width * height * 3))  # noqa: S311 - no secret
