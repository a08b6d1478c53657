"""Passwords: the policy, the cost, and how many are worked on at once."""

import asyncio
import os
import threading
import unicodedata
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from argon2 import PasswordHasher, extract_parameters
from hypothesis import given
from hypothesis import strategies as st

from graphql_api.services.errors import BadInput
from graphql_api.services.faults import ServiceUnavailable
from graphql_api.services.password import Passwords, checked_password
from tests.client import CHEAP

GOOD = "violet harbour lantern"
TEXT = "überflüßig größer"


@pytest.mark.parametrize(
    "password",
    [GOOD, "tr0ub4dor&3x", "كلمة سر طويلة", "🐘🦏🦛🐪🦒🦘🐃🐂🐄🐎", "Grüße aus Wien", "x7#kQ!2pLm", "maria-likes-blue"],
)
def test_a_good_password_is_taken(password: str) -> None:
    assert checked_password(password, email="maria@shop.example", name="Maria Smith") == password


@pytest.mark.parametrize(
    ("password", "reason"),
    [
        ("", "at least 10"),
        ("x7#kQ!2pL", "at least 10"),
        ("x7#kQ!2pLm" * 13, "at most 128"),
        ("x7#kQ!2pLm" * 200_000, "at most 128"),
        ("half \ud800 a pair", "at most 128"),
        ("aaaaaaaaaa", "plain run"),
        (" " * 12, "plain run"),
        ("1234567890", "plain run"),
        ("0987654321", "plain run"),
        ("abcdefghijkl", "plain run"),
        ("zyxwvutsrq", "plain run"),
        ("QwErTyUiOp", "plain run"),
        ("121212121212", "plain run"),
        ("abcabcabcab", "plain run"),
        ("password12", "tried first"),
        ("Password2024!", "tried first"),
        ("P@ssw0rd!!", "tried first"),
        ("!!!letmein!!!", "tried first"),
        ("iloveyou123", "tried first"),
        ("trustno1trustno1", "tried first"),
        ("basketball", "tried first"),
        ("maria@shop.example", "own name or address"),
        ("Maria@Shop.Example1", "own name or address"),
        ("maria12345", "own name or address"),
        ("smithsmith1", "own name or address"),
        ("maria.smith", "own name or address"),
        ("MariaSmith99", "own name or address"),
    ],
)
def test_a_password_that_is_easy_to_guess_is_refused(password: str, reason: str) -> None:
    with pytest.raises(BadInput, match=reason) as caught:
        checked_password(password, email="maria@shop.example", name="Maria Smith", path=("new",))

    assert caught.value.path == ("new",)
    assert not password or len(password) > 200 or password not in caught.value.message


def test_lengths_count_characters_in_their_composed_form() -> None:
    composed = "überflüßig"
    assert len(composed) == 10
    decomposed = unicodedata.normalize("NFD", composed)

    assert checked_password(decomposed) == composed
    with pytest.raises(BadInput, match="at least 10"):
        checked_password(unicodedata.normalize("NFD", "überflüßi"))
    assert len(checked_password("x7#kQ!2p" * 16)) == 128


@given(st.text(max_size=200), st.text(max_size=30), st.text(max_size=30))
def test_any_text_gets_an_answer(password: str, email: str, name: str) -> None:
    try:
        taken = checked_password(password, email=email, name=name)
    except BadInput:
        return
    assert taken == unicodedata.normalize("NFC", password)
    assert 10 <= len(taken) <= 128


async def test_a_password_is_hashed_and_known_again() -> None:
    passwords = Passwords(CHEAP)
    kept = await passwords.hash(GOOD)

    assert kept.startswith("$argon2id$")
    assert kept != await passwords.hash(GOOD)
    assert await passwords.verify(GOOD, kept)
    assert not await passwords.verify(GOOD + " ", kept)
    assert not await passwords.verify("", kept)
    assert not await passwords.verify(GOOD, "no hash at all")


async def test_the_same_letters_are_the_same_password_however_they_are_typed() -> None:
    passwords = Passwords(CHEAP)
    composed, decomposed = (unicodedata.normalize("NFC", TEXT), unicodedata.normalize("NFD", TEXT))

    assert composed != decomposed
    assert await passwords.verify(composed, await passwords.hash(decomposed))
    assert await passwords.verify(decomposed, await passwords.hash(composed))


