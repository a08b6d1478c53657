import asyncio
from datetime import UTC, datetime, timedelta

import pytest

from graphql_api.database.engine import Database
from graphql_api.database.one_time_code import CodePurpose
from graphql_api.services.errors import BadInput, ServiceError
from graphql_api.services.key import GivenKeys
from graphql_api.services.mail.message import MailKind
from graphql_api.services.one_time_code import CLEANED, CODE_LENGTH, count_guess, open_challenge
from graphql_api.services.secret import SAFE_ALPHABET, new_token
from tests.factories import create_user
from tests.services.account_case import ADDRESS, WRONG, AccountCase

USERS = "SELECT count(*) FROM user_account"
ATTEMPTS = "SELECT attempts FROM one_time_code ORDER BY id"


@pytest.fixture
def case(database: Database) -> AccountCase:
    return AccountCase(database)


async def refusal_of(case: AccountCase, token: str, code: str) -> ServiceError | None:
    try:
        await case.verify(token, code)
    except ServiceError as refusal:
        return refusal
    return None


async def test_a_code_is_short_safe_and_good_for_ten_minutes(case: AccountCase) -> None:
    challenge = await case.register()
    code = await case.mailed_code()

    assert len(code) == CODE_LENGTH == 8
    assert set(code) <= set(SAFE_ALPHABET)
    left = challenge.expires_at - datetime.now(UTC)
    assert timedelta(minutes=9) < left <= timedelta(minutes=10, seconds=5)


async def test_nothing_that_is_kept_tells_token_or_code(case: AccountCase) -> None:
    challenge = await case.register()
    code = await case.mailed_code()

    kept = await case.rows("SELECT c::text FROM one_time_code c")
    kept += await case.rows("SELECT e::text FROM audit_entry e")
    kept += await case.rows("SELECT convert_from(payload, 'UTF8') FROM jobs.pgqueuer")

    assert kept
    assert challenge.token not in str(kept)
    assert code not in str(kept)


async def test_a_code_is_forgiven_its_looks(case: AccountCase) -> None:
    challenge = await case.register()
    code = await case.mailed_code()

    await case.verify(challenge.token, f" {code[:4].lower()}-{code[4:]} ")

    assert await case.rows(USERS) == [(1,)]


async def test_a_mail_that_is_made_again_has_the_same_code(case: AccountCase) -> None:
    challenge = await case.register()
    first = await case.write_mail(MailKind.VERIFY_EMAIL, challenge.code_id)
    again = await case.write_mail(MailKind.VERIFY_EMAIL, challenge.code_id)

    assert first is not None
    assert first == again


async def test_a_code_counts_once(case: AccountCase) -> None:
    challenge = await case.register()
    code = await case.mailed_code()
    await case.verify(challenge.token, code)

    assert isinstance(await refusal_of(case, challenge.token, code), BadInput)
    assert await case.rows(USERS) == [(1,)]
    assert await case.rows("SELECT pending FROM one_time_code") == [({},)]


async def test_five_wrong_codes_use_the_right_one_up(case: AccountCase) -> None:
    challenge = await case.register()
    code = await case.mailed_code()

    for _ in range(5):
        assert await refusal_of(case, challenge.token, WRONG)
    refusal = await refusal_of(case, challenge.token, code)

    assert refusal is not None
    assert refusal.path == ("code",)
    assert await case.rows(ATTEMPTS) == [(5,)]
    assert await case.rows(USERS) == [(0,)]


async def test_the_fifth_attempt_may_be_the_right_one(case: AccountCase) -> None:
    challenge = await case.register()
    code = await case.mailed_code()
    for _ in range(4):
        assert await refusal_of(case, challenge.token, WRONG)

    await case.verify(challenge.token, code)

    assert await case.rows(USERS) == [(1,)]


async def test_attempts_at_the_same_moment_are_each_counted(case: AccountCase) -> None:
    challenge = await case.register()
    code = await case.mailed_code()

    guesses = await asyncio.gather(
        *(count_guess(case.database, CodePurpose.VERIFY_EMAIL, challenge.token, WRONG) for _ in range(20))
    )

    assert sum(guess.code_id is not None for guess in guesses) == 5
    assert await case.rows(ATTEMPTS) == [(5,)]
    assert await refusal_of(case, challenge.token, code)


async def test_twenty_who_enter_the_right_code_at_once_make_one_account(case: AccountCase) -> None:
    challenge = await case.register()
    code = await case.mailed_code()

    refusals = await asyncio.gather(*(refusal_of(case, challenge.token, code) for _ in range(20)))

    assert sum(refusal is None for refusal in refusals) == 1
    assert {(type(refusal), refusal.path) for refusal in refusals if refusal} == {(BadInput, ("code",))}
    assert await case.rows(USERS) == [(1,)]


