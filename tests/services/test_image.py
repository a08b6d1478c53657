"""Pictures as people, and those who mean harm, send them."""

import struct
import zlib
from io import BytesIO

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from graphql_api.services.errors import BadInput, TooLarge
from graphql_api.services.image import FULL, LARGEST, MAX_BYTES, PictureName, make_picture, read_picture
from tests.pictures import drawn, encoded, noise, png

Colour = tuple[int, ...]
SIDEWAYS = 6  # the EXIF orientation of a picture that is to be turned by 90 degrees, clockwise
ORIENTATION = 0x0112


def shown(content: bytes) -> Image.Image:
    """What a browser makes of a file."""
    image = Image.open(BytesIO(content))
    image.load()
    return image


def whole(content: bytes) -> Image.Image:
    return shown(make_picture(content).files[FULL])


def at(image: Image.Image, x: int, y: int) -> Colour:
    found = image.convert("RGBA").getpixel((x, y))
    assert isinstance(found, tuple)
    return found


def chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png_of(width: int, height: int, *chunks: bytes, data: bytes = b"") -> bytes:
    """A PNG that says to have this size, whatever it holds."""
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + header + b"".join(chunks) + chunk(b"IDAT", data) + chunk(b"IEND", b"")


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP"])
def test_each_kind_becomes_webp_in_all_sizes(kind: str) -> None:
    picture = make_picture(encoded(drawn(1600, 1200), kind))

    sizes = {variant: shown(content).size for variant, content in picture.files.items()}
    assert sizes == {"64": (64, 48), "256": (256, 192), "1024": (1024, 768), FULL: (1600, 1200)}
    assert {shown(content).format for content in picture.files.values()} == {"WEBP"}
    assert (picture.name.width, picture.name.height) == (1600, 1200)
    assert set(picture.files) == set(picture.name.variants)


def test_a_small_picture_is_not_blown_up_and_a_large_one_is_scaled_down() -> None:
    small, large = make_picture(png(50, 20)), make_picture(png(5000, 3000))

    assert {variant: shown(content).size for variant, content in small.files.items()} == {FULL: (50, 20)}
    assert shown(large.files[FULL]).size == (LARGEST, 1229)


def test_a_line_of_pixels_is_a_picture() -> None:
    picture = make_picture(png(1, 9000))

    assert {variant: shown(content).size for variant, content in picture.files.items()} == {
        "64": (1, 64),
        "256": (1, 256),
        "1024": (1, 1024),
        FULL: (1, 2048),
    }


def test_the_same_picture_has_the_same_name_and_another_one_another() -> None:
    assert make_picture(png()).name == make_picture(png()).name
    assert make_picture(png()).name != make_picture(encoded(noise(300, 200), "PNG")).name


def test_a_picture_that_was_taken_sideways_stands_upright() -> None:
    exif = Image.Exif()
    exif[ORIENTATION] = SIDEWAYS

    upright = whole(encoded(drawn(300, 200), "JPEG", exif=exif))

    # the white quarter was at the upper left; turned clockwise it is at the upper right
    assert upright.size == (200, 300)
    assert min(at(upright, 190, 10)[:3]) > 200
    assert max(at(upright, 10, 10)[:3]) < 50


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP"])
def test_nothing_of_the_metadata_is_kept(kind: str) -> None:
    exif = Image.Exif()
    exif[0x010E] = "taken at 41.5868, -93.6250"
    marks: dict[str, object] = {"exif": exif, "icc_profile": b"profile of a camera", "xmp": b"<x:xmpmeta/>"}
    content = encoded(drawn(), kind, **marks)
    assert b"41.5868" in content

    for file in make_picture(content).files.values():
        assert b"41.5868" not in file
        assert b"camera" not in file
        assert not {"exif", "icc_profile", "xmp"} & shown(file).info.keys()


@pytest.mark.parametrize("tail", [b"<script>alert(1)</script>", b"PK\x05\x06" + bytes(18), b"%PDF-1.7"])
def test_of_a_file_with_two_meanings_only_the_picture_is_kept(tail: bytes) -> None:
    comment = chunk(b"tEXt", b"Comment\x00" + tail)
    content = png(64, 64)
    polyglot = content[:33] + comment + content[33:] + tail
    assert shown(polyglot).size == (64, 64)

    for file in make_picture(polyglot).files.values():
        assert tail not in file
        assert file.startswith(b"RIFF")


def test_transparency_stays() -> None:
    image = Image.new("RGBA", (40, 40), (255, 0, 0, 0))
    image.paste((0, 0, 255, 255), (0, 0, 20, 20))

    corner, rest = at(whole(encoded(image, "PNG")), 5, 5), at(whole(encoded(image, "PNG")), 35, 35)

    assert (corner[3], rest[3]) == (255, 0)


def test_a_palette_with_a_transparent_colour_stays_transparent() -> None:
    image = Image.new("P", (40, 40), 1)
    image.putpalette([255, 0, 0, 0, 255, 0])
    image.paste(0, (0, 0, 20, 20))

    found = whole(encoded(image, "PNG", transparency=0))

    assert (at(found, 5, 5)[3], at(found, 35, 35)[3]) == (0, 255)


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "CMYK", "I;16"])
def test_every_mode_can_be_shown(mode: str) -> None:
    image = Image.new("I;16", (40, 40), 32_768) if mode == "I;16" else Image.new("L", (40, 40), 128).convert(mode)

    found = whole(encoded(image, "JPEG" if mode == "CMYK" else "PNG"))

    assert found.size == (40, 40)
    if mode in {"L", "LA", "CMYK", "I;16"}:
        assert all(abs(level - 128) < 12 for level in at(found, 20, 20)[:3])


