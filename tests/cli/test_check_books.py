"""`check-books` as an operator and a script run it."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest
from sqlalchemy import text
from typer.testing import CliRunner, Result

from graphql_api.cli.failure import CommandError
from graphql_api.cli.main import create_program
from graphql_api.database.engine import Database
from graphql_api.services.books_checks import CHECKS
from tests.factories import create_product, create_stock, create_store


@pytest.fixture
def books_url(database_url: str, redis_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A database with a little stock, which the environment names."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("DATABASE_URL", database_url)
    monkeypatch.setenv("REDIS_URL", redis_url)

    async def fill(database: Database) -> None:
        async with database.transaction() as session:
            await create_stock(session, await create_store(session, number=1), await create_product(session, sku="R"))

    on(database_url, fill)
    return database_url


def on(url: str, work: Callable[[Database], Awaitable[None]]) -> None:
    async def run() -> None:
        database = Database(url)
        try:
            await work(database)
        finally:
            await database.close()

    asyncio.run(run())


def corrupt(url: str) -> None:
    async def change(database: Database) -> None:
        async with database.transaction() as session:
            await session.execute(text("SET LOCAL session_replication_role = replica"))
            await session.execute(text("UPDATE stock_lot SET remaining = 99"))

    on(url, change)


def check(*arguments: str) -> Result:
    return CliRunner().invoke(create_program(["check-books"]), ["check-books", *arguments])


@pytest.mark.usefixtures("books_url")
def test_sound_books_end_with_0() -> None:
    result = check()

    assert result.exit_code == 0
    assert result.stdout.count("OK ") == len(CHECKS)
    assert "On-hand and value of every level are the sums of its movements. (1 compared)" in result.stdout


def test_wrong_books_end_with_1_and_name_what_is_wrong(books_url: str) -> None:
    corrupt(books_url)

    result = check()

    assert result.exit_code == 1
    assert "lot 1 of product R of store 1: 99 of 100 bottles; expected 100 of 100 bottles" in result.stdout


def test_scripts_get_json(books_url: str) -> None:
    corrupt(books_url)

    result = check("--json")

    assert result.exit_code == 1
    found = json.loads(result.stdout)
    assert (found["balanced"], found["asOf"], len(found["checks"])) == (False, None, len(CHECKS))
    assert {one["name"]: one["violated"] for one in found["checks"] if not one["held"]} == {
        "LEVELS_ARE_THEIR_LOTS": 1,
        "LOTS_FOLLOW_FROM_USES": 1,
    }


def test_a_day_of_the_past_is_checked_by_its_movements(books_url: str) -> None:
    corrupt(books_url)

    result = check("--json", "--as-of", "2024-01-01")

    assert result.exit_code == 0
    assert (json.loads(result.stdout)["asOf"], len(json.loads(result.stdout)["checks"])) == ("2024-01-01", 3)


@pytest.mark.usefixtures("books_url")
def test_what_is_no_day_is_refused() -> None:
    result = check("--as-of", "yesterday")

    assert isinstance(result.exception, CommandError)
    assert "yesterday is no day" in str(result.exception)
