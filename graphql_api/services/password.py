"""Passwords: what they must be like, and how they are kept."""

import asyncio
import os
import secrets
import unicodedata
from base64 import b64encode
from collections.abc import Callable
from typing import TypeVar

from argon2 import Parameters, PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError
from argon2.profiles import RFC_9106_LOW_MEMORY

from graphql_api.services.errors import BadInput
from graphql_api.services.faults import ServiceUnavailable
from graphql_api.services.weak_password import is_common, is_made_of, is_run

MIN_LENGTH = 10
MAX_LENGTH = 128
# How many may wait for a thread; at some 50 ms each the last one waits for a few seconds.
MAX_WAITING = 64

Answer = TypeVar("Answer")


class Passwords:
    """Hashes and checks passwords with argon2id, in threads, a few at a time.

    Args:
        parameters: the cost of a hash; that of RFC 9106 for machines with little memory unless a test wants less.
        threads: how many passwords are worked on at once; as many as there are cores unless given.
        max_waiting: how many may wait for a thread.
    """

    def __init__(
        self,
        parameters: Parameters = RFC_9106_LOW_MEMORY,
        *,
        threads: int | None = None,
        max_waiting: int = MAX_WAITING,
    ) -> None:
        self._hasher = PasswordHasher.from_parameters(parameters)
        self._nobody = _hash_of_nobody(parameters)
        self._threads = threads or os.cpu_count() or 1
        self._slots = asyncio.Semaphore(self._threads)
        self._max_working = self._threads + max_waiting
        self._working = 0

    async def hash(self, password: str) -> str:
        """The hash to keep of a password, which `checked_password` has approved or `verify` has found right.

        Raises:
            ServiceUnavailable: too many passwords wait to be worked on.
        """
        text = _normalized(password)
        if text is None:
            raise ValueError(f"A password of more than {MAX_LENGTH} characters is not to be hashed.")
        return await self._in_thread(lambda: self._hasher.hash(text))

    async def verify(self, password: str, password_hash: str | None) -> bool:
        """Whether it is the password; None, for an unknown account, costs the same and is False.

        Raises:
            ServiceUnavailable: too many passwords wait to be worked on.
        """
        text = _normalized(password)
        if text is None:
            return False
        return await self._in_thread(lambda: self._is_match(password_hash or self._nobody, text))

    def is_outdated(self, password_hash: str) -> bool:
        """Whether the hash was made with other parameters than those of today."""
        return self._hasher.check_needs_rehash(password_hash)

    def _is_match(self, password_hash: str, password: str) -> bool:
        try:
            return self._hasher.verify(password_hash, password)
        except (VerificationError, InvalidHashError):
            return False

    async def _in_thread(self, work: Callable[[], Answer]) -> Answer:
        if self._working >= self._max_working:
            raise ServiceUnavailable("Too many people sign in at this moment. Try again in a few seconds.")
        self._working += 1
        try:
            await self._slots.acquire()
        except BaseException:
            self._working -= 1
            raise
        task = asyncio.create_task(asyncio.to_thread(work))
        task.add_done_callback(self._end)
        # a thread cannot be stopped: its place stays taken until it ends, also when nobody waits for it any more
        return await asyncio.shield(task)

    def _end(self, _task: object) -> None:
        self._working -= 1
        self._slots.release()


def checked_password(
    password: str, *, email: str | None = None, name: str | None = None, path: tuple[str, ...] = ("password",)
) -> str:
    """The password in Unicode form NFC, when it meets the policy.

    Args:
        password: as it was typed.
        email: the address of the account.
        name: the name of the person.
        path: where the password stands in the input.

    Raises:
        BadInput: it is too short, too long, well known, or made of the person's own name or address.
    """
    text = _normalized(password)
    if text is None:
        raise BadInput("A password may have at most {most} characters.", path=path, most=MAX_LENGTH)
    if len(text) < MIN_LENGTH:
        raise BadInput("A password needs at least {least} characters.", path=path, least=MIN_LENGTH)
    if is_run(text):
        raise BadInput("This password is a plain run or repetition. Use several words, for example.", path=path)
    if is_made_of(text, [email or "", (email or "").partition("@")[0], name or ""]):
        raise BadInput("This password is made of your own name or address. Use other words.", path=path)
    if is_common(text):
        raise BadInput("This password is among those that are tried first. Use several words, for example.", path=path)
    return text


def _normalized(password: str) -> str | None:
    """The form that is hashed; None when it is too long, or is no text at all."""
    if len(password) > MAX_LENGTH or any("\ud800" <= character <= "\udfff" for character in password):
        return None
    text = unicodedata.normalize("NFC", password)
    return text if len(text) <= MAX_LENGTH else None


def _hash_of_nobody(parameters: Parameters) -> str:
    """A hash that no password has, as costly to check as a real one."""

    def encoded(length: int) -> str:
        return b64encode(secrets.token_bytes(length)).decode().rstrip("=")

    cost = f"m={parameters.memory_cost},t={parameters.time_cost},p={parameters.parallelism}"
    salt, digest = encoded(parameters.salt_len), encoded(parameters.hash_len)
    return f"$argon2id$v={parameters.version}${cost}${salt}${digest}"
