"""A sales file from bytes to checked blocks."""

from collections.abc import Iterator, Mapping
from typing import BinaryIO

from graphql_api.imports.data_file import DataFile
from graphql_api.imports.layouts import SALES
from graphql_api.imports.sales_block import SalesBlock
from graphql_api.imports.source import DEFAULT_BLOCK_BYTES, DEFAULT_UNPACKED_LIMIT, Checkpoint
from graphql_api.imports.validation import SalesValidator


class SalesFile(DataFile[SalesBlock]):
    """A sales file. `identity_prefix` identifies the lines of a file without ids; the content alone decides it."""

    def __init__(
        self,
        file: BinaryIO,
        *,
        identity_prefix: str,
        mapping: Mapping[str, str] | None = None,
        block_bytes: int = DEFAULT_BLOCK_BYTES,
        unpacked_limit: int = DEFAULT_UNPACKED_LIMIT,
    ) -> None:
        super().__init__(
            file,
            SALES,
            lambda reader: SalesValidator(reader, identity_prefix),
            mapping=mapping,
            block_bytes=block_bytes,
            unpacked_limit=unpacked_limit,
        )


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