@pytest.mark.parametrize(
    "fault",
    [
        "UPDATE one_time_code SET expires_at = now()",
        "UPDATE one_time_code SET used_at = now()",
        "UPDATE one_time_code SET verified_at = now()",
        "UPDATE one_time_code SET attempts = 5",
        "UPDATE one_time_code SET purpose = 'RESET_PASSWORD'",
        "UPDATE one_time_code SET code_hash = NULL",
        "DELETE FROM one_time_code",
    ],
)
async def test_a_code_that_is_not_good_any_more_is_refused_as_a_wrong_one_is(case: AccountCase, fault: str) -> None:
    challenge, other = await case.register(), await case.register("other@example.com")
    codes = {mail.to: str(mail.values["code"]) for mail in await case.mails()}
    wrong = await refusal_of(case, other.token, WRONG)

    await case.execute(fault)
    refusal = await refusal_of(case, challenge.token, codes[ADDRESS])

    assert wrong is not None
    assert refusal is not None
    assert (refusal.code, refusal.message, refusal.path) == (wrong.code, wrong.message, wrong.path)
    assert await case.rows(USERS) == [(0,)]


async def test_a_code_without_its_token_is_worth_nothing(case: AccountCase) -> None:
    """Somebody else registers the same address: neither the mailed code nor the attempts are shared."""
    mine, theirs = await case.register(), await case.register(name="Somebody else")
    codes = [str(mail.values["code"]) for mail in await case.mails()]
    assert codes[0] != codes[1]

    for token in (theirs.token, new_token(), "", "\ud800", "x" * 10_000):
        assert await refusal_of(case, token, codes[0])
    assert await refusal_of(case, mine.token, codes[1])

    assert sorted(await case.rows(ATTEMPTS)) == [(1,), (1,)]
    await case.verify(mine.token, codes[0])
    assert await refusal_of(case, theirs.token, codes[1])
    assert await case.rows(USERS) == [(1,)]


@pytest.mark.parametrize("code", ["", " - ", "\x00", "\ud800", "8" * 100_000, "\u0645\u0646\u0649"])
async def test_any_text_may_be_entered_as_a_code(case: AccountCase, code: str) -> None:
    challenge = await case.register()
    await case.mails()

    refusal = await refusal_of(case, challenge.token, code)

    assert refusal is not None
    assert refusal.path == ("code",)


async def test_a_code_has_one_purpose(case: AccountCase) -> None:
    async with case.database.transaction() as session:
        user = await create_user(session, email=ADDRESS)
    reset = await case.request_reset()
    reset_code = await case.mailed_code()
    registration = await case.register("new@example.com")
    code = await case.mailed_code()

    assert await refusal_of(case, reset.token, reset_code)
    with pytest.raises(BadInput):
        await case.verify_reset(registration.token, code)

    assert await case.rows(ATTEMPTS) == [(0,), (0,)]
    assert await case.rows("SELECT id FROM user_account") == [(user.id,)]


async def test_a_code_outlives_a_change_of_the_key_as_long_as_the_old_one_is_kept(case: AccountCase) -> None:
    secret = "another-secret-key-of-the-tests-98765"  # noqa: S105 - of the tests alone
    challenge, lost = await case.register(), await case.register("other@example.com")
    codes = {mail.to: str(mail.values["code"]) for mail in await case.mails()}

    with pytest.raises(BadInput):
        await case.verify(lost.token, codes["other@example.com"], GivenKeys(secret))
    await case.verify(challenge.token, codes[ADDRESS], GivenKeys(secret, ["a-secret-key-of-the-tests-0123456789"]))

    assert await case.rows("SELECT email FROM user_account") == [(ADDRESS,)]


async def test_new_wishes_take_outdated_ones_along(case: AccountCase) -> None:
    async with case.database.transaction() as session:
        for _ in range(CLEANED + 5):
            await open_challenge(session, CodePurpose.RESET_PASSWORD, ADDRESS)
    await case.execute("UPDATE one_time_code SET expires_at = now() - id * interval '1 second'")
    kept = await case.request_reset()

    assert len(await case.rows("SELECT id FROM one_time_code")) == 5 + 1

    await case.request_reset()
    left = [key for (key,) in await case.rows("SELECT id FROM one_time_code ORDER BY id")]
    assert len(left) == 2
    assert left[0] == kept.code_id


async def test_many_wishes_at_once_clean_up_without_waiting_in_a_circle(case: AccountCase) -> None:
    async with case.database.transaction() as session:
        for _ in range(60):
            await open_challenge(session, CodePurpose.RESET_PASSWORD, ADDRESS)
    await case.execute("UPDATE one_time_code SET expires_at = now() - interval '1 second'")

    await asyncio.gather(*(case.request_reset() for _ in range(10)))

    assert len(await case.rows("SELECT id FROM one_time_code")) >= 10
    assert len(await case.rows("SELECT id FROM one_time_code WHERE expires_at > now()")) == 10
