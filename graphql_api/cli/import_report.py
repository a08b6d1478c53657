"""What `import` shows: a bar while it runs, then the counts."""

from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any, Self

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn
from rich.table import Table

from graphql_api.database.base import now_utc
from graphql_api.database.import_job import ImportJobRow, ImportStatus
from graphql_api.schema.node import global_id
from graphql_api.services.import_job import measure_progress

HEADLINES = {
    ImportStatus.COMPLETED: "Imported",
    ImportStatus.REFUSED: "Refused because of rejected rows, nothing was written:",
    ImportStatus.FAILED: "Failed, nothing was written:",
    ImportStatus.CANCELLED: "Cancelled, nothing of it remains:",
}


@dataclass(frozen=True)
class ImportOutcome:
    """An import that has ended, and how many rows were rejected for which reason."""

    job: ImportJobRow
    rejects: dict[str, int]


class ProgressView:
    """The bar on standard error: share of the file, rows, rows per second, time left."""

    def __init__(self) -> None:
        self._progress = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            TaskProgressColumn(),
            TextColumn("{task.fields[rows]:,} rows  {task.fields[rate]:,.0f}/s  {task.fields[left]}"),
            console=Console(stderr=True),
        )
        self._task = self._progress.add_task("Storing", total=1.0, rows=0, rate=0.0, left="")

    def __enter__(self) -> Self:
        self._progress.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._progress.stop()

    def show(self, job: ImportJobRow) -> None:
        """Bring the bar to where the job stands."""
        progress = measure_progress(job, now_utc())
        self._progress.update(
            self._task,
            description=job.status.value.capitalize(),
            completed=progress.share,
            rows=job.rows_read,
            rate=progress.rows_per_second,
            left=_time_left(progress.remaining),
        )

    def say(self, message: str) -> None:
        """Print a line above the bar."""
        self._progress.console.print(message)


def as_json(outcome: ImportOutcome) -> dict[str, Any]:
    """The outcome for scripts; the counts are rows of the file."""
    job = outcome.job
    progress = measure_progress(job, now_utc())
    return {
        "id": global_id("Import", job.id),
        "number": job.id,
        "kind": job.kind.value,
        "status": job.status.value,
        "dryRun": job.dry_run,
        "fileName": job.file_name,
        "sha256": job.sha256,
        "rowsRead": job.rows_read,
        "rowsInserted": job.rows_inserted,
        "rowsUpdated": job.rows_updated,
        "rowsUnchanged": job.rows_unchanged,
        "rowsRejected": job.rows_rejected,
        "rejectsByCode": outcome.rejects,
        "seconds": round(_duration(job), 3),
        "rowsPerSecond": round(progress.rows_per_second),
        "failure": job.failure,
    }


def print_outcome(outcome: ImportOutcome, rejects_file: Path | None) -> None:
    """Print the outcome for a person."""
    console = Console(soft_wrap=True, highlight=False)
    job = outcome.job
    headline = "Checked, nothing was written:" if _was_checked(job) else HEADLINES.get(job.status, job.status.value)
    console.print(
        f"{headline} {job.file_name} in {_duration(job):.1f} s: {job.rows_read:,} rows read, "
        f"{job.rows_inserted:,} inserted, {job.rows_updated:,} updated, {job.rows_unchanged:,} unchanged, "
        f"{job.rows_rejected:,} rejected.",
        markup=False,
    )
    if job.failure:
        console.print(f"{job.failure['message']} {job.failure['hint']}", markup=False)
    if outcome.rejects:
        console.print(_reject_table(outcome.rejects))
        where = str(rejects_file) if rejects_file else f"--rejects FILE writes them; GET /imports/{job.id}/rejects.csv"
        console.print(f"The rejected rows with their reasons: {where}", markup=False)


def _was_checked(job: ImportJobRow) -> bool:
    return job.dry_run and job.status is ImportStatus.COMPLETED


def _reject_table(rejects: dict[str, int]) -> Table:
    table = Table("Reason", "Rows")
    for code, count in rejects.items():
        table.add_row(code, f"{count:,}")
    return table


def _duration(job: ImportJobRow) -> float:
    if job.started_at is None or job.finished_at is None:
        return 0.0
    return (job.finished_at - job.started_at).total_seconds()


def _time_left(remaining: timedelta | None) -> str:
    if remaining is None:
        return ""
    minutes, seconds = divmod(round(remaining.total_seconds()), 60)
    return f"{minutes}:{seconds:02} left"
