import asyncio
import datetime as dt
import enum
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from decimal import Decimal
from typing import Any
from uuid import uuid4

import asyncpg
import pytest
from sqlalchemy import text
from sqlmodel import SQLModel

from graphql_api.database.engine import Database
from graphql_api.database.user import Role
from graphql_api.services.audit import MASK, Act, Change, is_secret, masked, write_change, write_refusal
from graphql_api.services.audit_check import ENTRIES, verify_audit
from graphql_api.services.errors import ErrorCode
from graphql_api.services.policy import Viewer
from graphql_api.services.unit_of_work import Unrecorded, unit_of_work

SOMEBODY = Viewer(user_id=7, role=Role.STAFF, session_id=9)
ACT = Act("updateProduct", SOMEBODY, "192.0.2.1", "request-1")


class Colour(enum.StrEnum):
    RED = "RED"


class Thing(SQLModel):
    name: str
    api_token: str


@pytest.fixture
async def connection(database_url: str) -> AsyncIterator[asyncpg.Connection]:
    """A superuser's connection to this test's own database."""
    connection = await asyncpg.connect(database_url)
    yield connection
    await connection.close()


async def write(database: Database, number: int = 1) -> None:
    async with unit_of_work(database, ACT) as work:
        work.record("Product", number, before={"name": "old"}, after={"name": f"new {number}"})


SECRETS = [
    *("password", "newPassword", "PASSWORD", "old_password", "passwordHash", "password_hash", "passphrase"),
    *("token", "tokens", "accessToken", "refresh_token", "refreshtoken", "ACCESSTOKEN", "token_hash", "tokenValue"),
    *("code", "codes", "codeSalt", "code_hash", "verificationCode", "invitation_code", "resetCode", "errorCodeSalt"),
    *("secret", "clientSecret", "secret_key", "salt", "successor_salt", "hash", "credentials", "pin", "otp", "cookie"),
]
HARMLESS = [
    *("error_code", "errorCode", "zip_code", "zipCode", "postalCode", "countryCode", "currency_code", "rejectCode"),
    *("access_token_minutes", "refreshTokenDays", "password_changed_at", "tokenCount", "code_attempts"),
    *("name", "barcode", "decoder", "sha256", "hashtag", "saltwater", "opinion", "key_id", "unit_price", "", "_"),
]


@pytest.mark.parametrize("name", SECRETS)
def test_a_name_that_speaks_of_a_secret_is_masked(name: str) -> None:
    assert is_secret(name)
    assert masked({name: "visible"}) == {name: MASK}


@pytest.mark.parametrize("name", HARMLESS)
def test_a_harmless_name_stays_readable(name: str) -> None:
    assert masked({name: "visible"}) == {name: "visible"}


def test_secrets_are_masked_at_any_depth() -> None:
    deep: Any = {"password": {"old": "x", "new": "y"}, "steps": [{"inner": [{"accessToken": "z", "at": 1}]}, ("a",)]}

    assert masked({"user": deep}) == {
        "user": {"password": MASK, "steps": [{"inner": [{"accessToken": MASK, "at": 1}]}, ["a"]]}
    }
    assert masked({"tokens": ["a", "b"]}) == {"tokens": MASK}
    assert masked({"thing": Thing(name="n", api_token="t")}) == {"thing": {"name": "n", "api_token": MASK}}  # noqa: S106 - made up
    assert masked({"password": None}) == {"password": None}
    assert masked(None) is None


def test_values_become_json() -> None:
    fields = {
        "price": Decimal("12.30"),
        "day": dt.date(2024, 3, 15),
        "at": dt.datetime(2024, 3, 15, 12, tzinfo=dt.UTC),
        "colour": Colour.RED,
        "content": b"\xff\x00",
        "names": frozenset({"a"}),
    }

    assert masked(fields) == {
        "price": "12.30",
        "day": "2024-03-15",
        "at": "2024-03-15T12:00:00Z",
        "colour": "RED",
        "content": "ff00",
        "names": ["a"],
    }


