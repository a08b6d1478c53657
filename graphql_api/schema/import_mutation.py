"""What can be done with imports: start, confirm, cancel, revert."""

from collections.abc import Awaitable, Callable
from typing import Annotated

import strawberry

from graphql_api.database.import_job import ImportJobRow, ImportKind, ImportMode, RejectPolicy, StockEffect
from graphql_api.schema.context import Info
from graphql_api.schema.errors import UserError
from graphql_api.schema.import_job import Import
from graphql_api.schema.mutation import attempt
from graphql_api.schema.node import key_of
from graphql_api.schema.upload import Upload
from graphql_api.services import import_job
from graphql_api.services.import_job import ImportRequest
from graphql_api.services.storage import StoredFile
from graphql_api.services.unit_of_work import UnitOfWork


@strawberry.input(description='What a column of the file means, as in {header: "Shop", field: "store_number"}.')
class ColumnMapping:
    """What a column of the file means."""

    header: str = strawberry.field(description="The header as it stands in the file.")
    field: str = strawberry.field(description='A known header such as "Store Number"; empty to ignore the column.')


@strawberry.input(description="A file to import.")
class StartImportInput:
    """A file to import."""

    file: Upload = strawberry.field(description="CSV in UTF-8, plain or packed with gzip or xz.")
    kind: ImportKind = strawberry.field(default=ImportKind.SALES, description="What the file holds.")
    mode: ImportMode = strawberry.field(
        default=ImportMode.INSERT, description="What happens to rows that say something else than is known."
    )
    on_error: RejectPolicy = strawberry.field(
        default=RejectPolicy.REJECT_ROW, description="What one bad row does to the others."
    )
    stock_effect: StockEffect = strawberry.field(
        default=StockEffect.NONE,
        description="What sold lines do to stock; DEDUCT is for SALES files with mode INSERT alone.",
    )
    dry_run: bool = strawberry.field(default=False, description="Only tell what would happen; confirm it later.")
    mapping: list[ColumnMapping] = strawberry.field(
        default_factory=list, description="Meanings of columns whose headers are not known."
    )


@strawberry.input(description="An import to do something with.")
class ImportInput:
    """An import to do something with."""

    id: strawberry.ID = strawberry.field(description="The id of the import.")


@strawberry.type(description="What came of it: the import, or why not.")
class ImportPayload:
    """What came of it."""

    import_: Import | None = strawberry.field(
        name="import", default=None, description="The import as it stands now; null when there are `userErrors`."
    )
    user_errors: list[UserError] = strawberry.field(
        default_factory=list, description="Why it could not be done; empty when it was."
    )


Change = Callable[[UnitOfWork, int], Awaitable[ImportJobRow]]


def _refused(errors: list[UserError]) -> ImportPayload:
    return ImportPayload(user_errors=errors)


async def _change(info: Info, import_id: str, change: Change) -> ImportPayload:
    """Do something with one job in one transaction."""

    async def run(work: UnitOfWork) -> ImportPayload:
        row = await change(work, key_of(import_id, "Import"))
        return ImportPayload(import_=Import.from_row(row))

    return await attempt(info, _refused, run)


async def _start(info: Info, request: StartImportInput) -> ImportPayload:
    storage = info.context.storage
    stored: StoredFile | None = None
    has_job = False

    async def run(work: UnitOfWork) -> ImportPayload:
        nonlocal stored, has_job
        has_job = False
        mapping = import_job.validated_mapping((column.header, column.field) for column in request.mapping)
        wish = ImportRequest(
            request.file.filename,
            request.kind,
            request.mode,
            request.on_error,
            request.dry_run,
            mapping,
            request.stock_effect,
        )
        import_job.check_request(wish, info.context.viewer)
        # a transaction that runs again finds the file stored
        if stored is None:
            # without an idempotency key nothing was asked of the database yet: no connection waits for the upload
            limit = info.context.services.upload_limit
            stored = await import_job.receive_file(storage, request.file.chunks(), limit=limit)
        row = await import_job.start_import(work, stored, wish)
        has_job = True
        return ImportPayload(import_=Import.from_row(row))

    try:
        return await attempt(info, _refused, run)
    finally:
        # no job, no file; but a commit whose outcome nobody heard of may have made the job
        if stored is not None and not has_job:
            await storage.delete(stored.key)


StartArgument = Annotated[StartImportInput, strawberry.argument(description="The file, and what to do with it.")]
ImportArgument = Annotated[ImportInput, strawberry.argument(description="Which import.")]


@strawberry.type
class ImportMutation:
    """Mutations of imports."""

    @strawberry.mutation(
        description=(
            "Take a file of sales, products, stores, purchases or counted stock in and answer at once; a worker then "
            "reads it. Follow the job with `import(id)`. The same file twice changes nothing."
        )
    )
    async def start_import(self, info: Info, input: StartArgument) -> ImportPayload:  # noqa: A002 - the GraphQL name
        """Take a file in."""
        return await _start(info, input)

    @strawberry.mutation(description="Import for real what a completed dry run looked at. This is a new import.")
    async def confirm_import(self, info: Info, input: ImportArgument) -> ImportPayload:  # noqa: A002 - as above
        """Import for real what a dry run looked at."""
        return await _change(info, input.id, import_job.confirm_import)

    @strawberry.mutation(description="Stop an import that has not ended. What it wrote so far is taken back.")
    async def cancel_import(self, info: Info, input: ImportArgument) -> ImportPayload:  # noqa: A002 - as above
        """Stop an import."""
        return await _change(info, input.id, import_job.cancel_import)

    @strawberry.mutation(
        description=(
            "Take a completed import back: what it wrote goes, what it changed returns, bottles go back to where they "
            "were, and the stores, products and places that it created and nothing else uses are removed. All or "
            "nothing: when something has been used or changed since, the import stays COMPLETED and "
            "`failure.blockers` names it."
        )
    )
    async def revert_import(self, info: Info, input: ImportArgument) -> ImportPayload:  # noqa: A002 - as above
        """Take an import back."""
        return await _change(info, input.id, import_job.revert_import)
