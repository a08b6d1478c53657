"""UPSERT imports of products and their reverts, in any order, against a model of every column's history."""

import asyncio
from dataclasses import dataclass
from pathlib import Path

from hypothesis import HealthCheck, Phase, given, note, settings
from hypothesis import strategies as st

from graphql_api.database.engine import Database
from graphql_api.database.import_job import ImportKind, ImportMode, ImportStatus
from tests.import_files import csv_of
from tests.services.import_case import ImportCase

COLUMNS = ("Unit Price", "Pack", "Category Name", "Active")
CATALOGUE = """
SELECT p.sku, p.unit_price, p.pack, c.name, p.is_active FROM product p LEFT JOIN category c ON c.id = p.category_id
"""
EMPTY = (
    "SET session_replication_role = replica; TRUNCATE product, category, import_job CASCADE; DELETE FROM jobs.pgqueuer"
)
EXAMPLES = 10
PHASES = (Phase.explicit, Phase.reuse, Phase.generate)  # each step takes a while, so nothing is shrunk
BLOCK_BYTES = 64

Cells = tuple[str, ...]


@dataclass(frozen=True)
class Load:
    """A file: item number → the cells of `COLUMNS`, "" for none."""

    rows: dict[str, Cells]
    mode: ImportMode


@dataclass(frozen=True)
class Revert:
    """Take back one of the imports that stand, counted from the oldest."""

    which: int


@dataclass
class Product:
    """Who created it, and for each column who set it to what, the oldest first."""

    creator: int
    history: list[list[tuple[int, str]]]

    def values(self) -> Cells:
        return tuple(column[-1][1] for column in self.history)

    def owners(self) -> set[int]:
        return {author for column in self.history for author, _ in column[1:]}


Model = dict[str, Product]


def load(model: Model, step: Load, import_id: int) -> tuple[int, int, int, int]:
    """What the import does to the model; rows inserted, updated, unchanged, rejected."""
    inserted = updated = unchanged = rejected = 0
    for sku, cells in step.rows.items():
        product = model.get(sku)
        if product is None:
            model[sku] = Product(import_id, [[(import_id, cell)] for cell in (*cells[:3], cells[3] or "yes")])
            inserted += 1
            continue
        changes = [
            (column, cell)
            for column, cell, present in zip(product.history, cells, product.values(), strict=True)
            if cell and cell != present
        ]
        if not changes:
            unchanged += 1
        elif step.mode is ImportMode.INSERT:
            rejected += 1
        else:
            updated += 1
            for column, cell in changes:
                column.append((import_id, cell))
    return inserted, updated, unchanged, rejected


def is_blocked(model: Model, import_id: int) -> bool:
    """Somebody has set a column again that it has set, other than by creating the product."""
    return any(
        author == import_id for product in model.values() for column in product.history for author, _ in column[1:-1]
    )


def revert(model: Model, import_id: int) -> None:
    for sku, product in list(model.items()):
        for column in product.history:
            if len(column) > 1 and column[-1][0] == import_id:
                column.pop()
        if product.creator != import_id:
            continue
        if others := product.owners():
            product.creator = min(others)
        else:
            del model[sku]


CELLS = st.tuples(
    st.sampled_from(["", "1.00", "2.00", "3.00"]),
    st.sampled_from(["", "6", "12"]),
    st.sampled_from(["", "GIN", "RUM"]),
    st.sampled_from(["", "yes", "no"]),
)
LOADS = st.builds(
    Load,
    st.dictionaries(st.sampled_from(["a", "b", "c"]), CELLS, min_size=1, max_size=3),
    st.sampled_from([ImportMode.INSERT, ImportMode.UPSERT, ImportMode.UPSERT, ImportMode.UPSERT]),
)
STEPS = st.lists(st.one_of(LOADS, LOADS, st.builds(Revert, st.integers(0, 9))), min_size=3, max_size=9)
SHOWN_FLAG = {True: "yes", False: "no"}


async def catalogue(case: ImportCase) -> dict[str, Cells]:
    return {
        sku: (f"{price / 100:.2f}" if price is not None else "", str(pack or ""), category or "", SHOWN_FLAG[active])
        for sku, price, pack, category, active in await case.query(CATALOGUE)
    }


async def take_back(case: ImportCase, model: Model, import_id: int) -> bool:
    expected = is_blocked(model, import_id)
    job = await case.revert(import_id)
    assert (job.status is ImportStatus.COMPLETED) is expected
    assert bool(job.failure and job.failure["blockers"]) is expected
    if not expected:
        revert(model, import_id)
    return not expected


async def follow(case: ImportCase, steps: list[Load | Revert]) -> None:
    async with case.database.dedicated() as connection:
        await connection.execute(EMPTY)
    model: Model = {}
    standing: list[int] = []
    for step in steps:
        if isinstance(step, Load):
            rows = [(sku, f"Name of {sku}", *cells) for sku, cells in step.rows.items()]
            job = await case.load(csv_of(("SKU", "Name", *COLUMNS), rows), kind=ImportKind.PRODUCTS, mode=step.mode)
            found = job.rows_inserted, job.rows_updated, job.rows_unchanged, job.rows_rejected
            assert found == load(model, step, job.id)
            standing.append(job.id)
        elif standing:
            import_id = standing[step.which % len(standing)]
            if await take_back(case, model, import_id):
                standing.remove(import_id)
        note(f"{step}: {model}")
        assert await catalogue(case) == {sku: product.values() for sku, product in model.items()}
    # from the newest to the oldest nothing stands in the way, and nothing is left
    for import_id in reversed(standing):
        assert await take_back(case, model, import_id)
    assert await case.query("SELECT sku FROM product") == []
    assert await case.query("SELECT name FROM category") == []
    assert await case.query("SELECT import_id FROM import_row_change") == []


def test_products_are_what_the_model_says(database_url: str, tmp_path: Path) -> None:
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
        @given(STEPS)
        def examine(steps: list[Load | Revert]) -> None:
            runner.run(follow(case, steps))

        try:
            examine()
        finally:
            runner.run(database.close())
