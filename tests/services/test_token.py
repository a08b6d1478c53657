"""Access tokens and tickets: everything that is not exactly one of ours, and valid now, is refused."""

import base64
import hashlib
import hmac
import json
import time
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import jwt
import pytest
import time_machine

from graphql_api.database.user import Role
from graphql_api.services.key import GivenKeys
from graphql_api.services.key_file import REREAD_SECONDS, OwnKeys, rotate_own_keys
from graphql_api.services.policy import Unauthenticated, Viewer
from graphql_api.services.token import REQUIRED, AccessTokens, Claims
from tests.client import TEST_KEYS

VIEWER = Viewer(user_id=7, role=Role.STAFF, session_id=2**62)
PATH = "/imports/abc/rejects.csv"
RETIRED = "a-secret-key-that-is-used-no-more-4711"
NOT_VALID = "The access token is not valid. Sign in again."


@pytest.fixture
def tokens() -> AccessTokens:
    return AccessTokens(TEST_KEYS)


def claims(**changes: Any) -> dict[str, Any]:
    """What an access token of ours says; a change to None leaves the claim out."""
    now = int(datetime.now(UTC).timestamp())
    usual = {
        "iss": "graphql-api",
        "aud": "graphql-api",
        "sub": "7",
        "sid": "9",
        "typ": "access",
        "jti": "unique",
        "iat": now,
        "nbf": now,
        "exp": now + 60,
    }
    return {name: value for name, value in (usual | changes).items() if value is not None}


def signed(
    payload: Mapping[str, Any],
    *,
    kind: str = "access",
    algorithm: str = "HS256",
    header: Mapping[str, Any] | None = None,
) -> str:
    """A token signed with our own key."""
    key = TEST_KEYS.current
    headers = {"kid": key.id} if header is None else dict(header)
    return jwt.encode(dict(payload), key.derive(kind), algorithm=algorithm, headers=headers)


def assembled(header: object, payload: object, signature: bytes = b"") -> str:
    """A token put together by hand."""
    parts = [json.dumps(header).encode(), json.dumps(payload).encode(), signature]
    return ".".join(base64.urlsafe_b64encode(part).decode().rstrip("=") for part in parts)


def signed_by_hand(header: Mapping[str, Any], payload: Mapping[str, Any]) -> str:
    """A token that the library would not make, with the right signature."""
    body = assembled({"alg": "HS256", **header}, payload).rpartition(".")[0]
    signature = hmac.digest(TEST_KEYS.current.derive("access"), body.encode(), hashlib.sha256)
    return f"{body}.{base64.urlsafe_b64encode(signature).decode().rstrip('=')}"


def refusal(tokens: AccessTokens, text: str) -> str:
    """Why an access token is refused; it is refused twice, so that nothing was remembered of it."""
    with pytest.raises(Unauthenticated):
        tokens.read(text)
    with pytest.raises(Unauthenticated) as caught:
        tokens.read(text)
    return caught.value.message


def test_what_is_issued_can_be_read(tokens: AccessTokens) -> None:
    with time_machine.travel("2031-05-06T07:08:09.5Z", tick=False):
        issued = tokens.issue(VIEWER, 15)

        assert tokens.read(issued.text) == tokens.read(issued.text) == Claims(7, 2**62)
        assert issued.expires_at == datetime(2031, 5, 6, 7, 23, 9, tzinfo=UTC)
    assert jwt.get_unverified_header(issued.text) == {"alg": "HS256", "kid": TEST_KEYS.current.id, "typ": "JWT"}
    assert set(jwt.decode(issued.text, options={"verify_signature": False})) == set(REQUIRED)
    assert issued.text not in repr(issued)


def test_a_token_tells_when_it_ends(tokens: AccessTokens) -> None:
    issued = tokens.issue(VIEWER, lifetime_minutes=15)

    assert tokens.expiry(issued.text) == tokens.expiry(issued.text) == issued.expires_at
    with pytest.raises(Unauthenticated):
        tokens.expiry(issued.text[:-2])


def test_the_signing_secret_is_not_the_key_itself(tokens: AccessTokens) -> None:
    assert tokens.read(signed(claims())) == Claims(7, 9)

    direct = jwt.encode(claims(), TEST_KEYS.current.secret, algorithm="HS256", headers={"kid": TEST_KEYS.current.id})

    assert refusal(tokens, direct) == NOT_VALID


