"""Numbers of invoices have no holes, whatever happens to those who take them."""

import asyncio
import json
import random

import pytest

from graphql_api.database.engine import Database
from tests.factories import create_stock
from tests.programs import PIPE, Program
from tests.services.invoice_case import InvoiceCase

INVOICES = 500
FAULTS = 50
PROCESSES = 3
PATIENCE = 300.0
DRAFTS = """
WITH drafts AS (
  INSERT INTO invoice (store_id, date, status, created_by)
  SELECT :store, DATE '2024-03-15', 'DRAFT', 1 FROM generate_series(1, :count) RETURNING id, store_id, date
)
INSERT INTO invoice_line (invoice_id, line_number, store_id, place_id, product_id, date, quantity, unit_price, revenue,
                          cost)
SELECT d.id, 1, d.store_id, :place, :product, d.date, 1, 900, 900, 0 FROM drafts d
"""


@pytest.fixture
async def case(database: Database) -> InvoiceCase:
    case = InvoiceCase(database)
    await case.fill()
    return case


async def create_drafts(case: InvoiceCase) -> list[int]:
    """The keys of drafts of one bottle each; there is stock for all but ten of those that are to be issued."""
    product = case.products[0]
    async with case.database.transaction() as session:
        await create_stock(session, case.store, product, INVOICES)
    await case.execute(DRAFTS, store=case.store.id, place=case.store.place_id, product=product.id, count=INVOICES)
    return [row[0] for row in await case.rows("SELECT id FROM invoice ORDER BY id")]


async def run_process(url: str, wishes: list[tuple[int, str]]) -> list[str | None]:
    process = Program("tests.faults.invoice_process:main", url, json.dumps(wishes), stdout=PIPE)
    output, _ = await asyncio.to_thread(process.communicate, PATIENCE)
    assert process.returncode == 0
    answer: list[str | None] = json.loads(output)
    return answer


async def test_five_hundred_invoices_at_once_with_fifty_failures_leave_no_hole(case: InvoiceCase) -> None:
    # given: of the failures some have too little stock, some break, and some lose their connection
    seed = random.SystemRandom().randrange(1 << 32)
    print(f"seed {seed}")  # noqa: T201 - shown when the test fails
    rng = random.Random(seed)  # noqa: S311 - repeatable, no secret
    drafts = await create_drafts(case)
    failing = rng.sample(drafts, FAULTS)
    faults = {key: rng.choice(["error", "cut", "short"]) for key in failing}
    for key in (key for key, fault in faults.items() if fault == "short"):
        await case.execute(
            "UPDATE invoice_line SET quantity = 9999, revenue = 9999 * 900 WHERE invoice_id = :id", id=key
        )
    rng.shuffle(drafts)
    wishes = [(key, faults.get(key, "")) for key in drafts]

    # when
    answers = await asyncio.gather(
        *(run_process(case.database.url, wishes[start::PROCESSES]) for start in range(PROCESSES))
    )

    # then
    numbers = sorted(number for answer in answers for number in answer if number)
    kept = INVOICES - FAULTS
    assert numbers == [f"2633-{number:06}" for number in range(1, kept + 1)]
    assert await case.rows("SELECT number FROM invoice WHERE status = 'ISSUED' ORDER BY number") == [
        (number,) for number in numbers
    ]
    assert await case.rows("SELECT id FROM invoice WHERE status = 'DRAFT' AND number IS NULL ORDER BY id") == [
        (key,) for key in sorted(failing)
    ]
    assert await case.on_hand() == [10 + INVOICES - kept, 10, 10]
    await case.check()
