"""Files of purchases as received: each row a line, which becomes a lot of its own."""

from collections import defaultdict
from collections.abc import Sequence
from itertools import count

import asyncpg
import numpy as np

from graphql_api.database.stock import MovementCause
from graphql_api.imports import seen
from graphql_api.imports.layout import Field
from graphql_api.imports.load import LoadOptions
from graphql_api.imports.purchase_rows import PurchaseLine, keys, read_lines
from graphql_api.imports.rejects import RejectCode
from graphql_api.imports.row_loader import RowLoader, Written
from graphql_api.imports.rows import FileRows
from graphql_api.ledger.entries import Entry, Receipt
from graphql_api.ledger.moves import receive

# Line numbers are not negative; this one stands for the purchase itself.
HEAD = -1
OTHER_HEAD = "The purchase is known with another store, date or vendor; correct this row or give it another number."
BY_HAND = "A purchase of this number was written in this system; give this one another number."
OTHER_LINE = "This line was imported before with another {what}; revert that import, then load the corrected file."

# What counts of a purchase that was voided is that it may come again.
KNOWN_LINES = """
SELECT o.reference, o.identity, o.import_id, p.store_id, p.date, p.vendor_id,
       l.product_id, l.quantity, l.unit_cost, l.expires_on
FROM import_purchase_line o JOIN purchase_line l ON l.id = o.purchase_line_id JOIN purchase p ON p.id = l.purchase_id
WHERE o.reference = ANY($1) AND p.status <> 'VOID'
"""
WRITTEN_BY_HAND = "SELECT number FROM purchase WHERE number = ANY($1) AND import_id IS NULL AND status <> 'VOID'"
OWN = """
SELECT DISTINCT o.reference, l.purchase_id FROM import_purchase_line o
JOIN purchase_line l ON l.id = o.purchase_line_id JOIN purchase p ON p.id = l.purchase_id
WHERE o.import_id = $1 AND o.reference = ANY($2) AND p.status <> 'VOID'
"""
TAKEN_NUMBERS = "SELECT number FROM purchase WHERE number = ANY($1)"
NUMBERS_LIKE = "SELECT number FROM purchase WHERE starts_with(number, $1)"
CREATE = """
INSERT INTO purchase (number, store_id, vendor_id, date, status, import_id, created_by)
SELECT f.number, f.store_id, f.vendor_id, f.date, 'RECEIVED', $5, $6
FROM unnest($1::text[], $2::bigint[], $3::bigint[], $4::date[])
  WITH ORDINALITY AS f (number, store_id, vendor_id, date, position)
ORDER BY f.position
RETURNING id
"""
LAST_LINES = "SELECT purchase_id, max(line_number) AS last FROM purchase_line WHERE purchase_id = ANY($1) GROUP BY 1"
ADD_LINES = """
INSERT INTO purchase_line (purchase_id, line_number, product_id, quantity, received, unit_cost, expires_on)
SELECT f.purchase_id, f.line_number, f.product_id, f.quantity, f.quantity, f.unit_cost, f.expires_on
FROM unnest($1::bigint[], $2::int[], $3::bigint[], $4::bigint[], $5::bigint[], $6::date[])
  WITH ORDINALITY AS f (purchase_id, line_number, product_id, quantity, unit_cost, expires_on, position)
ORDER BY f.position
RETURNING id
"""
REMEMBER = """
INSERT INTO import_purchase_line (purchase_line_id, import_id, reference, identity)
SELECT f.id, $1, f.reference, f.identity
FROM unnest($2::bigint[], $3::text[], $4::text[]) AS f (id, reference, identity)
"""