@pytest.mark.parametrize("minutes", [0, -1, 16])
def test_no_access_token_lives_longer_than_fifteen_minutes(tokens: AccessTokens, minutes: int) -> None:
    with pytest.raises(ValueError, match="15 minutes"):
        tokens.issue(VIEWER, minutes)
    with pytest.raises(ValueError, match="10 minutes"):
        tokens.issue_ticket(VIEWER, PATH, minutes)


@pytest.mark.parametrize("claim", REQUIRED)
def test_every_claim_is_required(tokens: AccessTokens, claim: str) -> None:
    assert refusal(tokens, signed(claims(**{claim: None}))) == NOT_VALID


@pytest.mark.parametrize(
    "change",
    [
        {"typ": "refresh"},
        {"typ": "ticket"},
        {"typ": "ACCESS"},
        {"typ": ["access"]},
        {"iss": "somebody-else"},
        {"iss": ["graphql-api"]},
        {"aud": "somebody-else"},
        {"aud": ["graphql-api"]},
        {"aud": ["somebody-else", "graphql-api"]},
        {"sub": 7},
        {"sub": "seven"},
        {"sub": "-7"},
        {"sub": "0"},
        {"sub": "7.0"},
        {"sub": ""},
        {"sub": str(2**63)},
        {"sub": "9" * 4000},
        {"sid": 9},
        {"sid": "nine"},
        {"sid": {"$gt": "0"}},
        {"jti": 5},
        {"exp": "tomorrow"},
        {"exp": [1]},
        {"exp": 1e400},
        {"nbf": "yesterday"},
        {"iat": "yesterday"},
        {"iat": {}},
    ],
    ids=str,
)
def test_every_claim_is_checked(tokens: AccessTokens, change: dict[str, Any]) -> None:
    text = signed_by_hand({"kid": TEST_KEYS.current.id}, claims(**change))

    assert refusal(tokens, text) == NOT_VALID


def test_a_token_signed_by_hand_would_be_taken(tokens: AccessTokens) -> None:
    assert tokens.read(signed_by_hand({"kid": TEST_KEYS.current.id}, claims())) == Claims(7, 9)


def test_an_expired_token_is_told_from_a_bad_one(tokens: AccessTokens) -> None:
    start = datetime(2031, 1, 1, tzinfo=UTC)
    with time_machine.travel(start, tick=False) as clock:
        text = tokens.issue(VIEWER, 1).text
        tokens.read(text)

        clock.move_to(start + timedelta(seconds=64))
        tokens.read(text)
        clock.move_to(start + timedelta(seconds=66))
        assert refusal(tokens, text) == "The access token has expired. Use `refreshToken` to get a new one."
        assert refusal(AccessTokens(TEST_KEYS), text).startswith("The access token has expired.")


def test_a_token_of_the_future_is_not_taken_yet(tokens: AccessTokens) -> None:
    start = datetime(2031, 1, 1, tzinfo=UTC)
    with time_machine.travel(start, tick=False) as clock:
        text = tokens.issue(VIEWER, 15).text
        tokens.read(text)

        # the clock of this server jumps back by an hour
        clock.move_to(start - timedelta(hours=1))
        assert refusal(tokens, text).startswith("The access token is not valid yet.")
        tokens.read(tokens.issue(VIEWER, 15).text)

        # and on again by a day
        clock.move_to(start + timedelta(days=1))
        assert refusal(tokens, text).startswith("The access token has expired.")
        tokens.read(tokens.issue(VIEWER, 15).text)


@pytest.mark.parametrize("claim", ["nbf", "iat"])
def test_either_beginning_counts(tokens: AccessTokens, claim: str) -> None:
    soon = int(datetime.now(UTC).timestamp()) + 30

    assert refusal(tokens, signed(claims(**{claim: soon}))).startswith("The access token is not valid yet.")


