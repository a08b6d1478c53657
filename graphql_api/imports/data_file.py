"""A file of any kind from bytes to checked blocks: the one entrance to reading, mapping and validation."""

from collections.abc import Callable, Iterator, Mapping
from typing import BinaryIO, Generic, Protocol, TypeVar

from graphql_api.imports.columns import ColumnMap, map_columns
from graphql_api.imports.layout import Layout
from graphql_api.imports.reader import TextRows, read_rows
from graphql_api.imports.record_reader import RecordReader
from graphql_api.imports.rejects import Reject
from graphql_api.imports.source import (
    DEFAULT_BLOCK_BYTES,
    DEFAULT_UNPACKED_LIMIT,
    Checkpoint,
    RawBlock,
    TextSource,
)


class CheckedBlock(Protocol):
    """What the blocks of all kinds have in common."""

    @property
    def next(self) -> Checkpoint:
        """Where the following block begins."""
        ...

    @property
    def rows_read(self) -> int:
        """All records of the block."""
        ...

    @property
    def rejects(self) -> list[Reject]:
        """The records that were refused when they were read."""
        ...


BlockT = TypeVar("BlockT", bound=CheckedBlock)
BlockT_co = TypeVar("BlockT_co", bound=CheckedBlock, covariant=True)


class Validator(Protocol[BlockT_co]):
    """Checks the blocks of one file, one after another."""

    def validate(self, block: RawBlock, text: TextRows) -> BlockT_co:
        """Everything the block says; every record ends as a row, a repeat or a reject."""
        ...


class DataFile(Generic[BlockT]):
    """Opens a file and understands its header at once; the rows follow block by block.

    `mapping` overrides what columns mean (header → field, "" to ignore).

    Raises:
        FileProblem: the file as a whole cannot be read.
    """

    def __init__(  # noqa: PLR0913 - all that a caller may set
        self,
        file: BinaryIO,
        layout: Layout,
        validator: Callable[[RecordReader], Validator[BlockT]],
        *,
        mapping: Mapping[str, str] | None = None,
        block_bytes: int = DEFAULT_BLOCK_BYTES,
        unpacked_limit: int = DEFAULT_UNPACKED_LIMIT,
    ) -> None:
        self._source = TextSource(file, block_bytes=block_bytes, unpacked_limit=unpacked_limit)
        self.columns: ColumnMap = map_columns(self._source.header, mapping, layout)
        self._reader = RecordReader(self.columns, self._source.delimiter)
        self._validator = validator(self._reader)

    @property
    def bytes_read(self) -> int:
        """Bytes of the (packed) file read so far, for progress against its size."""
        return self._source.bytes_read

    def blocks(self, start: Checkpoint | None = None) -> Iterator[BlockT]:
        """The blocks in file order, from the start or the `next` of an earlier block; once per object."""
        for block in self._source.blocks(start):
            yield self._validator.validate(block, read_rows(block, self._reader))