async def test_an_act_leaves_one_entry_with_all_that_is_known(
    database: Database, connection: asyncpg.Connection
) -> None:
    await write(database)

    (entry,) = await connection.fetch("SELECT *, now() - at AS age FROM audit_entry")

    assert (entry["actor_id"], entry["actor_role"], entry["session_id"]) == (7, "STAFF", 9)
    assert (entry["action"], entry["outcome"], entry["error_code"]) == ("updateProduct", "DONE", None)
    assert (entry["entity"], entry["entity_id"]) == ("Product", 1)
    assert (entry["before"], entry["after"]) == ('{"name": "old"}', '{"name": "new 1"}')
    assert (entry["address"], entry["request_id"]) == ("192.0.2.1", "request-1")
    assert entry["age"] < dt.timedelta(minutes=1)


async def test_a_change_that_is_taken_back_leaves_no_entry(database: Database, connection: asyncpg.Connection) -> None:
    async def fail_after_writing() -> None:
        async with unit_of_work(database, ACT) as work:
            work.record("Product", 1, after={})
            await work.close()
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await fail_after_writing()

    assert await connection.fetchval("SELECT count(*) FROM audit_entry") == 0
    assert await connection.fetchval("SELECT sum(length) FROM audit_chain") == 0


async def test_an_act_that_says_nothing_or_speaks_twice_is_not_kept(
    database: Database, connection: asyncpg.Connection
) -> None:
    async def act(times: int) -> None:
        async with unit_of_work(database, ACT) as work:
            await work.session.execute(text("UPDATE settings SET company_name = 'Other'"))
            for number in range(times):
                work.record("Product", number)

    for times in (0, 2):
        with pytest.raises(Unrecorded):
            await act(times)

    assert await connection.fetchval("SELECT company_name FROM settings") == "My company"
    assert await connection.fetchval("SELECT count(*) FROM audit_entry") == 0


async def test_a_refusal_is_written_with_its_reason(database: Database, connection: asyncpg.Connection) -> None:
    async with database.transaction() as session:
        await write_refusal(session, Act("login", address="192.0.2.1"), ErrorCode.UNAUTHENTICATED)

    (entry,) = await connection.fetch("SELECT * FROM audit_entry")
    assert (entry["outcome"], entry["error_code"], entry["actor_id"]) == ("REFUSED", "UNAUTHENTICATED", None)


@asynccontextmanager
async def role(connection: asyncpg.Connection, *statements: str) -> AsyncIterator[str]:
    """A role without any rights but those that `statements` give to %s; the connection acts in it."""
    name = f"role_{uuid4().hex}"
    await connection.execute(f"CREATE ROLE {name}")
    try:
        for statement in statements:
            await connection.execute(statement % name)
        await connection.execute(f"SET ROLE {name}")
        yield name
    finally:
        await connection.execute("RESET ROLE")
        await connection.execute(f"REASSIGN OWNED BY {name} TO CURRENT_USER")
        await connection.execute(f"DROP OWNED BY {name}")
        await connection.execute(f"DROP ROLE {name}")


OWN = [f"ALTER TABLE {table} OWNER TO %s" for table in ("audit_entry", "audit_chain")]
OWN += [f"ALTER FUNCTION {function} OWNER TO %s" for function in ("chain_audit_entry", "keep_audit_entries")]
TAMPERING = [
    "UPDATE audit_entry SET action = 'other'",
    "DELETE FROM audit_entry",
    "TRUNCATE audit_entry",
    "UPDATE audit_chain SET length = 0",
    "DELETE FROM audit_chain",
    "INSERT INTO audit_chain (id, hash) VALUES (99, '')",
    "TRUNCATE audit_chain",
]
INSERT = "INSERT INTO audit_entry (action, outcome) VALUES ('ping', 'DONE')"


@pytest.mark.parametrize("statement", TAMPERING)
async def test_not_even_the_owner_changes_the_record(
    database: Database, connection: asyncpg.Connection, statement: str
) -> None:
    await write(database)

    async with role(connection, *OWN, "GRANT USAGE ON SCHEMA public TO %s"):
        await connection.execute(INSERT)
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await connection.execute(statement)
    with pytest.raises(asyncpg.InsufficientPrivilegeError, match="audit"):
        await connection.execute(statement)

    async with database.read() as session:
        check = await verify_audit(session)
    assert (check.checked, check.faults) == (2, [])


