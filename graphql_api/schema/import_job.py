"""Imports: the job, its progress, and what it refused."""

import datetime as dt
from enum import Enum
from typing import Annotated

import strawberry
from strawberry import UNSET

from graphql_api.database.base import now_utc
from graphql_api.database.import_job import (
    ImportJobRow,
    ImportKind,
    ImportMode,
    ImportRejectRow,
    ImportStatus,
    RejectPolicy,
    StockEffect,
)
from graphql_api.imports.rejects import FileProblemCode, RejectCode
from graphql_api.schema.audit import audit_trail_field
from graphql_api.schema.context import Info
from graphql_api.schema.enums import Direction, describe
from graphql_api.schema.filters import ALL_OF, ANY_OF, NONE_OF, IdFilter, StringFilter, id_filter, operator
from graphql_api.schema.node import Node, global_id, key_of
from graphql_api.schema.paging import After, Connection, FirstAlone, list_connection, list_field, page_request
from graphql_api.schema.scalars import BigInt
from graphql_api.schema.ticket import ticket_url
from graphql_api.services import import_job
from graphql_api.services.import_reject import rejects_of
from graphql_api.services.listing import ListQuery

describe(
    ImportKind,
    "What a file holds.",
    {
        "SALES": "Invoice lines as sold: one row a line.",
        "PRODUCTS": "Products: one row a product, known by its item number.",
        "STORES": "Stores: one row a store, known by its number.",
        "PURCHASES": "Purchases as received: one row a line, which becomes a lot of stock.",
        "STOCK_COUNT": "Stock as counted: one row for each product of a store; the difference is posted, once.",
    },
)
describe(
    ImportMode,
    "What happens to a row that speaks of something known and says something else.",
    {
        "INSERT": "The row is rejected; what is known stays as it was.",
        "UPSERT": (
            "The row replaces the line of a SALES file, or changes the given columns of a product or store; an empty "
            "cell changes nothing. PURCHASES and STOCK_COUNT files have no UPSERT."
        ),
    },
)
describe(
    StockEffect,
    "What the sold lines of a SALES file do to stock.",
    {
        "NONE": "Nothing: history that counts in reports; the cost of a line is the file's.",
        "DEDUCT": (
            "Each line takes its bottles, the first to expire and the oldest first, and its cost is what those had "
            "cost. A line that the store has not enough bottles for is rejected as INSUFFICIENT_STOCK. Negative "
            "quantities come back as stock at the file's cost."
        ),
    },
)
describe(
    RejectPolicy,
    "What one bad row does to the others.",
    {
        "REJECT_ROW": "Bad rows are rejected, the others imported.",
        "REJECT_ALL": "The whole file is read first; with one bad row nothing is imported.",
    },
)
describe(
    ImportStatus,
    "Where an import stands.",
    {
        "QUEUED": "Waits for a worker.",
        "RUNNING": "Is being read and written.",
        "CANCELLING": "Was cancelled; what it wrote is being taken back.",
        "REVERTING": "Is being taken back.",
        "COMPLETED": (
            "Has ended well; single rows may have been rejected. With a `failure` it was to be taken back and stays."
        ),
        "REFUSED": "Nothing was imported, because a row was bad and `onError` is REJECT_ALL.",
        "FAILED": "The file as a whole could not be read, and nothing was imported; see `failure`.",
        "CANCELLED": "Was cancelled; nothing of it is left.",
        "REVERTED": "Was completed and then taken back; nothing of it is left.",
    },
)
describe(RejectCode, "Why a row was rejected.", {code.name: code.documentation for code in RejectCode})
describe(FileProblemCode, "Why a file could not be read.", {code.name: code.documentation for code in FileProblemCode})


@strawberry.type(
    description="Why the file as a whole could not be read (nothing of it was imported), or why taking it back failed."
)
class ImportFailure:
    """Why the file as a whole could not be read, or why taking it back failed."""

    code: FileProblemCode = strawberry.field(description="The machine-readable reason.")
    message: str = strawberry.field(description="What is wrong, in one sentence.")
    hint: str = strawberry.field(description="What to do about it.")
    line: int | None = strawberry.field(description="The physical line of the unpacked file, from 1, where it shows.")
    column: str | None = strawberry.field(description="The header of the column it is about.")
    blockers: list[str] = strawberry.field(
        default_factory=list,
        description="What stands in the way of taking it back, such as invoices that sold its bottles; at most 100.",
    )


