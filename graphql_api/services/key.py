"""The secret keys of the house: they sign access tokens and make codes and successors that only we can make."""

import hmac
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Protocol

from graphql_api.config import SECRET_KEY_LENGTH, SECRET_KEY_VARIETY

NAME_DIGITS = 12


class WeakKeyError(ValueError):
    """A secret that could be guessed."""


@dataclass(frozen=True)
class Key:
    """A secret and its public name, which stands in tokens."""

    id: str
    secret: bytes = field(repr=False)

    def derive(self, purpose: str, *parts: bytes) -> bytes:
        """32 bytes for one purpose alone, so that what is made for one is worthless for any other.

        Args:
            purpose: a constant text that says what the bytes are for.
            parts: what they belong to; each counts with its length, so that no two lists of parts are alike.
        """
        message = b"".join(len(part).to_bytes(4, "big") + part for part in (purpose.encode(), *parts))
        return hmac.digest(self.secret, message, "sha256")


class KeyRing(Protocol):
    """The key in use and those it has replaced."""

    @property
    def current(self) -> Key:
        """The key that signs."""
        ...

    def find(self, key_id: str) -> Key | None:
        """The key of this name, as long as what it signed is accepted."""
        ...


def key_of(secret: str) -> Key:
    """The key that a secret text is; its name is derived, so every process calls it the same.

    Raises:
        WeakKeyError: it is shorter than 32 bytes or has too few different characters.
    """
    raw = secret.encode()
    if len(raw) < SECRET_KEY_LENGTH:
        raise WeakKeyError(f"A secret key needs at least {SECRET_KEY_LENGTH} characters.")
    if len(set(raw)) < SECRET_KEY_VARIETY:
        raise WeakKeyError("A secret key with so few different characters is too easy to guess.")
    name = Key("", raw).derive("key name").hex()[:NAME_DIGITS]
    return Key(name, raw)


class GivenKeys:
    """Keys from the settings.

    Args:
        secret: signs.
        previous: those it has replaced; what they signed stays valid.

    Raises:
        WeakKeyError: one of them could be guessed.
    """

    def __init__(self, secret: str, previous: Sequence[str] = ()) -> None:
        keys = [key_of(text) for text in (secret, *previous)]
        self._current = keys[0]
        self._keys = {key.id: key for key in keys}

    @property
    def current(self) -> Key:
        """The key that signs."""
        return self._current

    def find(self, key_id: str) -> Key | None:
        """The key of this name."""
        return self._keys.get(key_id)
