"""Import jobs as their users see them: start, watch, cancel, confirm, revert, and what was refused."""

import uuid
from collections.abc import AsyncIterable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from graphql_api.database.base import now_utc
from graphql_api.database.import_job import (
    ImportJobRow,
    ImportKind,
    ImportMode,
    ImportStatus,
    RejectPolicy,
    StockEffect,
)
from graphql_api.database.user import UserRow
from graphql_api.imports.kinds import KINDS
from graphql_api.services.errors import BadInput, Conflict, NotFound
from graphql_api.services.filters import FilterField, column_filter, escape_like
from graphql_api.services.listing import Listing, Sort
from graphql_api.services.policy import OWN_ROWS, Action, Forbidden, Viewer
from graphql_api.services.reading import rows_by_id
from graphql_api.services.storage import FileStorage, StoredFile
from graphql_api.services.translation import Sentence
from graphql_api.services.unit_of_work import UnitOfWork

IMPORT_JOB = "import"
MAX_NAME_LENGTH = 255
FINAL = frozenset(
    {
        ImportStatus.COMPLETED,
        ImportStatus.REFUSED,
        ImportStatus.FAILED,
        ImportStatus.CANCELLED,
        ImportStatus.REVERTED,
    }
)


FIELDS: Mapping[str, FilterField] = {
    "id": column_filter(col(ImportJobRow.id)),
    "status": column_filter(col(ImportJobRow.status)),
    "fileName": column_filter(col(ImportJobRow.file_name)),
    "dryRun": column_filter(col(ImportJobRow.dry_run)),
}
IMPORTS: Listing[ImportJobRow] = Listing(
    statement=select(ImportJobRow),
    key=col(ImportJobRow.id),
    fields=FIELDS,
    sorts={"CREATED_AT": col(ImportJobRow.created_at)},
    default=[Sort("CREATED_AT", is_descending=True)],
    search=lambda text: col(ImportJobRow.file_name).ilike(f"%{escape_like(text)}%", escape="\\"),
)


@dataclass(frozen=True)
class ImportRequest:
    """What a user wants done with a file. `mapping` leads from a header to a field name, "" to ignore it."""

    file_name: str
    kind: ImportKind = ImportKind.SALES
    mode: ImportMode = ImportMode.INSERT
    on_error: RejectPolicy = RejectPolicy.REJECT_ROW
    dry_run: bool = False
    mapping: dict[str, str] = field(default_factory=dict)
    stock_effect: StockEffect = StockEffect.NONE


@dataclass(frozen=True)
class ImportProgress:
    """How far a job is: a share from 0 to 1, rows a second, and the time it still needs (None if unknown)."""

    share: float
    rows_per_second: float
    remaining: timedelta | None


async def receive_file(storage: FileStorage, chunks: AsyncIterable[bytes], *, limit: int) -> StoredFile:
    """Stream an upload of at most `limit` bytes into the storage under a name of its own."""
    return await storage.write(f"imports/{uuid.uuid4().hex}", chunks, limit=limit)


async def start_import(work: UnitOfWork, file: StoredFile, request: ImportRequest) -> ImportJobRow:
    """Create a job for a stored file; a worker takes it up when the transaction has committed.

    Raises:
        BadInput: what is asked for does not go together.
        Forbidden: whoever asks may not change what the file may hold.
    """
    check_request(request, work.act.actor if work.act else None)
    actor = select(col(UserRow.id)).where(col(UserRow.id) == work.actor_id)
    job = ImportJobRow(
        kind=request.kind,
        mode=request.mode,
        on_error=request.on_error,
        dry_run=request.dry_run,
        mapping=request.mapping,
        file_name=_shown_name(request.file_name),
        file_size=file.size,
        sha256=file.sha256,
        storage_key=file.key,
        stock_effect=request.stock_effect,
        created_by=await work.session.scalar(actor) if work.actor_id else None,
    )
    work.session.add(job)
    await work.session.flush()
    await _enqueue(work, job)
    work.record("Import", job.id, after=_facts(job))
    return job


def check_request(request: ImportRequest, actor: Viewer | None) -> None:
    """Return when an import of this kind can be done in this way by `actor`; None is the operator.

    Raises:
        BadInput: what is asked for does not go together.
        Forbidden: whoever asks may not change what the file may hold.
    """
    replaces = request.mode is ImportMode.UPSERT
    if replaces and not KINDS[request.kind].can_replace:
        raise BadInput(
            "What {kind} files bring is not replaced. Import with INSERT; to correct one, revert it and load it again.",
            path=("mode",),
            kind=request.kind.value,
        )
    if request.stock_effect is StockEffect.DEDUCT:
        if request.kind is not ImportKind.SALES:
            raise BadInput("Only SALES files can take bottles from stock.", path=("stockEffect",))
        if replaces:
            raise BadInput(
                "Lines that take bottles from stock cannot be replaced. Import with INSERT.", path=("stockEffect",)
            )
    if replaces and request.kind is ImportKind.PRODUCTS and actor and (Action.EDIT_PRODUCT, actor.role) in OWN_ROWS:
        raise Forbidden(
            "You may edit only products that you created. Import with INSERT, or ask an administrator.", path=("mode",)
        )


