"""Any sequence of imports, dry runs and reverts leaves what a model of a few lines says."""

import asyncio
import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from hypothesis import HealthCheck, Phase, given, note, settings
from hypothesis import strategies as st

from graphql_api.database.engine import Database
from graphql_api.database.import_job import ImportMode, ImportStatus, RejectPolicy
from graphql_api.services import import_job
from graphql_api.services.unit_of_work import unit_of_work
from tests.sales_files import sale, sales_csv
from tests.services.import_case import REFERENCES, ImportCase

# More by hand: IMPORT_EXAMPLES=500 pytest tests/services/test_import_model.py
EXAMPLES = int(os.environ.get("IMPORT_EXAMPLES", "8"))
# Shrinking a failure takes minutes: done only when examples are asked for by hand.
PHASES = list(Phase) if "IMPORT_EXAMPLES" in os.environ else [Phase.generate]
BLOCK_BYTES = 500  # two or three rows
REFERENCED = """
SELECT 'invoice', number FROM invoice UNION ALL SELECT 'product', sku FROM product
UNION ALL SELECT 'note', invoice_number FROM import_seen
"""
HOMES = """
SELECT c.name FROM store s JOIN place p ON p.id = s.place_id JOIN county c ON c.id = p.county_id
"""


class Key(NamedTuple):
    """Which line: an invoice and a number on it."""

    invoice: int
    line: int


class Content(NamedTuple):
    """What a line says; the store and date follow from its invoice."""

    quantity: int
    sku: str
    county: str


class Row(NamedTuple):
    """A row of a file; one without content cannot be read."""

    key: Key
    content: Content | None


@dataclass(frozen=True)
class Load:
    """Import a file."""

    rows: list[Row]
    mode: ImportMode
    policy: RejectPolicy
    dry_run: bool


@dataclass(frozen=True)
class Revert:
    """Take back one of the imports so far, counted round."""

    which: int


@dataclass
class Outcome:
    """What a file does: new lines, replaced lines, and whether a row is refused."""

    inserted: dict[Key, Content] = field(default_factory=dict)
    updated: dict[Key, Content] = field(default_factory=dict)
    refuses: bool = False


Versions = dict[Key, list[tuple[int, Content]]]


def outcome_of(versions: Versions, load: Load) -> Outcome:
    """The first row of an id counts; a later one must say the same."""
    outcome, first = Outcome(), dict[Key, Content]()
    for key, content in load.rows:
        if content is None or first.setdefault(key, content) != content:
            outcome.refuses = True
        elif key not in versions:
            outcome.inserted[key] = content
        elif versions[key][-1][1] != content:
            outcome.updated[key] = content
    if load.mode is ImportMode.INSERT:
        outcome.refuses = outcome.refuses or bool(outcome.updated)
        outcome.updated = {}
    return outcome


def apply(versions: Versions, outcome: Outcome, import_id: int) -> None:
    for key, content in (outcome.inserted | outcome.updated).items():
        versions.setdefault(key, []).append((import_id, content))


def revert(versions: Versions, import_id: int) -> None:
    for key, stack in list(versions.items()):
        versions[key] = [version for version in stack if version[0] != import_id]
        if not versions[key]:
            del versions[key]


def file_of(rows: list[Row]) -> bytes:
    return sales_csv(
        sale(
            f"V{key.invoice}{key.line:05d}",
            store_number=str(10 + key.invoice),
            date=f"2019-04-{key.invoice:02d}" if content else "2019-02-30",
            bottles_sold=str(content.quantity if content else 1),
            sale_dollars="5.00",
            item_number=content.sku if content else "none",
            county=content.county if content else "",
            county_number="",
        )
        for key, content in rows
    )


async def load_and_check(case: ImportCase, versions: Versions, load: Load) -> int | None:
    """Import a file; its id when it can be taken back."""
    outcome = outcome_of(versions, load)
    job = await case.load(file_of(load.rows), mode=load.mode, on_error=load.policy, dry_run=load.dry_run)
    is_refused = load.policy is RejectPolicy.REJECT_ALL and outcome.refuses
    assert job.status is (ImportStatus.REFUSED if is_refused else ImportStatus.COMPLETED)
    assert (job.rows_inserted, job.rows_updated) == (len(outcome.inserted), len(outcome.updated))
    assert bool(job.rows_rejected) == outcome.refuses
    assert job.rows_read == len(load.rows)
    if is_refused or load.dry_run:
        return None
    apply(versions, outcome, job.id)
    return job.id


