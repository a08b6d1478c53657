"""`/metrics`: who may read it, and what it says in a process that has checked nothing itself."""

import asyncio
import time

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families
from sqlalchemy import text
from starlette.applications import Starlette

from graphql_api.app import create_app
from graphql_api.config import Settings
from graphql_api.database.engine import Database
from graphql_api.database.user import Role
from graphql_api.services.books_watch import check_and_remember
from graphql_api.services.unit_of_work import unit_of_work
from tests.factories import create_product, create_stock, create_store
from tests.transport.conftest import authorization, client_of, create_viewer

PATIENCE = 60.0


def numbers(response: httpx.Response) -> dict[str, float]:
    """The values, by name and labels."""
    assert response.status_code == 200, response.text
    return {
        sample.name + "".join(f"/{value}" for value in sample.labels.values()): sample.value
        for family in text_string_to_metric_families(response.text)
        for sample in family.samples
    }


@pytest.mark.parametrize(
    ("role", "status"), [(Role.ADMIN, 200), (Role.STAFF, 403), (Role.SALESPERSON, 403), (Role.CUSTOMER, 403)]
)
async def test_administrators_read_metrics_and_nobody_else(
    app: Starlette, settings: Settings, database: Database, role: Role, status: int
) -> None:
    async with client_of(app, authorization(settings, await create_viewer(database, role))) as client:
        assert (await client.get("/metrics")).status_code == status


async def test_a_stranger_reads_no_metrics(stranger: httpx.AsyncClient) -> None:
    response = await stranger.get("/metrics")
    forged = await stranger.get("/metrics", headers={"x-forwarded-for": "127.0.0.1"})

    assert (response.status_code, forged.status_code) == (401, 401)
    assert "graphql_api" not in response.text


@pytest.mark.parametrize(
    ("readers", "address", "status"),
    [
        (("10.1.0.0/16",), "10.1.2.3", 200),
        (("10.1.0.0/16",), "10.2.0.1", 401),
        (("::1/128",), "::1", 200),
        (("10.1.0.0/16",), "not-an-address", 401),
    ],
)
async def test_known_addresses_read_without_a_token(
    settings: Settings, readers: tuple[str, ...], address: str, status: int
) -> None:
    app = create_app(settings.model_copy(update={"metrics_readers": readers}))
    transport = httpx.ASGITransport(app=app, client=(address, 50_000))
    async with (
        app.router.lifespan_context(app),
        httpx.AsyncClient(transport=transport, base_url="http://localhost") as client,
    ):
        assert (await client.get("/metrics")).status_code == status


async def test_a_process_knows_of_checks_that_another_made(http: httpx.AsyncClient, database: Database) -> None:
    # given books that were never checked
    assert "graphql_api_books_balanced" not in numbers(await http.get("/metrics"))

    # when something else checks them, sound and then wrong
    async with database.transaction() as session:
        await create_stock(session, await create_store(session), await create_product(session))
    first = await check_and_remember(database)
    sound = numbers(await http.get("/metrics"))
    async with database.transaction() as session:
        await session.execute(text("SET LOCAL session_replication_role = replica"))
        await session.execute(text("UPDATE stock_level SET value = value + 1"))
    second = await check_and_remember(database)
    wrong = numbers(await http.get("/metrics"))

    # then
    assert (sound["graphql_api_books_balanced"], sound["graphql_api_books_violated_checks"]) == (1, 0)
    assert sound["graphql_api_books_checked_timestamp_seconds"] == pytest.approx(first.checked_at.timestamp())
    assert (wrong["graphql_api_books_balanced"], wrong["graphql_api_books_violated_checks"]) == (0, 3)
    assert wrong["graphql_api_books_checked_timestamp_seconds"] == pytest.approx(second.checked_at.timestamp())


async def test_events_are_counted_and_those_that_wait(http: httpx.AsyncClient, database: Database) -> None:
    # given changes that wait because somebody holds the head of the log
    relayed = numbers(await http.get("/metrics"))["graphql_api_relayed_events_total"]
    async with database.transaction() as session:
        await session.execute(text("SELECT FROM event_head FOR UPDATE"))
        async with database.transaction() as writing:
            await create_product(writing)
            await create_product(writing)
        await asyncio.sleep(0.1)
        waiting = numbers(await http.get("/metrics"))

    # when they have their numbers
    async with asyncio.timeout(PATIENCE):
        # the process counts them a moment after they are there
        while numbers(found := await http.get("/metrics"))["graphql_api_relayed_events_total"] < relayed + 2:  # noqa: ASYNC110 - asked
            await asyncio.sleep(0.05)

    # then
    assert waiting["graphql_api_outbox_size"] == 2
    assert waiting["graphql_api_outbox_age_seconds"] > 0.05
    assert (waiting["graphql_api_last_event_number"], numbers(found)["graphql_api_outbox_size"]) == (0, 0)
    assert numbers(found)["graphql_api_last_event_number"] == 2
    assert numbers(found)["graphql_api_relay_leading"] == 1
    assert numbers(found)["graphql_api_relay_terms_total"] >= 1


async def test_the_queue_is_counted_by_job_and_state(http: httpx.AsyncClient, database: Database) -> None:
    began = time.monotonic()
    async with unit_of_work(database) as work:
        await work.enqueue("mail", b"1", b"2")
        await work.session.execute(text("UPDATE jobs.pgqueuer SET execute_after = now() - interval '90 seconds'"))

    response = await http.get("/metrics")
    took = time.monotonic() - began

    assert response.headers["content-type"].startswith("text/plain; version=0.0.4")
    found = numbers(response)
    assert found["graphql_api_jobs/mail/queued"] == 2
    assert 90 <= found["graphql_api_jobs_due_seconds/mail/queued"] <= 90 + took + 1
    assert found["process_resident_memory_bytes"] > 0
