"""From a checked block to the tables, in the transaction it is called in: new, unchanged, changed or refused."""

from dataclasses import dataclass, field, replace
from enum import IntEnum
from functools import partial

import asyncpg
import numpy as np
from numpy.typing import NDArray

from graphql_api.imports import seen
from graphql_api.imports.invoice_lines import LineWriter
from graphql_api.imports.invoices import create_invoices, find_invoices
from graphql_api.imports.layout import Field
from graphql_api.imports.load import BlockResult, LoadOptions, attempt
from graphql_api.imports.rejects import Reject, RejectCode
from graphql_api.imports.resolver import resolve_references
from graphql_api.imports.sales_block import Integers, SalesBlock, SalesLines
from graphql_api.imports.stock_sales import StockSale, sell, with_costs

Verdicts = NDArray[np.int8]


@dataclass(frozen=True)
class Judgement:
    """A verdict for each line, what the changed ones differ in, and rejects that are settled already."""

    verdicts: Verdicts
    differences: dict[int, str]
    rejects: list[Reject]
    stock_notes: dict[str, int] = field(default_factory=dict)

    def those(self, verdict: "Verdict") -> Integers:
        """Positions of the lines with this verdict."""
        return np.flatnonzero(self.verdicts == verdict)


class Verdict(IntEnum):
    """What becomes of one line."""

    NEW = 0
    UNCHANGED = 1
    CHANGED = 2
    REPEATED = 3
    REFUSED = 4


async def load_block(connection: asyncpg.Connection, block: SalesBlock, options: LoadOptions) -> BlockResult:
    """Write one block inside the caller's transaction; a dry run writes only what it has seen."""
    try:
        # Looking every line up before it is written would take as long as writing it. Lines of invoices that this
        # import created can clash only where the file repeats an id, which is rare and the primary key notices.
        judgement = await attempt(connection, options, partial(_load, connection, block, options, trusting=True))
    except asyncpg.UniqueViolationError:
        judgement = await attempt(connection, options, partial(_load, connection, block, options, trusting=False))
    await _remember(connection, block, judgement, options)
    return _result(block, judgement, options)


async def _load(
    connection: asyncpg.Connection, block: SalesBlock, options: LoadOptions, *, trusting: bool
) -> Judgement:
    references = await resolve_references(connection, block, options.import_id)
    owners = {}
    if options.dry_run:
        owners = await seen.find_invoice_owners(connection, options.import_id, block, references.stores)
    invoices = await find_invoices(connection, block.lines, references.stores[block.lines.store], owners)
    writer = LineWriter(connection, options.import_id, block.lines, references, invoices)
    suspects = invoices.existed(besides=options.import_id if trusting else None)
    judgement = await _judge(connection, writer, suspects, options)
    if options.deduct:
        sale = await sell(connection, block, references, judgement.those(Verdict.NEW), options)
        judgement = _without_shortages(block.lines, judgement, sale)
        writer = replace(writer, lines=replace(block.lines, cost=with_costs(block.lines.cost, sale)))
    if not options.dry_run:
        new = judgement.those(Verdict.NEW)
        await create_invoices(connection, invoices, new, options.import_id)
        await writer.insert(new)
        if options.replace:
            await writer.replace(judgement.those(Verdict.CHANGED))
    return judgement


async def _judge(
    connection: asyncpg.Connection, writer: LineWriter, suspects: Integers, options: LoadOptions
) -> Judgement:
    """Judge each line by what the tables (for the suspects) and the notes of this job say of its id."""
    lines, invoices = writer.lines, writer.invoices
    verdicts = np.full(len(lines), Verdict.NEW, np.int8)
    verdicts[invoices.refused] = Verdict.REFUSED
    differences, locked = {}, []
    for position, ours, different, is_locked in await writer.compare(suspects):
        verdicts[position] = Verdict.UNCHANGED if not different else Verdict.REPEATED if ours else Verdict.CHANGED
        differences[position] = different
        if is_locked and options.replace and verdicts[position] == Verdict.CHANGED:
            locked.append(position)
    if options.dry_run or options.replace:
        asked = np.flatnonzero(~invoices.refused)
        columns = seen.line_columns(lines, asked)
        positions, same = await seen.find_matches(connection, options.import_id, asked, columns)
        verdicts[positions] = np.where(same, Verdict.UNCHANGED, Verdict.REPEATED)
    locked = [position for position in locked if verdicts[position] == Verdict.CHANGED]
    verdicts[locked] = Verdict.REFUSED
    return Judgement(verdicts, differences, [*invoices.rejects, *(_locked(lines, position) for position in locked)])


def _without_shortages(lines: SalesLines, judgement: Judgement, sale: StockSale) -> Judgement:
    """The judgement with the lines refused that there are not enough bottles for."""
    verdicts = judgement.verdicts.copy()
    verdicts[list(sale.refused)] = Verdict.REFUSED
    short = [_short(lines, position, available) for position, available in sale.refused.items()]
    return Judgement(verdicts, judgement.differences, [*judgement.rejects, *short], sale.notes)


async def _remember(
    connection: asyncpg.Connection, block: SalesBlock, judgement: Judgement, options: LoadOptions
) -> None:
    """Note the lines that leave no trace of this job in `invoice_line`."""
    traceless = [Verdict.UNCHANGED] * options.replace + [Verdict.NEW] * options.dry_run
    traceless += [Verdict.CHANGED] * (options.replace and options.dry_run)
    chosen = np.flatnonzero(np.isin(judgement.verdicts, traceless))
    await seen.remember(connection, options.import_id, seen.line_columns(block.lines, chosen))
    if options.dry_run:
        invoices = seen.invoice_columns(block, judgement.those(Verdict.NEW))
        await seen.remember(connection, options.import_id, invoices)
        await seen.add_stock(connection, options.import_id, judgement.stock_notes)


def _result(block: SalesBlock, judgement: Judgement, options: LoadOptions) -> BlockResult:
    lines, changed = block.lines, judgement.those(Verdict.CHANGED).tolist()
    rejects = [*block.rejects, *judgement.rejects]
    rejects += [_repeated(lines, index) for index in judgement.those(Verdict.REPEATED).tolist()]
    if not options.replace:
        rejects += [_conflict(lines, index, judgement.differences[index]) for index in changed]
    return BlockResult(
        rows_read=block.rows_read,
        inserted=len(judgement.those(Verdict.NEW)),
        updated=len(changed) if options.replace else 0,
        unchanged=len(judgement.those(Verdict.UNCHANGED)) + block.repeated,
        rejects=sorted(rejects, key=lambda reject: reject.record),
    )


def _repeated(lines: SalesLines, index: int) -> Reject:
    hint = "An earlier line of this file has the same id and other content; keep one of them."
    return lines.reject(index, RejectCode.ID_REPEATED, Field.LINE_ID, hint)


def _conflict(lines: SalesLines, index: int, differences: str) -> Reject:
    hint = f"This line was imported before with another {differences}; import with mode UPSERT to replace it."
    return lines.reject(index, RejectCode.LINE_CONFLICT, Field.LINE_ID, hint)


def _locked(lines: SalesLines, index: int) -> Reject:
    hint = "This line took bottles from stock or was credited; revert its import to replace it."
    return lines.reject(index, RejectCode.LINE_LOCKED, Field.LINE_ID, hint)


def _short(lines: SalesLines, index: int, available: int) -> Reject:
    hint = f"The store has {available:,} bottles left of this product; receive more first, or lower the quantity."
    return lines.reject(index, RejectCode.INSUFFICIENT_STOCK, Field.QUANTITY, hint)
