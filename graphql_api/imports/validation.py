"""From the text of a block to checked sales: what is wrong becomes rejects, all the rest becomes lines."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from graphql_api.imports.amounts import Amounts, compute_amounts
from graphql_api.imports.content_hash import hash_columns, hash_places, hash_texts
from graphql_api.imports.facts import group_places, group_products, group_rows, group_stores
from graphql_api.imports.layout import Field
from graphql_api.imports.line_identity import number_records, read_ids, split_ids
from graphql_api.imports.parsed_column import ParsedColumn
from graphql_api.imports.reader import TextRows
from graphql_api.imports.record_reader import RecordReader
from graphql_api.imports.rejects import Reject, RejectCode
from graphql_api.imports.row_checker import Problems, RowChecker
from graphql_api.imports.sales_block import Hashes, LineSource, SalesBlock, SalesLines
from graphql_api.imports.source import RawBlock

Rows = NDArray[np.int64]


@dataclass(frozen=True)
class CheckedRows:
    """Rows without any problem: their records' indices in the block, their ids, columns and amounts."""

    records: Rows
    ids: pa.LargeStringArray
    columns: Mapping[Field, ParsedColumn]
    amounts: Amounts

    def dates(self) -> NDArray[np.datetime64]:
        """The day of every row."""
        column = self.columns[Field.DATE]
        return np.array(column.values, "datetime64[D]")[column.codes]

    def take(self, rows: Rows) -> "CheckedRows":
        """Some of the rows."""
        columns = {field: column.take(rows) for field, column in self.columns.items()}
        return CheckedRows(self.records[rows], self.ids.take(pa.array(rows)), columns, self.amounts.take(rows))


class SalesValidator:
    """Checks the blocks of one file, one after another.

    `identity_prefix` numbers the lines of a file without ids; it must be the file's own and never change.
    """

    def __init__(self, reader: RecordReader, identity_prefix: str) -> None:
        self._reader = reader
        self._header = reader.columns
        self._identity_prefix = identity_prefix
        self._checker = RowChecker(reader)

    def validate(self, block: RawBlock, text: TextRows) -> SalesBlock:
        """Everything the block says; every record ends as a line, a repeat or a reject."""
        rows, problems = self._check(block, text)
        refused = self._checker.refuse_all(block, text, problems)
        rows, repeated, conflicts = self._drop_repeats(block, rows)
        rejects = sorted([*text.rejects, *refused, *conflicts], key=lambda reject: reject.record)
        return self._build(block, rows, repeated, rejects)

    def _check(self, block: RawBlock, text: TextRows) -> tuple[CheckedRows, Problems]:
        columns, problems = self._checker.read(text)
        amounts = self._check_amounts(columns, problems)
        ids = self._read_ids(block, text, problems)
        rows = CheckedRows(text.records, ids, columns, amounts)
        if not problems:
            return rows, problems
        is_good = np.ones(len(text.records), np.bool_)
        is_good[list(problems)] = False
        return rows.take(np.flatnonzero(is_good)), problems

    def _check_amounts(self, columns: Mapping[Field, ParsedColumn], problems: Problems) -> Amounts:
        """Amounts are judged only in rows whose values can all be read."""
        amounts, findings = compute_amounts(columns)
        unreadable = set(problems)
        for finding in findings:
            field = finding.field if finding.field in self._header else Field.UNIT_PRICE
            for row in set(finding.rows.tolist()) - unreadable:
                problems[row][field] = finding.problem
        return amounts

    def _read_ids(self, block: RawBlock, text: TextRows, problems: Problems) -> pa.LargeStringArray:
        if Field.LINE_ID not in self._header:
            return number_records(self._identity_prefix, block.begin.record + text.records)
        identity = read_ids(text.frame[Field.LINE_ID.value])
        for row, problem in identity.problems.items():
            problems[row][Field.LINE_ID] = problem
        return identity.ids

    def _drop_repeats(self, block: RawBlock, rows: CheckedRows) -> tuple[CheckedRows, int, list[Reject]]:
        """Keep the first row of every id; a later one must say the same."""
        if len(rows.ids.unique()) == len(rows.ids):
            return rows, 0, []
        groups = group_rows(rows.ids.dictionary_encode().indices.to_numpy())
        first = groups.first[groups.group]
        is_later = first != np.arange(len(first))
        hashes = self._build(block, rows, 0, []).lines.content_hash()
        conflicting = np.flatnonzero(hashes != hashes[first])
        rejects = [
            self._refuse_repeat(block, int(rows.records[row]), int(rows.records[first[row]])) for row in conflicting
        ]
        repeated = int(is_later.sum()) - len(conflicting)
        return rows.take(np.flatnonzero(~is_later)), repeated, rejects

    def _refuse_repeat(self, block: RawBlock, index: int, first: int) -> Reject:
        hint = f"Line {block.line_of(first)} has the same id and other content; correct one or give it a new id."
        position = self._header.positions[Field.LINE_ID]
        return self._reader.reject(block, index, RejectCode.ID_REPEATED, hint, position=position)

    def _build(self, block: RawBlock, rows: CheckedRows, repeated: int, rejects: list[Reject]) -> SalesBlock:
        place_groups, places = group_places(rows.columns)
        store_groups, stores = group_stores(rows.columns, place_groups)
        product_groups, products = group_products(rows.columns, rows.amounts.unit_price)
        place_hashes = hash_places(places)[place_groups.group]
        sku_hashes = hash_texts(product.sku for product in products)[product_groups.group]
        invoice_number, line_number = split_ids(rows.ids)
        volumes, amounts = rows.columns[Field.BOTTLE_VOLUME_ML], rows.amounts
        lines = SalesLines(
            record=block.begin.record + rows.records,
            line=block.begin.line + block.bounds.lines[rows.records],
            invoice_number=invoice_number,
            line_number=line_number,
            store=store_groups.group,
            place=place_groups.group,
            product=product_groups.group,
            date=rows.dates(),
            quantity=amounts.quantity,
            unit_price=amounts.unit_price,
            revenue=amounts.revenue,
            cost=amounts.cost,
            volume_ml=volumes.numbers() * amounts.quantity,
            volume_known=volumes.known(),
            hashes=_hash_rows(rows, place_hashes, sku_hashes),
            position=rows.records,
            source=LineSource(self._header, partial(self._reader.fields, block)),
        )
        return SalesBlock(block.next, len(block), repeated, rejects, stores, places, products, lines)


def _hash_rows(rows: CheckedRows, place_hashes: Hashes, sku_hashes: Hashes) -> Hashes:
    """Stored hashes stay valid only while these columns and their order stay."""
    amounts = rows.amounts
    stores, days = rows.columns[Field.STORE_NUMBER].numbers(), rows.dates().astype(np.int64)
    money = (amounts.unit_price, amounts.revenue, amounts.cost)
    return hash_columns([stores, place_hashes, days, sku_hashes, amounts.quantity, *money])