async def test_nobody_has_a_password_but_checking_it_costs_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    checked: list[str] = []
    verify = PasswordHasher.verify

    def spied(self: PasswordHasher, kept: str, password: str) -> bool:
        checked.append(kept)
        return verify(self, kept, password)

    monkeypatch.setattr(PasswordHasher, "verify", spied)
    parameters = replace(CHEAP, time_cost=3, memory_cost=64, parallelism=2)
    passwords = Passwords(parameters)
    real = await passwords.hash(GOOD)

    assert not await passwords.verify(GOOD, None)
    assert not await passwords.verify("something else", real)

    assert len(checked) == 2
    assert extract_parameters(checked[0]) == extract_parameters(checked[1]) == parameters
    assert not passwords.is_outdated(checked[0])


async def test_a_password_over_the_cap_is_refused_before_it_is_hashed(monkeypatch: pytest.MonkeyPatch) -> None:
    passwords = Passwords(CHEAP)
    kept = await passwords.hash(GOOD)
    monkeypatch.setattr(PasswordHasher, "verify", lambda *_: pytest.fail("was hashed"))

    for password in ("x" * 129, "x" * 5_000_000, "\ud800"):
        assert not await passwords.verify(password, kept)
        assert not await passwords.verify(password, None)
        with pytest.raises(ValueError, match="128"):
            await passwords.hash(password)


def test_a_hash_of_other_parameters_is_outdated() -> None:
    passwords = Passwords(CHEAP)

    for other in (replace(CHEAP, time_cost=2), replace(CHEAP, memory_cost=16)):
        assert passwords.is_outdated(PasswordHasher.from_parameters(other).hash(GOOD))
    assert not passwords.is_outdated(PasswordHasher.from_parameters(CHEAP).hash(GOOD))


def test_the_usual_parameters_are_those_of_rfc_9106() -> None:
    kept = asyncio.run(Passwords().hash(GOOD))

    assert kept.startswith("$argon2id$v=19$m=65536,t=3,p=4$")


class Gate:
    """Stands in place of hashing: counts who is at work and lets them go on when told."""

    def __init__(self) -> None:
        self.open = threading.Event()
        self.lock = threading.Lock()
        self.at_work = 0
        self.most = 0

    def verify(self, *_: Any) -> bool:
        with self.lock:
            self.at_work += 1
            self.most = max(self.most, self.at_work)
        self.open.wait(60)
        with self.lock:
            self.at_work -= 1
        return True


@pytest.fixture
def gate(monkeypatch: pytest.MonkeyPatch) -> Gate:
    gate = Gate()
    monkeypatch.setattr(PasswordHasher, "verify", gate.verify)
    return gate


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(60):
        while not condition():  # noqa: ASYNC110 - threads change it
            await asyncio.sleep(0.001)


async def test_only_some_are_worked_on_at_once_and_the_loop_goes_on(gate: Gate) -> None:
    passwords = Passwords(CHEAP, threads=2, max_waiting=10)
    waiting = [asyncio.create_task(passwords.verify(GOOD, None)) for _ in range(12)]
    await until(lambda: gate.at_work == 2)

    await asyncio.sleep(0.01)
    assert gate.at_work == 2, "who works was not waited for"
    gate.open.set()

    assert all(await asyncio.gather(*waiting))
    assert gate.most == 2


async def test_who_comes_when_too_many_wait_is_sent_away(gate: Gate) -> None:
    passwords = Passwords(CHEAP, threads=1, max_waiting=3)
    waiting = [asyncio.create_task(passwords.verify(GOOD, None)) for _ in range(4)]
    await until(lambda: gate.at_work == 1)

    with pytest.raises(ServiceUnavailable, match="Try again in a few seconds"):
        await passwords.verify(GOOD, None)
    with pytest.raises(ServiceUnavailable):
        await passwords.hash(GOOD)
    gate.open.set()
    await asyncio.gather(*waiting)

    assert await passwords.verify(GOOD, None)


async def test_a_thread_that_nobody_waits_for_keeps_its_place_until_it_ends(gate: Gate) -> None:
    passwords = Passwords(CHEAP, threads=1, max_waiting=1)
    given_up = asyncio.create_task(passwords.verify(GOOD, None))
    await until(lambda: gate.at_work == 1)
    given_up.cancel()
    waiting = asyncio.create_task(passwords.verify(GOOD, None))
    await asyncio.sleep(0.05)

    assert gate.most == 1
    with pytest.raises(ServiceUnavailable):
        await passwords.verify(GOOD, None)
    # who waits without a thread gives the place back at once
    waiting.cancel()
    await asyncio.sleep(0)
    again = asyncio.create_task(passwords.verify(GOOD, None))
    gate.open.set()
    assert await again
    assert gate.most == 1


def test_there_are_as_many_threads_as_cores_unless_told() -> None:
    assert Passwords(CHEAP)._threads == os.cpu_count()  # noqa: SLF001 - nothing else shows it on every machine
