"""The kinds of files: what each needs of the one way that all of them take."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

import asyncpg

from graphql_api.database.import_job import ImportKind
from graphql_api.imports import products, stores
from graphql_api.imports.data_file import Validator
from graphql_api.imports.layout import Layout
from graphql_api.imports.layouts import PRODUCTS, PURCHASES, SALES, STOCK_COUNT, STORES
from graphql_api.imports.load import BlockResult, LoadOptions
from graphql_api.imports.loader import load_block
from graphql_api.imports.master_data import MasterTable, restore_changed
from graphql_api.imports.products import PRODUCT_ROWS
from graphql_api.imports.purchase_undo import undo_purchases
from graphql_api.imports.purchases import PURCHASE_ROWS
from graphql_api.imports.record_reader import RecordReader
from graphql_api.imports.row_loader import RowLoader
from graphql_api.imports.rows import RowValidator
from graphql_api.imports.stock_counts import COUNT_ROWS
from graphql_api.imports.stock_undo import undo_counts
from graphql_api.imports.stores import STORE_ROWS
from graphql_api.imports.undo import undo_sales
from graphql_api.imports.validation import SalesValidator

Undo = Callable[[asyncpg.Connection, int], Awaitable[None]]


@dataclass(frozen=True)
class FileKind:
    """A kind of file.

    Args:
        layout: its columns.
        validator: checks the blocks of one file; the text identifies a file whose rows have no ids.
        load: writes a block inside the caller's transaction; a dry run writes only what it has seen.
        undo: takes back what an import wrote but for the rows of reference tables, or raises `Blocked`.
        can_replace: whether UPSERT means anything for it.
        subject: the reference table that it is about, if it is about one.
    """

    layout: Layout
    validator: Callable[[RecordReader, str], Validator[Any]]
    load: Callable[[asyncpg.Connection, Any, LoadOptions], Awaitable[BlockResult]]
    undo: Undo
    can_replace: bool = True
    subject: str | None = None


def _validator(reader: RecordReader, _: str) -> RowValidator:
    return RowValidator(reader)


def _master(layout: Layout, loader: RowLoader, table: MasterTable) -> FileKind:
    undo = partial(restore_changed, table)
    return FileKind(layout, _validator, loader.load, undo, subject=table.name)


def _stock(layout: Layout, loader: RowLoader, undo: Undo) -> FileKind:
    return FileKind(layout, _validator, loader.load, undo, can_replace=False)


KINDS: Mapping[ImportKind, FileKind] = {
    ImportKind.SALES: FileKind(SALES, SalesValidator, load_block, undo_sales),
    ImportKind.PRODUCTS: _master(PRODUCTS, PRODUCT_ROWS, products.TABLE),
    ImportKind.STORES: _master(STORES, STORE_ROWS, stores.TABLE),
    ImportKind.PURCHASES: _stock(PURCHASES, PURCHASE_ROWS, undo_purchases),
    ImportKind.STOCK_COUNT: _stock(STOCK_COUNT, COUNT_ROWS, undo_counts),
}
