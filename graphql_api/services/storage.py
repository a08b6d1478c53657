"""Files of the program: a local folder or an S3-compatible bucket, through `obstore`."""

import hashlib
from collections.abc import AsyncIterable
from dataclasses import dataclass
from io import BufferedReader, RawIOBase
from pathlib import Path
from typing import Any, cast
from urllib.parse import urlsplit
from urllib.request import url2pathname

import obstore
from obstore.store import LocalStore, ObjectStore, from_url

from graphql_api.services.errors import TooLarge

READ_BYTES = 1 << 20


@dataclass(frozen=True)
class StoredFile:
    """A file as it lies in the storage: size in bytes and the hex SHA-256 of its content."""

    key: str
    size: int
    sha256: str


class _Stream(RawIOBase):
    """obstore's reader behind Python's own file protocol, which pandas and gzip expect."""

    def __init__(self, reader: Any) -> None:
        self._reader = reader

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        chunk = bytes(self._reader.read(len(buffer)))
        buffer[: len(chunk)] = chunk
        return len(chunk)


def _check_size(size: int, limit: int) -> None:
    if size > limit:
        raise TooLarge("The file is larger than {limit} bytes; split it, or raise UPLOAD_LIMIT_BYTES.", limit=limit)


class FileStorage:
    """Where uploads and pictures are kept.

    Args:
        url: a local folder (also as `file://`), made when it is not there, or `s3://bucket/prefix` with the usual
            AWS variables in the environment.
    """

    def __init__(self, url: str) -> None:
        place = urlsplit(url)
        is_remote = place.scheme not in {"", "file"}
        folder = Path(url2pathname(place.path) if place.scheme else url)
        self._store: ObjectStore = from_url(url) if is_remote else LocalStore(folder.resolve(), mkdir=True)

    async def write(self, key: str, chunks: AsyncIterable[bytes], *, limit: int) -> StoredFile:
        """Store a stream under `key`; nothing is left behind when it breaks off or exceeds `limit` bytes."""
        digest = hashlib.sha256()
        size = 0
        writer = obstore.open_writer_async(self._store, key)
        try:
            async for chunk in chunks:
                size += len(chunk)
                _check_size(size, limit)
                digest.update(chunk)
                await writer.write(chunk)
            await writer.close()
        except BaseException:
            await self._discard(writer, key)
            raise
        return StoredFile(key, size, digest.hexdigest())

    async def _discard(self, writer: Any, key: str) -> None:
        if not await writer.closed():
            await writer.close()
        await self.delete(key)

    async def put(self, key: str, content: bytes) -> None:
        """Store a small file whole: nobody ever sees a part of it."""
        await obstore.put_async(self._store, key, content)

    async def read(self, key: str) -> bytes:
        """The content of a small file.

        Raises:
            FileNotFoundError: there is none.
        """
        found = await obstore.get_async(self._store, key)
        return bytes(await found.bytes_async())

    async def delete(self, key: str) -> None:
        """Remove a file; one that is not there is no error."""
        try:
            await obstore.delete_async(self._store, key)
        except FileNotFoundError:
            return

    def open(self, key: str) -> BufferedReader:
        """A blocking, buffered reader; use it in a thread."""
        reader = obstore.open_reader(self._store, key, buffer_size=READ_BYTES)
        return BufferedReader(cast("RawIOBase", _Stream(reader)), READ_BYTES)
