"""Nobody learns from this server whether an address has an account."""

import statistics
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from random import Random

import pytest
from sqlalchemy import event

from graphql_api.database.engine import Database
from graphql_api.database.one_time_code import CodePurpose
from graphql_api.services.password import Passwords
from tests.client import CHEAP
from tests.services.account_case import ADDRESS, WRONG, AccountCase, create_signed_in, refusal_of

NEW = "thirteen green bicycles"


@contextmanager
def statements(database: Database) -> Iterator[list[str]]:
    """The statements that are sent while the block lasts, through SQLAlchemy; those of the record go past it."""
    sent: list[str] = []

    def note(_connection: object, _cursor: object, statement: str, *_: object) -> None:
        sent.append(statement)

    event.listen(database.engine.sync_engine, "before_cursor_execute", note)
    yield sent
    event.remove(database.engine.sync_engine, "before_cursor_execute", note)


async def test_known_and_unknown_addresses_cause_the_same_statements(database: Database) -> None:
    case = AccountCase(database)
    await create_signed_in(case)
    sent: list[list[str]] = []

    for email in (ADDRESS, "nobody@example.com"):
        with statements(database) as asked:
            registration, reset = await case.register(email), await case.request_reset(email)
        await case.mails()
        with statements(database) as tried:
            assert await refusal_of(case.verify(registration.token, WRONG))
            assert await refusal_of(case.verify_reset(reset.token, WRONG))
            assert await refusal_of(case.reset(reset.token, NEW))
        sent.append(asked + tried)

    assert len(sent[0]) >= 9
    assert sent[0] == sent[1]


@pytest.mark.parametrize("purpose", list(CodePurpose))
async def test_known_and_unknown_addresses_take_the_same_time(database: Database, purpose: CodePurpose) -> None:
    # dear enough that a password which is hashed for some addresses alone would show
    case = AccountCase(database, passwords=Passwords(replace(CHEAP, memory_cost=32_768)))
    await create_signed_in(case)
    times: dict[str, list[float]] = {ADDRESS: [], "nobody@example.com": []}
    ask, verify = (
        (case.register, case.verify) if purpose is CodePurpose.VERIFY_EMAIL else (case.request_reset, case.verify_reset)
    )

    order = Random(7)  # noqa: S311 - so that neither always comes first
    for _ in range(20):
        for email in order.sample(sorted(times), 2):
            # of this process alone, its threads among it: what others do on the machine makes no difference
            start = time.process_time()
            challenge = await ask(email)
            await refusal_of(verify(challenge.token, WRONG))
            times[email].append(time.process_time() - start)

    known, unknown = (statistics.median(taken) for taken in times.values())
    assert 0.67 < known / unknown < 1.5