@strawberry.type(description="How many rows were rejected for one reason.")
class RejectCount:
    """How many rows were rejected for one reason."""

    code: RejectCode = strawberry.field(description="The reason.")
    count: BigInt = strawberry.field(description="Rows rejected for it.")


@strawberry.type(description="A row that was not imported, and why.")
class ImportReject:
    """A row that was not imported."""

    record: BigInt = strawberry.field(description="Number of the row among the data rows of the file, from 1.")
    line: BigInt = strawberry.field(description="Physical line of the unpacked file on which the row begins, from 1.")
    column: str | None = strawberry.field(description="Header of the offending column; null when it is the whole row.")
    code: RejectCode = strawberry.field(description="The machine-readable reason.")
    value: str | None = strawberry.field(description="The offending text, at most 200 characters of it.")
    hint: str = strawberry.field(description="What to do, for a person.")
    fields: list[str] = strawberry.field(description="The cells of the row as they stand in the file.")

    @classmethod
    def from_row(cls, row: ImportRejectRow) -> "ImportReject":
        """The reject as clients see it."""
        return cls(
            record=BigInt(row.record),
            line=BigInt(row.line),
            column=row.column,
            code=RejectCode[row.code],
            value=row.value,
            hint=row.hint,
            fields=row.fields,
        )


@strawberry.type(description="How far an import is.")
class ImportProgress:
    """How far an import is."""

    share: float = strawberry.field(description="From 0 to 1, by the bytes of the file that were read.")
    rows_per_second: float = strawberry.field(description="Rows read a second since it started.")
    seconds_left: float | None = strawberry.field(description="Time it still needs; null while that is unknown.")


