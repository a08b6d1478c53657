"""Pictures that people send: decoded, turned upright, scaled and written anew. Nothing of the file itself is kept.

What is served is made of pixels alone: no metadata, no second meaning of the file, no decoder of ours in a browser.
"""

import asyncio
import hashlib
import re
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from io import BytesIO

from PIL import Image, ImageOps

from graphql_api.services.errors import BadInput, ServiceError, TooLarge

MAX_BYTES = 5 << 20
MAX_MEGABYTES = 5
MAX_PIXELS = 25_000_000
MAX_MEGAPIXELS = 25
FORMATS = ("PNG", "JPEG", "WEBP")
CONTENT_TYPE = "image/webp"
# Longest sides in pixels. A picture that is smaller anyway has no copy of that size.
SIZES = (64, 256, 1024)
LARGEST = 2048
FULL = "full"
QUALITY = 85
# Scaled down roughly first, to twice the size that is wanted, which nobody sees.
REDUCING_GAP = 2.0
# Where pictures are served, and what tickets for them are good for.
ADDRESS = "/images"
NAME = re.compile(r"([0-9a-f]{32})-([1-9]\d{0,3})x([1-9]\d{0,3})", re.ASCII)
# Decoding takes up to 400 MB and two seconds, so one picture at a time is in it.
_thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="picture")


@dataclass(frozen=True)
class PictureName:
    """What a stored picture is called: by the hash of its content and its size in pixels."""

    digest: str
    width: int
    height: int

    def __str__(self) -> str:
        return f"{self.digest}-{self.width}x{self.height}"

    @classmethod
    def parse(cls, text: str) -> "PictureName | None":
        """The name that `str` made; None when it is none."""
        match = NAME.fullmatch(text)
        return None if match is None else cls(match[1], int(match[2]), int(match[3]))

    @property
    def variants(self) -> tuple[str, ...]:
        """The copies there are: those that are smaller than the picture, and the whole."""
        return (*(str(size) for size in SIZES if size < max(self.width, self.height)), FULL)

    def variant(self, size: int | None) -> str:
        """The smallest copy whose longest side has `size` pixels; the whole picture when none has, or for None."""
        fitting = [variant for variant in self.variants[:-1] if size is not None and int(variant) >= size]
        return fitting[0] if fitting else FULL

    def key(self, variant: str) -> str:
        """Where the storage has a copy, which is also its address."""
        return f"images/{self}/{variant}.webp"


@dataclass(frozen=True)
class Picture:
    """A picture in all its copies, ready to be stored."""

    name: PictureName
    files: Mapping[str, bytes] = field(repr=False)


async def read_picture(content: bytes) -> Picture:
    """The picture in a file of at most 5 MB, whatever the file is called.

    Raises:
        BadInput: it is no PNG, JPEG or WebP, is damaged, or has more than 25 megapixels.
        TooLarge: it has too many bytes.
    """
    if len(content) > MAX_BYTES:
        raise TooLarge("A picture has at most {limit} MB. Scale it down.", limit=MAX_MEGABYTES)
    return await asyncio.get_running_loop().run_in_executor(_thread, make_picture, content)


def make_picture(content: bytes) -> Picture:
    """`read_picture`, in the present thread."""
    try:
        upright = _decoded(content)
    except ServiceError:
        raise
    except (Image.DecompressionBombError, Image.DecompressionBombWarning):
        raise _too_many_pixels() from None
    except Exception:  # noqa: BLE001 - a decoder may trip over a damaged file in any way
        raise BadInput("This picture is damaged, or is no PNG, JPEG or WebP. Save it anew as one of these.") from None
    whole = _encoded(upright)
    digest = hashlib.sha256(whole).hexdigest()[:32]
    name = PictureName(digest, *upright.size)
    copies = {variant: _encoded(_scaled(upright, int(variant))) for variant in name.variants[:-1]}
    return Picture(name, {**copies, FULL: whole})


def _decoded(content: bytes) -> Image.Image:
    with Image.open(BytesIO(content), formats=FORMATS) as image:
        if image.width * image.height > MAX_PIXELS:
            raise _too_many_pixels()
        # a JPEG is decoded at a fraction of its size where that is enough
        image.draft("RGB", (LARGEST, LARGEST))
        image.load()
        ImageOps.exif_transpose(image, in_place=True)
        plain = _plain(image)
        # in place: a copy of the largest would have another 100 MB
        plain.thumbnail((LARGEST, LARGEST), Image.Resampling.LANCZOS, reducing_gap=REDUCING_GAP)
        return plain


def _too_many_pixels() -> BadInput:
    return BadInput("A picture has at most {limit} megapixels. Scale it down.", limit=MAX_MEGAPIXELS)


def _plain(image: Image.Image) -> Image.Image:
    """The pixels as red, green and blue, with transparency where there is some."""
    if image.mode.startswith("I"):
        # sixteen bits of grey, of which eight are kept
        return image.convert("I").point(lambda level: level * (1 / 256)).convert("L").convert("RGB")
    mode = "RGBA" if image.has_transparency_data else "RGB"
    return image if image.mode == mode else image.convert(mode)


def _scaled(image: Image.Image, longest: int) -> Image.Image:
    """A copy whose longest side has at most so many pixels."""
    copy = image.copy()
    copy.thumbnail((longest, longest), Image.Resampling.LANCZOS)
    return copy


def _encoded(image: Image.Image) -> bytes:
    file = BytesIO()
    # said outright, because what a picture brings along is written by default
    image.save(file, "WEBP", quality=QUALITY, method=4, exif=b"", xmp=b"", icc_profile=b"")
    return file.getvalue()
