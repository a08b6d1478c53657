"""Answers kept for repetitions are sealed, because they may hold tokens and codes.

What opens one is a key of the house together with the idempotency key and the input of the request: neither the
database alone, nor the database and the key of the house, tell what was answered to a request that nobody knows.
"""

import hmac
import secrets
from dataclasses import dataclass, field

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from graphql_api.services.key import NAME_DIGITS, Key, KeyRing

NONCE_BYTES = 12
KEY_BYTES = 32


@dataclass(frozen=True)
class KeyedRequest:
    """One mutation that came with an idempotency key.

    Args:
        scope: whose key it is: "user:12", or "stranger" for all who have not signed in.
        key: the idempotency key, 1 to 255 characters.
        position: the index of the mutation among those of its document, from 0.
        mutation: the name of the root field.
        digest: SHA-256 of the input. It is never stored, because inputs hold passwords.
    """

    scope: str
    key: str
    position: int
    mutation: str
    digest: bytes = field(repr=False)

    @property
    def name(self) -> tuple[bytes, ...]:
        """What tells it from every other request."""
        return (self.scope.encode(), self.key.encode(), str(self.position).encode(), self.mutation.encode())


def fingerprint(key: Key, request: KeyedRequest) -> bytes:
    """32 bytes that tell this input from another one; whoever has not got our key cannot try inputs out on them."""
    return key.derive("input of an idempotency key", *request.name, request.digest)


def seal_payload(key: Key, request: KeyedRequest, payload: bytes) -> bytes:
    """The payload in a form that only the same request can open: name of the key, nonce, AES-256-GCM."""
    nonce = secrets.token_bytes(NONCE_BYTES)
    return key.id.encode() + nonce + _cipher(key, request).encrypt(nonce, payload, None)


def key_of_payload(keys: KeyRing, sealed: bytes | None) -> Key | None:
    """The key that has sealed it; None when it is no longer ours, or nothing was sealed."""
    return keys.find((sealed or b"")[:NAME_DIGITS].decode("ascii", "replace"))


def open_payload(key: Key, request: KeyedRequest, sealed: bytes) -> bytes | None:
    """The payload; None when it is damaged or that of another request."""
    nonce, content = sealed[NAME_DIGITS : NAME_DIGITS + NONCE_BYTES], sealed[NAME_DIGITS + NONCE_BYTES :]
    try:
        return _cipher(key, request).decrypt(nonce, content, None)
    except (InvalidTag, ValueError):
        return None


def is_same_input(key: Key, request: KeyedRequest, known: bytes) -> bool:
    """Whether `known` is the fingerprint of this input."""
    return hmac.compare_digest(fingerprint(key, request), known)


def _cipher(key: Key, request: KeyedRequest) -> AESGCM:
    secret = key.derive("answer to an idempotency key", *request.name)
    return AESGCM(HKDF(SHA256(), KEY_BYTES, salt=request.digest, info=b"answer").derive(secret))
