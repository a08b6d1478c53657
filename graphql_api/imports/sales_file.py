"""A sales file from bytes to checked blocks: the one entrance to reading, mapping and validation."""

from collections.abc import Iterator, Mapping
from typing import BinaryIO

from graphql_api.imports.columns import ColumnMap, map_columns
from graphql_api.imports.reader import read_rows
from graphql_api.imports.record_reader import RecordReader
from graphql_api.imports.sales_block import SalesBlock
from graphql_api.imports.source import DEFAULT_BLOCK_BYTES, DEFAULT_UNPACKED_LIMIT, Checkpoint, TextSource
from graphql_api.imports.validation import SalesValidator


class SalesFile:
    """Opens a sales file and understands its header at once; the rows follow block by block.

    `mapping` overrides what columns mean (header → field, "" to ignore). `identity_prefix` identifies the
    lines of a file without ids, so it must depend on the content of the file alone.

    Raises:
        FileProblem: the file as a whole cannot be read.
    """

    def __init__(
        self,
        file: BinaryIO,
        *,
        identity_prefix: str,
        mapping: Mapping[str, str] | None = None,
        block_bytes: int = DEFAULT_BLOCK_BYTES,
        unpacked_limit: int = DEFAULT_UNPACKED_LIMIT,
    ) -> None:
        self._source = TextSource(file, block_bytes=block_bytes, unpacked_limit=unpacked_limit)
        self.columns: ColumnMap = map_columns(self._source.header, mapping)
        self._reader = RecordReader(self.columns, self._source.delimiter)
        self._validator = SalesValidator(self._reader, identity_prefix)

    @property
    def bytes_read(self) -> int:
        """Bytes of the (packed) file read so far, for progress against its size."""
        return self._source.bytes_read

    def blocks(self, start: Checkpoint | None = None) -> Iterator[SalesBlock]:
        """The blocks in file order, from the start or the `next` of an earlier block; once per object."""
        for block in self._source.blocks(start):
            yield self._validator.validate(block, read_rows(block, self._reader))


def read_sales(  # noqa: PLR0913 - one call with everything a caller may set
    source_file: BinaryIO,
    *,
    identity_prefix: str,
    mapping: Mapping[str, str] | None = None,
    start: Checkpoint | None = None,
    block_bytes: int = DEFAULT_BLOCK_BYTES,
    unpacked_limit: int = DEFAULT_UNPACKED_LIMIT,
) -> Iterator[SalesBlock]:
    """The checked blocks of a sales file in file order; see `SalesFile`."""
    sales_file = SalesFile(
        source_file,
        identity_prefix=identity_prefix,
        mapping=mapping,
        block_bytes=block_bytes,
        unpacked_limit=unpacked_limit,
    )
    return sales_file.blocks(start)
