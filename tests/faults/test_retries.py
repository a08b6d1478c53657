"""Transactions that meet each other the wrong way round run again, and nobody hears of it."""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Annotated, Any

import pytest
import strawberry
from sqlalchemy import text

from graphql_api.database.engine import Database
from graphql_api.schema.context import Info, Services
from graphql_api.schema.errors import InputError, UserError
from graphql_api.schema.mutation import attempt
from graphql_api.schema.permissions import Policy
from graphql_api.schema.root import ApiSchema, build_schema
from graphql_api.services import retry
from graphql_api.services.policy import Action
from graphql_api.services.retry import MAX_RETRIES, retry_lost_races
from graphql_api.services.storage import FileStorage
from graphql_api.services.unit_of_work import UnitOfWork
from tests.client import Client, create_services, schema_client
from tests.factories import create_product
from tests.schema.mutation_examples import EXAMPLES
from tests.schema.mutation_walk import World, successful_document
from tests.services.account_case import AccountCase

PATIENCE = 120.0
SWAP = "mutation ($first: Int!, $then: Int!) { swap(first: $first, then: $then) { runs userErrors { code } } }"
LOSE_FIRST_COMMIT = (
    "CREATE SEQUENCE commits_tried",
    """
    CREATE FUNCTION lose_race() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
        -- a sequence is not taken back, so that this happens once
        IF nextval('commits_tried') = 1 THEN RAISE EXCEPTION 'lost' USING ERRCODE = '40001'; END IF;
        RETURN NULL;
    END $$
    """,
    """
    CREATE CONSTRAINT TRIGGER lost AFTER INSERT ON audit_entry DEFERRABLE INITIALLY DEFERRED
    FOR EACH ROW EXECUTE FUNCTION lose_race()
    """,
)


class Meeting:
    """Two who wait for each other once, so that both hold their first lock when they ask for the second."""

    def __init__(self) -> None:
        self._here = 0
        self._all = asyncio.Event()

    async def wait(self) -> None:
        self._here += 1
        if self._here == 2:
            self._all.set()
        await asyncio.wait_for(self._all.wait(), PATIENCE)


@strawberry.type(description="What came of it.")
class SwapPayload:
    """What came of it."""

    runs: int = strawberry.field(default=0, description="How often it ran.")
    user_errors: list[UserError] = strawberry.field(default_factory=list, description="Why not.")


@strawberry.type(description="Nothing.")
class Nothing:
    """Nothing."""

    nothing: int = strawberry.field(default=0, description="Nothing.")


Key = Annotated[int, strawberry.argument(description="The key of a product.")]


def swapping_schema(meeting: Meeting) -> ApiSchema:
    """A schema whose one mutation locks two products in the order it is told."""

    @strawberry.type(description="One mutation.")
    class Swap:
        """One mutation."""

        @strawberry.mutation(description="Change two products, one after the other.")  # type: ignore[untyped-decorator]  # an overload that mypy cannot resolve on async methods
        async def swap(self, info: Info, first: Key, then: Key) -> SwapPayload:
            """Change two products."""
            runs = 0

            async def run(work: UnitOfWork) -> SwapPayload:
                nonlocal runs
                runs += 1
                await touch(work, first)
                await meeting.wait()
                await touch(work, then)
                work.record("Product", first, after={"swapped": then})
                return SwapPayload(runs=runs)

            return await attempt(info, lambda errors: SwapPayload(user_errors=errors), run)

    policy = Policy(root_fields={"swap": Action.CREATE_PRODUCT}, fields={}, inputs={})
    return ApiSchema(query=Nothing, mutation=Swap, types=[InputError], policy=policy)


async def touch(work: UnitOfWork, product_id: int) -> None:
    await work.session.execute(text("UPDATE product SET version = version + 1 WHERE id = :id"), {"id": product_id})


@pytest.fixture(scope="session")
def schema() -> ApiSchema:
    return build_schema()


@pytest.fixture
def services(database: Database, tmp_path: Path) -> Services:
    return create_services(database, FileStorage(str(tmp_path / "storage")))


async def two_products(database: Database) -> tuple[int, int]:
    async with database.transaction() as session:
        await session.execute(text("ALTER SEQUENCE product_id_seq RESTART WITH 100"))
        return (await create_product(session)).id, (await create_product(session)).id


async def scalar(database: Database, statement: str) -> Any:
    async with database.read() as session:
        return await session.scalar(text(statement))