@strawberry.type(
    name="Import",
    description="A file on its way in, or what became of it. Ask again every second or so while it has not ended.",
)
class Import(Node):
    """A file on its way in."""

    row: strawberry.Private[ImportJobRow]
    kind: ImportKind = strawberry.field(description="What the file holds.")
    mode: ImportMode = strawberry.field(description="What happens to rows that say something else than is known.")
    stock_effect: StockEffect = strawberry.field(description="What sold lines do to stock; NONE for other kinds.")
    on_error: RejectPolicy = strawberry.field(description="What one bad row does to the others.")
    dry_run: bool = strawberry.field(description="True when the file is only looked at and nothing is changed.")
    status: ImportStatus = strawberry.field(description="Where it stands.")
    file_name: str = strawberry.field(description="The name of the file as it was uploaded.")
    file_size: BigInt = strawberry.field(description="Bytes of the file as it was uploaded.")
    sha256: str = strawberry.field(description="SHA-256 of the file as it was uploaded, in hexadecimal digits.")
    rows_read: BigInt = strawberry.field(description="Rows read so far: the sum of the four counts below.")
    rows_inserted: BigInt = strawberry.field(description="Rows that became new lines (or would, in a dry run).")
    rows_updated: BigInt = strawberry.field(description="Rows that replaced a line (UPSERT only).")
    rows_unchanged: BigInt = strawberry.field(description="Rows that say what is already known.")
    rows_rejected: BigInt = strawberry.field(description="Rows that were refused; see `rejects`.")
    created_at: dt.datetime = strawberry.field(description="When the file had arrived.")
    started_at: dt.datetime | None = strawberry.field(description="When a worker first took it up.")
    finished_at: dt.datetime | None = strawberry.field(description="When it ended; null until then.")
    audit_trail = audit_trail_field()

    @classmethod
    def from_row(cls, row: ImportJobRow) -> "Import":
        """The job as clients see it."""
        return cls(
            id=global_id("Import", row.id),
            row=row,
            kind=row.kind,
            mode=row.mode,
            stock_effect=row.stock_effect,
            on_error=row.on_error,
            dry_run=row.dry_run,
            status=row.status,
            file_name=row.file_name,
            file_size=BigInt(row.file_size),
            sha256=row.sha256,
            rows_read=BigInt(row.rows_read),
            rows_inserted=BigInt(row.rows_inserted),
            rows_updated=BigInt(row.rows_updated),
            rows_unchanged=BigInt(row.rows_unchanged),
            rows_rejected=BigInt(row.rows_rejected),
            created_at=row.created_at,
            started_at=row.started_at,
            finished_at=row.finished_at,
        )

    @strawberry.field(description="Why the import failed, or why taking it back did; null when neither happened.")
    def failure(self) -> ImportFailure | None:
        """Why it failed."""
        if self.row.failure is None:
            return None
        return ImportFailure(**{**self.row.failure, "code": FileProblemCode[self.row.failure["code"]]})

    @strawberry.field(description="How far it is, and how fast.")
    def progress(self) -> ImportProgress:
        """How far it is."""
        progress = import_job.measure_progress(self.row, now_utc())
        left = progress.remaining.total_seconds() if progress.remaining is not None else None
        return ImportProgress(share=progress.share, rows_per_second=progress.rows_per_second, seconds_left=left)

    @strawberry.field(description="Rejected rows counted by reason, the most frequent first.")
    async def reject_counts(self, info: Info) -> list[RejectCount]:
        """Rejected rows counted by reason."""
        counts = await info.context.loaders.reject_counts.load(self.row.id)
        return [RejectCount(code=code, count=BigInt(count)) for code, count in counts]

    @strawberry.field(description="The rejected rows, in the order of the file.")
    async def rejects(self, info: Info, first: FirstAlone = UNSET, after: After = UNSET) -> Connection[ImportReject]:
        """The rejected rows."""
        query = ListQuery(page=page_request(first, after))
        return await list_connection(info.context, rejects_of(self.row.id), ImportReject.from_row, query)

    @strawberry.field(
        description=(
            "Where to download the rejected rows as CSV: the original columns, then the reasons. Correct the rows and "
            "import that file as it is. The link is yours alone and opens without a header for 10 minutes; after that "
            "ask again, or send your access token. Null when nothing was rejected."
        )
    )
    def rejects_url(self, info: Info) -> str | None:
        """Where to download the rejected rows."""
        return ticket_url(info, f"/imports/{self.id}/rejects.csv") if self.row.rows_rejected else None


@strawberry.input(description="Which imports; all given conditions must hold.")
class ImportWhere:
    """Which imports."""

    id: IdFilter | None = id_filter("Import", "The id.")
    file_name: StringFilter | None = operator("The name of the file.")
    and_: list["ImportWhere"] | None = operator(ALL_OF, name="and")
    or_: list["ImportWhere"] | None = operator(ANY_OF, name="or")
    not_: "ImportWhere | None" = operator(NONE_OF, name="not")


@strawberry.enum(description="What imports can be sorted by.")
class ImportOrderField(Enum):
    """What imports can be sorted by."""

    CREATED_AT = strawberry.enum_value("CREATED_AT", description="When the file had arrived.")


@strawberry.input(description="One key of the order of imports.")
class ImportOrder:
    """One key of the order of imports."""

    by: ImportOrderField = strawberry.field(description="What to sort by.")
    direction: Direction = strawberry.field(default=Direction.ASC, description="Which end comes first.")


@strawberry.type
class ImportQuery:
    """Root fields of imports."""

    imports: Connection[Import] = list_field(
        import_job.IMPORTS,
        Import.from_row,
        where=ImportWhere,
        order=ImportOrder,
        what="imports",
        searched="the names of the files",
        description="Imports, the newest first unless `orderBy` says otherwise.",
    )

    @strawberry.field(name="import", description="One import; null when there is none of this id.")
    async def import_(
        self,
        info: Info,
        id: Annotated[  # noqa: A002 - the name of the GraphQL argument
            strawberry.ID, strawberry.argument(description="The id of the import.")
        ],
    ) -> Import | None:
        """One import."""
        row = await info.context.loaders.imports.load(key_of(id, "Import"))
        return Import.from_row(row) if row else None