def test_of_moving_pictures_the_first_is_taken() -> None:
    frames = [Image.new("RGB", (40, 40), colour) for colour in ("red", "blue")]
    content = encoded(frames[0], "WEBP", save_all=True, append_images=frames[1:])

    assert not getattr(whole(content), "is_animated", False)
    assert at(whole(content), 20, 20)[0] > 200


HOSTILE = {
    "nothing": b"",
    "a text": b"not a picture at all",
    "SVG": b'<svg xmlns="http://www.w3.org/2000/svg"><script>alert(1)</script></svg>',
    "HTML": b"<html><img src=x onerror=alert(1)>",
    "GIF": encoded(drawn(), "GIF"),
    "BMP": encoded(drawn(), "BMP"),
    "TIFF": encoded(drawn(), "TIFF"),
    "PDF": encoded(drawn(), "PDF"),
    "PostScript": b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 10 10\nshowpage\n",
    "a truncated PNG": png()[:-40],
    "a truncated JPEG": encoded(noise(300, 200), "JPEG")[:2000],
    "a truncated WebP": encoded(noise(300, 200), "WEBP")[:2000],
    "the head of a PNG": png()[:20],
    "a PNG without pixels": png_of(10, 10),
    "a PNG of no size": png_of(0, 10),
    "a PNG with a wrong sum": png()[:30] + b"\xff" + png()[31:],
    "a PNG whose data are none": png_of(10, 10, data=b"garbage"),
    "a text that unpacks to a gigabyte": png_of(
        10, 10, chunk(b"zTXt", b"x\x00\x00" + zlib.compress(bytes(1 << 27), 9)), data=zlib.compress(bytes(110))
    ),
    "a profile that unpacks to a gigabyte": png_of(
        10, 10, chunk(b"iCCP", b"x\x00\x00" + zlib.compress(bytes(1 << 27), 9)), data=zlib.compress(bytes(110))
    ),
}
UNPACKING = {name for name in HOSTILE if "unpacks" in name}


@pytest.mark.parametrize("name", sorted(HOSTILE.keys() - UNPACKING))
def test_what_is_no_picture_is_refused(name: str) -> None:
    with pytest.raises(BadInput, match="PNG, JPEG or WebP"):
        make_picture(HOSTILE[name])


@pytest.mark.parametrize("name", sorted(UNPACKING))
def test_what_unpacks_to_a_lot_is_refused_or_not_unpacked(name: str) -> None:
    try:
        picture = make_picture(HOSTILE[name])
    except BadInput:
        return
    assert sum(map(len, picture.files.values())) < 10_000


@pytest.mark.parametrize(("width", "height"), [(5001, 5000), (10_000, 10_000), (60_000, 60_000), (2**31 - 1, 1)])
def test_a_picture_with_too_many_pixels_is_refused_before_it_is_decoded(width: int, height: int) -> None:
    bomb = png_of(width, height, data=zlib.compress(bytes(1000)))

    with pytest.raises(BadInput, match="at most 25 megapixels"):
        make_picture(bomb)


async def test_a_file_with_too_many_bytes_is_refused() -> None:
    with pytest.raises(TooLarge, match="at most 5 MB"):
        await read_picture(png() + bytes(MAX_BYTES))


@given(st.data())
def test_a_damaged_picture_is_read_or_refused_and_nothing_else(data: st.DataObject) -> None:
    content = bytearray(data.draw(st.sampled_from([encoded(drawn(30, 20), kind) for kind in ("PNG", "JPEG", "WEBP")])))
    for position in data.draw(st.lists(st.integers(0, len(content) - 1), min_size=1, max_size=20)):
        content[position] = data.draw(st.integers(0, 255))

    try:
        picture = make_picture(bytes(content))
    except BadInput:
        return
    assert shown(picture.files[FULL]).size == (picture.name.width, picture.name.height)


@pytest.mark.parametrize(
    ("size", "variant"),
    [(None, FULL), (1, "64"), (64, "64"), (65, "256"), (1024, "1024"), (1025, FULL), (10**9, FULL)],
)
def test_the_smallest_copy_that_is_large_enough_is_taken(size: int | None, variant: str) -> None:
    assert PictureName("0" * 32, 2048, 1000).variant(size) == variant
    assert PictureName("0" * 32, 60, 60).variant(size) == FULL


@pytest.mark.parametrize(
    "text",
    [
        "",
        "x",
        "../../etc/passwd",
        "0" * 32,
        f"{'0' * 32}-0x1",
        f"{'0' * 32}-1x99999",
        f"{'A' * 32}-1x1",
        f"{'0' * 31}²-1x1",
    ],
)
def test_only_names_are_names(text: str) -> None:
    assert PictureName.parse(text) is None


def test_a_name_is_found_in_its_text() -> None:
    name = make_picture(png()).name
    assert PictureName.parse(str(name)) == name