def test_an_unsigned_token_is_refused(tokens: AccessTokens) -> None:
    algorithms: list[Any] = ["none", "None", "NONE", "", None, 0, ["HS256"], {}]
    for algorithm in algorithms:
        header = {"alg": algorithm, "typ": "JWT", "kid": TEST_KEYS.current.id}
        assert refusal(tokens, assembled(header, claims())) == NOT_VALID
    assert refusal(tokens, assembled({"kid": TEST_KEYS.current.id}, claims())) == NOT_VALID


@pytest.mark.parametrize("algorithm", ["HS384", "HS512"])
@pytest.mark.filterwarnings("ignore:The HMAC key:jwt.InsecureKeyLengthWarning")
def test_other_algorithms_are_refused_although_the_key_is_right(tokens: AccessTokens, algorithm: str) -> None:
    assert refusal(tokens, signed(claims(), algorithm=algorithm)) == NOT_VALID


def test_a_key_that_the_token_brings_itself_is_not_used(tokens: AccessTokens) -> None:
    own = b"a-key-of-the-attacker-0123456789"
    jwk = {"kty": "oct", "k": base64.urlsafe_b64encode(own).decode().rstrip("="), "alg": "HS256"}
    for header in ({"jwk": jwk}, {"jku": "http://127.0.0.1/keys"}, {"x5u": "http://127.0.0.1/"}, {"x5c": ["MIIB"]}):
        text = jwt.encode(claims(), own, algorithm="HS256", headers={"kid": TEST_KEYS.current.id, **header})
        assert refusal(tokens, text) == NOT_VALID
    # signed by us, an unused header does no harm
    assert tokens.read(signed(claims(), header={"kid": TEST_KEYS.current.id, "jwk": jwk})) == Claims(7, 9)


@pytest.mark.parametrize("key_id", ["", "unknown", "../keys.json", "' OR 1=1", 7, None, ["x"], {"a": 1}])
def test_an_unknown_key_is_refused(tokens: AccessTokens, key_id: object) -> None:
    assert refusal(tokens, signed_by_hand({"kid": key_id}, claims())) == NOT_VALID
    assert refusal(tokens, signed(claims(), header={})) == NOT_VALID


def test_an_unknown_critical_header_is_refused(tokens: AccessTokens) -> None:
    header = {"kid": TEST_KEYS.current.id, "crit": ["exp2"], "exp2": 1}

    assert refusal(tokens, signed(claims(), header=header)) == NOT_VALID


def test_replaced_keys_count_until_they_are_retired(tokens: AccessTokens) -> None:
    issued = AccessTokens(GivenKeys(RETIRED)).issue(VIEWER, 15).text

    assert refusal(tokens, issued) == NOT_VALID
    assert AccessTokens(GivenKeys("the-key-of-today-0123456789-abcdef", [RETIRED])).read(issued) == Claims(7, 2**62)


def test_keys_are_rotated_while_two_processes_run(tmp_path: Path) -> None:
    one, two = AccessTokens(OwnKeys(tmp_path)), AccessTokens(OwnKeys(tmp_path))
    before = one.issue(VIEWER, 15).text
    two.read(before)

    new = rotate_own_keys(tmp_path)
    after = one.issue(VIEWER, 15).text

    assert jwt.get_unverified_header(after)["kid"] == new.id
    assert two.read(after) == two.read(before) == Claims(7, 2**62)


def test_a_dropped_key_ends_what_was_remembered_of_its_tokens(tmp_path: Path) -> None:
    tokens = AccessTokens(OwnKeys(tmp_path))
    text = tokens.issue(VIEWER, 15).text
    tokens.read(text)

    rotate_own_keys(tmp_path, forget=True)
    time.sleep(REREAD_SECONDS)

    assert refusal(tokens, text) == NOT_VALID


def test_a_changed_token_is_refused_wherever_it_is_changed(tokens: AccessTokens) -> None:
    text = tokens.issue(VIEWER, 15).text
    tokens.read(text)
    for position in range(len(text)):
        other = "A" if text[position] != "A" else "B"
        assert refusal(tokens, text[:position] + other + text[position + 1 :])