async def take_back(case: ImportCase, import_id: int) -> None:
    async with unit_of_work(case.database) as work:
        await import_job.revert_import(work, import_id)
    await case.runner.run(import_id)
    assert (await case.job(import_id)).status is ImportStatus.REVERTED


async def check_books(case: ImportCase, versions: Versions) -> None:
    """The tables hold the newest version of every line, and nothing that nobody needs."""
    expected = {(f"V{key.invoice}", key.line, *stack[-1][1]) for key, stack in versions.items()}
    assert {(row[0], row[1], row[8], row[7], row[6]) for row in await case.books()} == expected
    every = [content for stack in versions.values() for _, content in stack]
    assert set(await case.query(REFERENCED)) == {
        *(("invoice", f"V{key.invoice}") for key in versions),
        *(("product", content.sku) for content in every),
    }
    counties = {content.county for content in every}
    found = {row[0] for row in await case.query("SELECT name FROM county")}
    # A store stands where it was first seen, also when the import that saw it there is taken back.
    homes = {row[0] for row in await case.query(HOMES)}
    assert counties <= found <= counties | homes


KEYS = st.builds(Key, st.integers(1, 3), st.integers(1, 3))
CONTENTS = st.builds(
    Content, st.integers(-1, 2), st.sampled_from(["100", "200", "x300"]), st.sampled_from(["POLK", "ADAIR"])
)
ROWS = st.builds(Row, KEYS, st.one_of(*[CONTENTS] * 19, st.none()))
LOADS = st.builds(
    Load,
    st.lists(ROWS, min_size=3, max_size=9),
    st.sampled_from([*ImportMode, ImportMode.UPSERT]),
    st.sampled_from([*[RejectPolicy.REJECT_ROW] * 4, RejectPolicy.REJECT_ALL]),
    st.sampled_from([*[False] * 5, True]),
)
STEPS = st.lists(st.one_of(LOADS, LOADS, LOADS, st.builds(Revert, st.integers(0, 9))), min_size=4, max_size=7)


async def empty(database: Database) -> None:
    """An example that failed must not make the next one fail."""
    async with database.dedicated() as connection:
        # no trigger guards what is only a test's
        await connection.execute("SET session_replication_role = replica")
        await connection.execute("TRUNCATE invoice_line; TRUNCATE import_job CASCADE; DELETE FROM jobs.pgqueuer")


async def follow(case: ImportCase, steps: list[Load | Revert], order: list[int]) -> None:
    await empty(case.database)
    versions: Versions = {}
    done: list[int] = []
    # In the end everything is taken back, in any order, and nothing must be left.
    for step in [*steps, *(Revert(which) for which in order)]:
        if isinstance(step, Load):
            import_id = await load_and_check(case, versions, step)
            done += [import_id] if import_id else []
        elif done:
            import_id = done.pop(step.which % len(done))
            await take_back(case, import_id)
            revert(versions, import_id)
        note(f"{step}: {versions}")
        await check_books(case, versions)
    assert await case.table_sizes() == dict.fromkeys(REFERENCES, 0)


def test_books_are_what_the_model_says(database_url: str, tmp_path: Path) -> None:
    with asyncio.Runner() as runner:
        database = Database(database_url)
        case = ImportCase(database, tmp_path, block_bytes=BLOCK_BYTES)

        @settings(
            max_examples=EXAMPLES,
            deadline=None,
            database=None,
            phases=PHASES,
            print_blob=True,
            suppress_health_check=[HealthCheck.too_slow],
        )
        @given(STEPS, st.lists(st.integers(0, 9), min_size=8, max_size=8))
        def examine(steps: list[Load | Revert], order: list[int]) -> None:
            runner.run(follow(case, steps, order))

        try:
            examine()
        finally:
            runner.run(database.close())