@pytest.mark.parametrize("key", [None, "a key"], ids=["plain", "with a key"])
async def test_a_deadlock_of_two_mutations_is_settled_unseen(
    database: Database, services: Services, key: str | None
) -> None:
    one, other = await two_products(database)
    schema = swapping_schema(Meeting())
    clients = [schema_client(schema, services, idempotency_key=key and f"{key} {number}") for number in range(2)]

    answers = await asyncio.gather(
        clients[0].execute(SWAP, first=one, then=other), clients[1].execute(SWAP, first=other, then=one)
    )

    assert [answer["swap"]["userErrors"] for answer in answers] == [[], []]
    assert sorted(answer["swap"]["runs"] for answer in answers) == [1, 2]
    assert await scalar(database, "SELECT array_agg(version) FROM product") == [3, 3]
    assert await scalar(database, "SELECT count(*) FROM audit_entry") == 2


async def test_a_write_skew_that_shows_at_the_commit_is_settled_unseen(database: Database) -> None:
    one, other = await two_products(database)
    meeting = Meeting()
    runs = 0

    async def change(read: int, write: int) -> None:
        nonlocal runs
        runs += 1
        async with database.transaction() as session:
            await session.execute(text("SET TRANSACTION ISOLATION LEVEL SERIALIZABLE"))
            version = await session.scalar(text(f"SELECT version FROM product WHERE id = {read}"))  # noqa: S608 - a number
            await session.execute(text(f"UPDATE product SET version = {version} + 1 WHERE id = {write}"))  # noqa: S608 - as above
            await meeting.wait()

    await asyncio.gather(retry_lost_races(lambda: change(one, other)), retry_lost_races(lambda: change(other, one)))

    # whoever begins again before the other's commit can be seen loses once more
    assert runs > 2
    # one after the other, as if they had never met
    assert sorted(await scalar(database, "SELECT array_agg(version) FROM product")) == [2, 3]


async def install(database: Database, *statements: str) -> None:
    async with database.transaction() as session:
        for statement in statements:
            await session.execute(text(statement))


@pytest.mark.parametrize("name", EXAMPLES)
async def test_every_mutation_survives_a_race_that_it_loses_at_its_commit(
    database: Database, services: Services, schema: ApiSchema, tmp_path: Path, name: str
) -> None:
    world = World(database, AccountCase(database), services, schema)
    await world.fill()
    example = await EXAMPLES[name](world)
    await world.clear_record()
    await install(database, *LOSE_FIRST_COMMIT)
    document = successful_document(world, name, example)

    answer = await world.client(example.viewer).execute(document.text, **document.variables)

    assert answer[name]["userErrors"] == []
    assert [(entry["action"], entry["outcome"]) for entry in await world.entries()] == [(name, "DONE")]
    assert await scalar(database, "SELECT last_value FROM commits_tried") == 2
    folder = tmp_path / "storage/imports"
    assert len(list(folder.iterdir()) if folder.exists() else []) == (name == "startImport")


async def failing(
    database: Database, services: Services, schema: ApiSchema, code: str
) -> tuple[Client, Callable[[], Awaitable[int]]]:
    """A client of a server on which no product can be written, and a function that counts the tries."""
    await install(
        database,
        "CREATE SEQUENCE tries",
        f"""
        CREATE FUNCTION fail() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN PERFORM nextval('tries'); RAISE EXCEPTION 'no' USING ERRCODE = '{code}'; END $$
        """,
        "CREATE TRIGGER failing BEFORE INSERT ON product FOR EACH ROW EXECUTE FUNCTION fail()",
    )

    async def tries() -> int:
        return int(await scalar(database, "SELECT last_value FROM tries"))

    return schema_client(schema, services), tries


CREATE = 'mutation { createProduct(input: {sku: "A-1", name: "Ale"}) { product { id } userErrors { code } } }'


@pytest.mark.parametrize("code", ["40001", "40P01"])
async def test_a_race_that_is_lost_again_and_again_is_a_conflict(
    database: Database, services: Services, schema: ApiSchema, code: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, retry.__name__)
    client, tries = await failing(database, services, schema, code)

    response = await client.execute_raw(CREATE)

    assert response.codes == ["CONFLICT"]
    assert await tries() == MAX_RETRIES + 1
    assert len([record for record in caplog.records if record.name == retry.__name__]) == MAX_RETRIES
    assert await scalar(database, "SELECT count(*) FROM product") == 0


@pytest.mark.parametrize("code", ["55P03", "57014", "23514"])
async def test_what_is_no_lost_race_is_tried_once(
    database: Database, services: Services, schema: ApiSchema, code: str
) -> None:
    client, tries = await failing(database, services, schema, code)

    assert len((await client.execute_raw(CREATE)).codes) == 1
    assert await tries() == 1


def test_the_pauses_grow_and_are_never_the_same() -> None:
    rounds = [list(retry._pauses()) for _ in range(50)]  # noqa: SLF001 - what nobody else may rely on
    for number in range(MAX_RETRIES):
        middle = retry.FIRST_PAUSE * 2**number
        pauses = {pauses[number] for pauses in rounds}
        assert len(pauses) > 40
        assert all(middle / 2 <= pause <= middle * 1.5 for pause in pauses)