@pytest.mark.parametrize(
    "text",
    [
        "",
        ".",
        "..",
        "...",
        "a",
        "a.b",
        "a.b.c",
        "a.b.c.d",
        " ",
        "\x00",
        "\ud800",
        "ü.ü.ü",
        "null",
        "e30.e30.",
        "W10.e30.e30",
        "[" * 100_000,
        "A" * 1_000_000,
        "." * 1_000_000,
    ],
    ids=lambda text: f"{len(text)} characters",
)
def test_garbage_is_refused(tokens: AccessTokens, text: str) -> None:
    assert refusal(tokens, text) == NOT_VALID
    with pytest.raises(Unauthenticated):
        tokens.read_ticket(text, PATH)


def test_a_token_of_a_megabyte_is_refused_without_being_read(tokens: AccessTokens) -> None:
    # correctly signed, so that nothing but its length speaks against it
    text = signed(claims(padding="x" * 1_000_000))

    assert refusal(tokens, text) == NOT_VALID


def test_deep_nesting_is_refused(tokens: AccessTokens) -> None:
    for part in ("[" * 1_000, '{"a":' * 500):
        segment = base64.urlsafe_b64encode(part.encode()).decode().rstrip("=")
        assert refusal(tokens, f"{segment}.{segment}.{segment}") == NOT_VALID


def test_a_ticket_is_good_for_one_path_for_some_minutes(tokens: AccessTokens) -> None:
    start = datetime(2031, 1, 1, tzinfo=UTC)
    with time_machine.travel(start, tick=False) as clock:
        ticket = tokens.issue_ticket(VIEWER, PATH, 10).text

        assert tokens.read_ticket(ticket, PATH) == Claims(7, 2**62)
        for path in ("", "/", PATH + "/", PATH.upper(), "/imports/abd/rejects.csv"):
            with pytest.raises(Unauthenticated, match="This link is not valid"):
                tokens.read_ticket(ticket, path)
        clock.move_to(start + timedelta(minutes=10, seconds=6))
        with pytest.raises(Unauthenticated, match="This link has expired"):
            tokens.read_ticket(ticket, PATH)


def test_a_ticket_is_no_access_token_and_the_other_way_round(tokens: AccessTokens) -> None:
    ticket = tokens.issue_ticket(VIEWER, PATH, 5).text
    access = tokens.issue(VIEWER, 5).text

    assert refusal(tokens, ticket) == NOT_VALID
    with pytest.raises(Unauthenticated):
        tokens.read_ticket(access, PATH)
    # also when only the secret or only the type is that of the other kind
    for text in (signed(claims(path=PATH), kind="ticket"), signed(claims(typ="ticket", path=PATH), kind="access")):
        assert refusal(tokens, text) == NOT_VALID
        with pytest.raises(Unauthenticated):
            tokens.read_ticket(text, PATH)
    with pytest.raises(Unauthenticated):
        tokens.read_ticket(signed(claims(typ="ticket"), kind="ticket"), "None")


def test_a_steady_ticket_stays_the_same_for_five_minutes_and_is_good_for_as_long(tokens: AccessTokens) -> None:
    with time_machine.travel("2030-01-01T12:05:00Z", tick=False) as clock:
        first = tokens.steady_ticket(VIEWER, PATH).text
        clock.shift(299)
        last = tokens.steady_ticket(VIEWER, PATH).text
        # another process with the same key
        elsewhere = AccessTokens(tokens.keys).steady_ticket(VIEWER, PATH).text
        clock.shift(299)
        assert tokens.read_ticket(last, PATH) == Claims(VIEWER.user_id, VIEWER.session_id)
        assert tokens.steady_ticket(VIEWER, PATH).text != first
        clock.shift(10)
        with pytest.raises(Unauthenticated, match="expired"):
            tokens.read_ticket(last, PATH)

    assert first == last == elsewhere


def test_a_steady_ticket_is_that_of_one_session_for_one_path(tokens: AccessTokens) -> None:
    ticket = tokens.steady_ticket(VIEWER, PATH).text

    for viewer, path in (
        (replace(VIEWER, user_id=VIEWER.user_id + 1), PATH),
        (replace(VIEWER, session_id=VIEWER.session_id + 1), PATH),
        (VIEWER, "/elsewhere"),
    ):
        assert tokens.steady_ticket(viewer, path).text != ticket
    with pytest.raises(Unauthenticated, match="not valid"):
        tokens.read_ticket(ticket, "/elsewhere")