def _facts(job: ImportJobRow) -> dict[str, object]:
    """What the audit record keeps of a job."""
    names = ("status", "kind", "mode", "on_error", "stock_effect", "dry_run", "file_name", "file_size", "sha256")
    return {name: getattr(job, name) for name in names}


def _shown_name(name: str) -> str:
    """The last part of a path that a browser or shell sent along, without control characters."""
    base = name.replace("\\", "/").rsplit("/", 1)[-1]
    return "".join(character for character in base if character.isprintable())[-MAX_NAME_LENGTH:] or "upload"


async def _enqueue(work: UnitOfWork, job: ImportJobRow) -> None:
    await work.enqueue(IMPORT_JOB, str(job.id).encode())


async def import_by_id(session: AsyncSession, import_id: int) -> ImportJobRow | None:
    """The job of this id, if there is one."""
    return await session.get(ImportJobRow, import_id)


async def imports_by_id(session: AsyncSession, ids: Sequence[int]) -> list[ImportJobRow | None]:
    """The jobs with these ids, in the order of the ids."""
    return await rows_by_id(session, ImportJobRow, ids)


async def _locked(work: UnitOfWork, import_id: int) -> ImportJobRow:
    job = await work.session.get(ImportJobRow, import_id, with_for_update=True)
    if job is None:
        raise NotFound("There is no import of this id.", path=("id",))
    return job


async def confirm_import(work: UnitOfWork, import_id: int) -> ImportJobRow:
    """Import for real what a completed dry run looked at, from the file already stored."""
    job = await _locked(work, import_id)
    if not job.dry_run or job.status is not ImportStatus.COMPLETED:
        raise Conflict(
            "Only a completed dry run can be confirmed; this import is {status}.", path=("id",), status=_described(job)
        )
    request = ImportRequest(
        job.file_name,
        job.kind,
        job.mode,
        job.on_error,
        dry_run=False,
        mapping=dict(job.mapping),
        stock_effect=job.stock_effect,
    )
    return await start_import(work, StoredFile(job.storage_key, job.file_size, job.sha256), request)


async def cancel_import(work: UnitOfWork, import_id: int) -> ImportJobRow:
    """Stop a job that has not ended; what it has written so far is taken back by the worker."""
    job = await _locked(work, import_id)
    before = _facts(job)
    if job.status is ImportStatus.QUEUED:
        job.status, job.finished_at = ImportStatus.CANCELLED, now_utc()
    elif job.status is ImportStatus.RUNNING:
        job.status = ImportStatus.CANCELLING
        await _enqueue(work, job)
    elif job.status not in {ImportStatus.CANCELLING, ImportStatus.CANCELLED}:
        raise Conflict(
            "Only an import that has not ended can be cancelled; this one is {status}.",
            path=("id",),
            status=_described(job),
        )
    work.record("Import", job.id, before=before, after=_facts(job))
    return job


async def revert_import(work: UnitOfWork, import_id: int) -> ImportJobRow:
    """Have a completed import taken back: its lines go, what they replaced returns."""
    job = await _locked(work, import_id)
    before = _facts(job)
    if job.status in {ImportStatus.REVERTING, ImportStatus.REVERTED}:
        work.record("Import", job.id, before=before, after=before)
        return job
    if job.dry_run or job.status is not ImportStatus.COMPLETED:
        raise Conflict(
            "Only a completed import can be reverted; this one is {status}.", path=("id",), status=_described(job)
        )
    job.status, job.finished_at = ImportStatus.REVERTING, None
    await _enqueue(work, job)
    work.record("Import", job.id, before=before, after=_facts(job))
    return job


def _described(job: ImportJobRow) -> Sentence | str:
    status = job.status.value
    return Sentence("{status}, a dry run", status=status) if job.dry_run else status


def measure_progress(job: ImportJobRow, now: datetime) -> ImportProgress:
    """Progress of a job at an instant, from the bytes of the file that were read."""
    if job.status in FINAL:
        now = job.finished_at or now
    elapsed = (now - job.started_at).total_seconds() if job.started_at else 0.0
    share = _share(job)
    rate = job.rows_read / elapsed if elapsed > 0 else 0.0
    if job.status in FINAL:
        return ImportProgress(share, rate, timedelta(0))
    remaining = timedelta(seconds=elapsed * (1 - share) / share) if share > 0 and elapsed > 0 else None
    return ImportProgress(share, rate, remaining)


def _share(job: ImportJobRow) -> float:
    if job.status is ImportStatus.COMPLETED:
        return 1.0
    read = min(job.bytes_read / job.file_size, 1.0) if job.file_size else 0.0
    if job.on_error is RejectPolicy.REJECT_ALL and not job.dry_run:
        # The file is read twice: once to check it, once to load it.
        return (read + job.checked) / 2
    return read


def validated_mapping(pairs: Iterable[tuple[str, str]]) -> dict[str, str]:
    """Header → field pairs as a mapping.

    Raises:
        BadInput: a header is named twice.
    """
    mapping: dict[str, str] = {}
    for header, target in pairs:
        if header in mapping:
            raise BadInput("The mapping names the column {header!r} twice.", path=("mapping",), header=header)
        mapping[header] = target
    return mapping
