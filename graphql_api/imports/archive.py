"""The unpacked bytes of a file that is plain, gzip or xz, with a limit that holds against archive bombs."""

import lzma
import zlib
from collections.abc import Callable, Iterator
from typing import BinaryIO, Protocol

from graphql_api.imports.rejects import FileProblem, FileProblemCode

PIECE_BYTES = 1 << 20
XZ_MEMORY_LIMIT = 128 << 20  # xz -9 needs 65 MiB to unpack; a header can ask for 4 GiB
GZIP_FORMAT = zlib.MAX_WBITS | 16
GZIP_MAGIC = b"\x1f\x8b"
XZ_MAGIC = b"\xfd7zXZ\x00"


class Unpacker(Protocol):
    """What the unpackers of gzip and xz have in common."""

    @property
    def eof(self) -> bool:
        """Whether the end mark was read and the checksum is right."""
        ...

    @property
    def unused_data(self) -> bytes:
        """Packed bytes behind the end mark."""
        ...

    def decompress(self, data: bytes, max_length: int) -> bytes:
        """At most `max_length` unpacked bytes."""
        ...


class UnpackedFile:
    """Reads a binary file, unpacking gzip and xz by their first bytes. The file need not be seekable."""

    def __init__(self, file: BinaryIO, limit: int) -> None:
        self.bytes_read = 0
        self._file = file
        self._limit = limit
        self._unpacked = 0
        self._waiting: list[bytes] = []
        self._pieces = self._limited(self._open())

    def read(self, size: int) -> bytes:
        """The next `size` bytes; fewer only at the end.

        Raises:
            FileProblem: TOO_LARGE as soon as the limit is passed, BROKEN_ARCHIVE for a damaged archive.
        """
        parts, missing = [], size
        while missing > 0:
            piece = self._waiting.pop() if self._waiting else next(self._pieces, b"")
            if not piece:
                break
            if len(piece) > missing:
                self._waiting.append(piece[missing:])
                piece = piece[:missing]
            parts.append(piece)
            missing -= len(piece)
        return b"".join(parts)

    def push_back(self, data: bytes) -> None:
        """Let the next read begin with `data`."""
        if data:
            self._waiting.append(data)

    def _read_packed(self) -> bytes:
        packed = self._file.read(PIECE_BYTES)
        self.bytes_read += len(packed)
        return packed

    def _open(self) -> Iterator[bytes]:
        start = self._read_packed()
        while 0 < len(start) < len(XZ_MAGIC) and (more := self._read_packed()):
            start += more
        if start.startswith(GZIP_MAGIC):
            return _unpack(start, self._read_packed, lambda: zlib.decompressobj(GZIP_FORMAT))
        if start.startswith(XZ_MAGIC):
            return _unpack(
                start,
                self._read_packed,
                lambda: lzma.LZMADecompressor(lzma.FORMAT_XZ, memlimit=XZ_MEMORY_LIMIT),
            )
        return _plain(start, self._read_packed)

    def _limited(self, pieces: Iterator[bytes]) -> Iterator[bytes]:
        for piece in pieces:
            self._unpacked += len(piece)
            if self._unpacked > self._limit:
                raise FileProblem(
                    FileProblemCode.TOO_LARGE,
                    f"The file unpacks to more than {self._limit:,} bytes.",
                    "Split the file into smaller ones, each with the header line.",
                )
            yield piece


def _plain(start: bytes, read: Callable[[], bytes]) -> Iterator[bytes]:
    data = start
    while data:
        yield data
        data = read()


def _unpack(start: bytes, read: Callable[[], bytes], create: Callable[[], Unpacker]) -> Iterator[bytes]:
    """The content of every member of an archive, as `cat a.gz b.gz` or a parallel packer writes them."""
    data = start
    try:
        while data:
            unpacker = create()
            yield from _unpack_member(unpacker, data, read)
            data = _after_padding(unpacker.unused_data, read)
    except (zlib.error, lzma.LZMAError) as error:
        raise _broken(f"The archive is damaged: {error}.") from error


def _unpack_member(unpacker: Unpacker, data: bytes, read: Callable[[], bytes]) -> Iterator[bytes]:
    while not unpacker.eof:
        piece = unpacker.decompress(data, PIECE_BYTES)
        data = getattr(unpacker, "unconsumed_tail", b"")  # zlib returns what it did not use, lzma keeps it
        if piece:
            yield piece
        elif not data and not unpacker.eof:
            data = read()
            if not data:
                raise _broken("The archive ends in the middle.")


def _after_padding(data: bytes, read: Callable[[], bytes]) -> bytes:
    """The start of the next member; archives may be filled up with zeros."""
    while not (rest := data.lstrip(b"\0")):
        data = read()
        if not data:
            return b""
    return rest


def _broken(message: str) -> FileProblem:
    return FileProblem(FileProblemCode.BROKEN_ARCHIVE, message, "Pack the file again, or send it again as a whole.")