async def test_a_role_that_only_inserts_is_chained_like_all_others(
    database: Database, connection: asyncpg.Connection
) -> None:
    rights = ["GRANT USAGE ON SCHEMA public TO %s", "GRANT INSERT ON audit_entry TO %s"]
    async with role(connection, *rights):
        # tables of its own come first for everybody who does not say where to look
        await connection.execute("CREATE TEMPORARY TABLE audit_chain (id int, length bigint, hash bytea)")
        await connection.execute("INSERT INTO pg_temp.audit_chain SELECT i, 5, '' FROM generate_series(0, 31) i")
        await connection.execute(INSERT)

    async with database.read() as session:
        check = await verify_audit(session)
    assert (check.checked, check.faults) == (1, [])


async def test_the_time_of_an_entry_is_that_of_the_database(connection: asyncpg.Connection) -> None:
    await connection.execute(
        "INSERT INTO audit_entry (at, action, outcome) VALUES ('2001-01-01 00:00+00', 'ping', 'DONE')"
    )

    assert await connection.fetchval("SELECT now() - at < interval '1 minute' FROM audit_entry")


ODD_SETTINGS = [
    "SET timezone = 'Asia/Kathmandu'",
    "SET datestyle = 'SQL, DMY'",
    "SET intervalstyle = 'sql_standard'",
    "SET bytea_output = 'escape'",
    "SET extra_float_digits = -15",
    "SET client_encoding = 'LATIN1'",
    "SET standard_conforming_strings = off",
    "SET search_path = pg_temp, trap, public, pg_catalog",
]
TRAP = """
CREATE SCHEMA trap;
CREATE FUNCTION trap.sha256(bytea) RETURNS bytea LANGUAGE sql RETURN '\\x00'::bytea;
CREATE FUNCTION trap.jsonb_build_array(VARIADIC "any") RETURNS jsonb LANGUAGE internal IMMUTABLE
  AS 'jsonb_build_array_noargs';
CREATE TABLE trap.audit_chain (id int, length bigint, hash bytea);
"""


async def test_no_setting_of_a_connection_changes_the_hash(database: Database, connection: asyncpg.Connection) -> None:
    await connection.execute(TRAP)
    for setting in ODD_SETTINGS:
        await connection.execute(setting)
    fields = '{"naïve": "café", "amount": 1.10, "nested": [1, {"b": 2, "a": null}], "big": 12345678901234567890}'

    await connection.execute(
        "INSERT INTO public.audit_entry (action, outcome, before, after) VALUES ('ping', 'DONE', $1, $1)", fields
    )

    async with database.read() as session:
        check = await verify_audit(session)
        entries = (await session.execute(ENTRIES)).all()
        stored = await session.scalars(text("SELECT audit_text(audit_entry) FROM audit_entry"))
        assert [entry.content for entry in entries] == stored.all()
    assert (check.checked, check.faults) == (1, [])


async def test_a_hundred_writers_with_rollbacks_leave_chains_that_agree(database: Database) -> None:
    """More writers than chains and connections; every third takes its change back."""

    async def attempt(number: int) -> None:
        async with unit_of_work(database, ACT) as work:
            work.record("Product", number, after={"name": f"new {number}"})
            if number % 3 == 0:
                await write_change(work.session, ACT, Change("Product", number))
                raise ZeroDivisionError

    results = await asyncio.gather(*(attempt(number) for number in range(100)), return_exceptions=True)

    assert sum(isinstance(result, ZeroDivisionError) for result in results) == 34
    assert sum(result is None for result in results) == 66
    async with database.read() as session:
        check = await verify_audit(session)
    assert (check.checked, check.faults) == (66, [])
    assert sum(end.length for end in check.ends.values()) == 66
    assert len(check.ends) > 1


async def test_writers_of_one_chain_wait_for_each_other_and_do_not_fork_it(
    database: Database, database_url: str, connection: asyncpg.Connection
) -> None:
    """Two processes share a chain when their numbers differ by a multiple of 32."""
    others: dict[int, asyncpg.Connection] = {}
    while True:
        other = await asyncpg.connect(database_url)
        chain = other.get_server_pid() % 32
        if chain in others:
            break
        others[chain] = other
    pair = (others.pop(chain), other)
    try:
        for _ in range(20):
            await asyncio.gather(*(writer.execute(INSERT) for writer in pair))
    finally:
        for writer in (*pair, *others.values()):
            await writer.close()

    assert await connection.fetchval("SELECT array_agg(length) FROM audit_chain WHERE length > 0") == [40]
    async with database.read() as session:
        assert (await verify_audit(session)).is_intact
