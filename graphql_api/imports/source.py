"""A file of delimited text as blocks of complete records, in constant memory and resumable at any block."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import BinaryIO

from graphql_api.imports.archive import UnpackedFile
from graphql_api.imports.file_header import FileHeader, read_header
from graphql_api.imports.records import EndlessLineError, RecordBounds, find_records
from graphql_api.imports.rejects import FileProblem, FileProblemCode

DEFAULT_BLOCK_BYTES = 8 << 20
DEFAULT_UNPACKED_LIMIT = 64 << 30
SKIP_BYTES = 1 << 20


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """A place between two records: unpacked bytes before it, and line and record (from 1) behind it."""

    offset: int
    line: int
    record: int


@dataclass(frozen=True, slots=True)
class RawBlock:
    """Complete records as bytes. `begin` and `next` are where this block and the following one begin."""

    begin: Checkpoint
    next: Checkpoint
    data: bytes = field(repr=False)
    bounds: RecordBounds = field(repr=False)

    def __len__(self) -> int:
        return len(self.bounds.starts)

    def line_of(self, index: int) -> int:
        """The physical line of the file (from 1) on which a record of this block starts."""
        return self.begin.line + int(self.bounds.lines[index])

    def record_of(self, index: int) -> int:
        """The number of a record of this block among the data records of the file, from 1."""
        return self.begin.record + index

    def bytes_of(self, index: int) -> bytes:
        """The bytes of one record with its line end."""
        return self.data[self.bounds.starts[index] : self.bounds.ends[index]]


class TextSource:
    """Opens a binary file, plain, gzip or xz, and reads its header line at once.

    Raises:
        FileProblem: the file is no delimited UTF-8 text with a header, is damaged, or exceeds the limit.
    """

    def __init__(
        self,
        file: BinaryIO,
        *,
        block_bytes: int = DEFAULT_BLOCK_BYTES,
        unpacked_limit: int = DEFAULT_UNPACKED_LIMIT,
    ) -> None:
        self._unpacked = UnpackedFile(file, unpacked_limit)
        self._block_bytes = block_bytes
        self._header: FileHeader = read_header(self._unpacked)
        self._first = Checkpoint(self._header.length, self._header.line_count + 1, 1)

    @property
    def header(self) -> list[str]:
        """The fields of the header line."""
        return self._header.fields

    @property
    def delimiter(self) -> str:
        """The character between two fields."""
        return self._header.delimiter

    @property
    def bytes_read(self) -> int:
        """Bytes of the (packed) file read so far, for progress against its size."""
        return self._unpacked.bytes_read

    def blocks(self, start: Checkpoint | None = None) -> Iterator[RawBlock]:
        """The records from `start` on, once per source, in blocks of about `block_bytes`.

        The same file, start and block size give the same blocks; the same file gives the same records.

        Raises:
            FileProblem: NO_ROWS, LINE_TOO_LONG, FILE_CHANGED, TOO_LARGE or BROKEN_ARCHIVE.
        """
        begin = start or self._first
        self._skip(begin.offset - self._first.offset)
        while (block := self._next_block(begin)) is not None:  # one of blank lines alone is empty
            begin = block.next
            if len(block):
                yield block
        if begin.record == 1:
            raise FileProblem(
                FileProblemCode.NO_ROWS,
                "The file has a header and no rows.",
                "Send a file with at least one row.",
            )

    def _skip(self, count: int) -> None:
        while count > 0:
            skipped = len(self._unpacked.read(min(count, SKIP_BYTES)))
            if not skipped:
                raise FileProblem(
                    FileProblemCode.FILE_CHANGED,
                    "The file ends before the place where its import is to go on.",
                    "Start a new import with the file as it is now.",
                )
            count -= skipped

    def _next_block(self, begin: Checkpoint) -> RawBlock | None:
        """Read until at least one record is complete; what follows the last complete record is put back."""
        data, size = b"", self._block_bytes
        while True:
            data += self._unpacked.read(size - len(data))
            if not data:
                return None
            at_end = len(data) < size
            is_cut = at_end and not data.endswith(b"\n")
            bounds = self._find_records(data + b"\n" if is_cut else data, begin, at_end=at_end)
            if bounds.length:
                break
            size *= 2
        self._unpacked.push_back(data[bounds.length :])
        offset = begin.offset + min(bounds.length, len(data))
        following = Checkpoint(offset, begin.line + bounds.line_count, begin.record + len(bounds.starts))
        text = data + b"\n" if bounds.length > len(data) else data[: bounds.length]
        return RawBlock(begin, following, text, bounds)

    def _find_records(self, data: bytes, begin: Checkpoint, *, at_end: bool) -> RecordBounds:
        try:
            return find_records(data, self.delimiter, at_end=at_end)
        except EndlessLineError as error:
            raise FileProblem(
                FileProblemCode.LINE_TOO_LONG,
                f"Line {begin.line} goes on for more than a mebibyte.",
                "Check the line ends of the file around this line.",
                line=begin.line,
            ) from error