class PurchaseWriter:
    """Judges and writes the rows of one block."""

    def __init__(self, connection: asyncpg.Connection, rows: FileRows, options: LoadOptions) -> None:
        self._connection = connection
        self._rows = rows
        self._options = options
        self.written = Written()

    async def write(self, chosen: Sequence[int]) -> Written:
        """Post the rows at some positions as far as they are new."""
        lines = await read_lines(self._connection, self._rows, chosen, self._options, self.written.rejects)
        references = list({line.reference for line in lines})
        by_hand = {row["number"] for row in await self._connection.fetch(WRITTEN_BY_HAND, references)}
        known = await self._connection.fetch(KNOWN_LINES, references)
        lines = self._refuse(lines, [line for line in lines if line.reference in by_hand], _by_hand)
        lines = self._refuse(lines, await self._contradicting(lines, known), _other_head)
        new = self._drop_known(lines, known)
        if new:
            await self._post(new)
        self.written.inserted = len(new)
        self.written.notes = [(line.reference, HEAD, line.head) for line in lines]
        return self.written

    def _refuse(
        self, lines: list[PurchaseLine], refused: Sequence[PurchaseLine], why: tuple[RejectCode, str]
    ) -> list[PurchaseLine]:
        """The other lines."""
        indices = {line.index for line in refused}
        self.written.rejects += [self._rows.reject(index, why[0], Field.PURCHASE_NUMBER, why[1]) for index in indices]
        return [line for line in lines if line.index not in indices]

    async def _contradicting(
        self, lines: Sequence[PurchaseLine], known: Sequence[asyncpg.Record]
    ) -> list[PurchaseLine]:
        """Lines that disagree with their purchase: with that of another import, or the first row of it in this file."""
        others = {
            row["reference"]: (row["store_id"], row["date"], row["vendor_id"])
            for row in known
            if row["import_id"] != self._options.import_id
        }
        columns = [line.reference for line in lines], [HEAD] * len(lines), [line.head for line in lines]
        places, same = await seen.find_matches(
            self._connection, self._options.import_id, np.arange(len(lines)), columns
        )
        earlier = dict(zip(places.tolist(), same.tolist(), strict=True))
        first: dict[str, int] = {}
        wrong = []
        for place, line in enumerate(lines):
            mine = line.store_id, line.date, line.vendor_id
            agrees = earlier[place] if place in earlier else first.setdefault(line.reference, line.head) == line.head
            if not agrees or others.get(line.reference, mine) != mine:
                wrong.append(line)
        return wrong

    def _drop_known(self, lines: Sequence[PurchaseLine], known: Sequence[asyncpg.Record]) -> list[PurchaseLine]:
        """The lines that no import has brought yet."""
        by_key = {(row["reference"], row["identity"]): row for row in known}
        new = []
        for line in lines:
            row = by_key.get((line.reference, line.identity))
            if row is None:
                new.append(line)
            elif differences := _differences(line, row):
                hint = OTHER_LINE.format(what=", ".join(differences))
                self.written.rejects.append(
                    self._rows.reject(line.index, RejectCode.LINE_CONFLICT, Field.PURCHASE_NUMBER, hint)
                )
            else:
                self.written.unchanged += 1
        return new

    async def _post(self, lines: Sequence[PurchaseLine]) -> None:
        purchases = await self._purchases(lines)
        owners = [purchases[line.reference] for line in lines]
        ids = await self._connection.fetch(
            ADD_LINES,
            owners,
            await self._line_numbers(lines, owners),
            [line.product_id for line in lines],
            [line.quantity for line in lines],
            [line.unit_cost for line in lines],
            [line.expires_on for line in lines],
        )
        line_ids = sorted(row["id"] for row in ids)
        await self._connection.execute(
            REMEMBER,
            self._options.import_id,
            line_ids,
            [line.reference for line in lines],
            [line.identity for line in lines],
        )
        receipts = [
            Receipt(line.store_id, line.product_id, line.quantity, line.unit_cost, line.date, line.expires_on, line_id)
            for line, line_id in zip(lines, line_ids, strict=True)
        ]
        entry = Entry(MovementCause.RECEIPT, actor_id=self._options.actor_id, import_id=self._options.import_id)
        await receive(self._connection, receipts, entry)

    async def _purchases(self, lines: Sequence[PurchaseLine]) -> dict[str, int]:
        """This import's purchase of each reference, made when it has none yet."""
        first: dict[str, PurchaseLine] = {}
        for line in lines:
            first.setdefault(line.reference, line)
        rows = await self._connection.fetch(OWN, self._options.import_id, list(first))
        ids = {row["reference"]: row["purchase_id"] for row in rows}
        missing = [line for reference, line in first.items() if reference not in ids]
        created = await self._connection.fetch(
            CREATE,
            await self._numbers([line.reference for line in missing]),
            [line.store_id for line in missing],
            [line.vendor_id for line in missing],
            [line.date for line in missing],
            self._options.import_id,
            self._options.actor_id,
        )
        new_ids = sorted(row["id"] for row in created)
        return ids | {line.reference: new_id for line, new_id in zip(missing, new_ids, strict=True)}

    async def _numbers(self, references: Sequence[str]) -> list[str]:
        """Each reference, with a count behind it where a voided purchase or another import has that number."""
        taken = {row["number"] for row in await self._connection.fetch(TAKEN_NUMBERS, references)}
        return [await self._free_number(reference) if reference in taken else reference for reference in references]

    async def _free_number(self, reference: str) -> str:
        taken = {row["number"] for row in await self._connection.fetch(NUMBERS_LIKE, reference)}
        return next(number for copy in count(2) if (number := f"{reference}-{copy}") not in taken)

    async def _line_numbers(self, lines: Sequence[PurchaseLine], owners: Sequence[int]) -> list[int]:
        """The file's own line numbers, or those behind the last of each purchase."""
        rows = await self._connection.fetch(LAST_LINES, list(set(owners)))
        last: dict[int, int] = defaultdict(int, {row["purchase_id"]: row["last"] for row in rows})
        for owner, line in zip(owners, lines, strict=True):
            last[owner] = max(last[owner], line.number or 0)
        numbers = []
        for owner, line in zip(owners, lines, strict=True):
            if line.number is None:
                last[owner] += 1
            numbers.append(line.number or last[owner])
        return numbers


_by_hand = RejectCode.PURCHASE_NOT_IMPORTED, BY_HAND
_other_head = RejectCode.PURCHASE_CONFLICT, OTHER_HEAD


def _differences(line: PurchaseLine, row: asyncpg.Record) -> list[str]:
    pairs = {
        "product": (line.product_id, row["product_id"]),
        "quantity": (line.quantity, row["quantity"]),
        "unit cost": (line.unit_cost, row["unit_cost"]),
        "expiry date": (line.expires_on, row["expires_on"]),
    }
    return [name for name, (mine, theirs) in pairs.items() if mine != theirs]


async def _write(
    connection: asyncpg.Connection, rows: FileRows, chosen: Sequence[int], options: LoadOptions
) -> Written:
    return await PurchaseWriter(connection, rows, options).write(chosen)


PURCHASE_ROWS = RowLoader("purchase line", Field.PURCHASE_NUMBER, keys, _write)
