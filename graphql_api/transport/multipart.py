"""The parts of a multipart/form-data body: two texts, then files that are spooled to disk while they arrive."""

import asyncio
from collections.abc import AsyncIterable, Callable
from pathlib import Path
from tempfile import SpooledTemporaryFile
from typing import IO

from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header

from graphql_api.schema.upload import UploadedFile
from graphql_api.transport.limits import JSON_LIMIT_BYTES
from graphql_api.transport.problems import RequestRefused

TEXTS = ("operations", "map")
MAX_FILES = 20
MEMORY_BYTES = 1 << 20


class MultipartForm:
    """What has arrived of one body. Nothing of a file has a name on the disk, so nothing is left by a crash.

    Args:
        content_type: the request's header, which holds the boundary.
        folder: where files larger than 1 MiB are spooled; None is the system's folder for temporary files.
        on_texts: called once both texts are here, before the first file; it may refuse the request.

    Raises:
        RequestRefused: the header names no usable boundary.
    """

    def __init__(self, content_type: str, folder: Path | None, on_texts: Callable[[], None]) -> None:
        self.texts: dict[str, bytearray] = {}
        self.files: dict[str, UploadedFile] = {}
        self.is_complete = False
        self._folder = None if folder is None else str(folder)
        self._on_texts = on_texts
        self._header_name = b""
        self._header_value = b""
        self._disposition = b""
        self._part: bytearray | IO[bytes] = bytearray()
        self._unwritten: list[tuple[IO[bytes], bytes]] = []
        self._unwritten_size = 0
        self._parser = self._create_parser(content_type)

    def _create_parser(self, content_type: str) -> MultipartParser:
        boundary = parse_options_header(content_type)[1].get(b"boundary")
        if not boundary:
            raise RequestRefused("The Content-Type multipart/form-data needs a `boundary`.")
        try:
            return MultipartParser(
                boundary,
                {
                    "on_header_field": self._on_header_name,
                    "on_header_value": self._on_header_value,
                    "on_header_end": self._on_header_end,
                    "on_headers_finished": self._on_part_begin,
                    "on_part_data": self._on_part_data,
                    "on_part_end": self._on_part_end,
                    "on_end": self._on_end,
                },
            )
        except FormParserError:
            raise RequestRefused("The `boundary` of the Content-Type is too long.") from None

    async def read(self, chunks: AsyncIterable[bytes]) -> None:
        """Take in the whole body; memory holds at most some MiB of it.

        Raises:
            RequestRefused: it breaks the rules of multipart/form-data or of the order of parts.
        """
        async for chunk in chunks:
            try:
                self._parser.write(chunk)
            except FormParserError:
                raise RequestRefused("The body is not valid multipart/form-data.") from None
            if self._unwritten_size >= MEMORY_BYTES:
                await self._write_files()
        await self._write_files()
        if not self.is_complete:
            raise RequestRefused("The body ends before its last boundary; some of it is missing.")

    def close(self) -> None:
        """Give back the space of the files."""
        for file in self.files.values():
            file.content.close()

    async def _write_files(self) -> None:
        unwritten, self._unwritten, self._unwritten_size = self._unwritten, [], 0
        if unwritten:
            await asyncio.to_thread(_write_all, unwritten)

    def _on_header_name(self, data: bytes, start: int, end: int) -> None:
        self._header_name += data[start:end]

    def _on_header_value(self, data: bytes, start: int, end: int) -> None:
        self._header_value += data[start:end]

    def _on_header_end(self) -> None:
        if self._header_name.lower() == b"content-disposition":
            self._disposition = self._header_value
        self._header_name = self._header_value = b""

    def _on_part_begin(self) -> None:
        _, options = parse_options_header(self._disposition)
        self._disposition = b""
        name = options.get(b"name", b"").decode(errors="replace")
        if len(self.texts) < len(TEXTS):
            self._part = self._begin_text(name)
        else:
            self._part = self._begin_file(name, options.get(b"filename", b"").decode(errors="replace"))

    def _begin_text(self, name: str) -> bytearray:
        expected = TEXTS[len(self.texts)]
        if name != expected:
            raise RequestRefused(
                "The part `{expected}` is missing where `{name}` was sent. "
                "Send `operations`, then `map`, then the files.",
                expected=expected,
                name=name,
            )
        return self.texts.setdefault(name, bytearray())

    def _begin_file(self, name: str, filename: str) -> IO[bytes]:
        if name in self.files:
            raise RequestRefused("Two files are named `{name}`.", name=name)
        if len(self.files) >= MAX_FILES:
            raise RequestRefused("A request brings at most {limit} files.", limit=MAX_FILES)
        # closed by `close`, after the request
        content = SpooledTemporaryFile(MEMORY_BYTES, dir=self._folder)  # noqa: SIM115 - as above
        self.files[name] = UploadedFile(filename, content)
        return content

    def _on_part_data(self, data: bytes, start: int, end: int) -> None:
        if not isinstance(self._part, bytearray):
            self._unwritten.append((self._part, data[start:end]))
            self._unwritten_size += end - start
            return
        if len(self._part) + end - start > JSON_LIMIT_BYTES:
            raise RequestRefused(
                "`operations` and `map` may have at most {limit:,} bytes each.", limit=JSON_LIMIT_BYTES
            )
        self._part += data[start:end]

    def _on_part_end(self) -> None:
        if len(self.texts) == len(TEXTS) and not self.files:
            self._on_texts()

    def _on_end(self) -> None:
        self.is_complete = True


def _write_all(pieces: list[tuple[IO[bytes], bytes]]) -> None:
    for file, data in pieces:
        file.write(data)
