import hashlib
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from graphql_api.services.errors import TooLarge
from graphql_api.services.storage import FileStorage


async def stream(*chunks: bytes, then: Exception | None = None) -> AsyncIterator[bytes]:
    for chunk in chunks:
        yield chunk
    if then is not None:
        raise then


async def test_what_is_written_is_read_back_with_its_digest(tmp_path: Path) -> None:
    storage = FileStorage(str(tmp_path / "files"))
    stored = await storage.write("imports/a", stream(b"one", b"two" * 1_000_000), limit=10_000_000)
    content = b"one" + b"two" * 1_000_000
    assert (stored.size, stored.sha256) == (len(content), hashlib.sha256(content).hexdigest())
    with storage.open("imports/a") as reader:
        assert reader.read() == content


def left_in(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file()]


@pytest.mark.parametrize("size", [1, 20_000_000])
async def test_a_broken_upload_leaves_nothing(tmp_path: Path, size: int) -> None:
    storage = FileStorage(str(tmp_path))
    with pytest.raises(ConnectionError):
        await storage.write("imports/a", stream(b"x" * size, then=ConnectionError()), limit=1 << 30)
    assert left_in(tmp_path) == []


async def test_a_file_over_the_limit_is_refused_and_leaves_nothing(tmp_path: Path) -> None:
    storage = FileStorage(str(tmp_path))
    with pytest.raises(TooLarge, match="UPLOAD_LIMIT_BYTES"):
        await storage.write("imports/a", stream(b"12345", b"67890"), limit=9)
    assert left_in(tmp_path) == []


async def test_deleting_twice_is_no_error(tmp_path: Path) -> None:
    storage = FileStorage(str(tmp_path))
    await storage.write("imports/a", stream(b"x"), limit=1)
    await storage.delete("imports/a")
    await storage.delete("imports/a")
