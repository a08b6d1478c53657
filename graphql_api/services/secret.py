"""Random texts that only their holder knows; what is kept of them is a hash."""

import hashlib
import hmac
import secrets

TOKEN_BYTES = 32
# Nothing that can be mistaken for something else when it is read out or typed: no 0 O, 1 I L, U V, 2 Z, 5 S, 8 B.
SAFE_ALPHABET = "34679ACDEFGHJKMNPQRTWXY"
SEPARATORS = str.maketrans("", "", " -\u00a0\u2010\u2011\u2012\u2013\t\r\n")


def new_token() -> str:
    """A token of 256 random bits, fit for URLs and headers: 43 characters."""
    return secrets.token_urlsafe(TOKEN_BYTES)


def token_hash(token: str) -> bytes:
    """The SHA-256 that is kept of a token: it is random, so a slow hash would protect nothing."""
    # a lone surrogate is no UTF-8, but no reason to fail either: it matches nothing
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).digest()


def new_code(length: int) -> str:
    """A random code for people to type, of `length` characters (4.5 bits each)."""
    return "".join(secrets.choice(SAFE_ALPHABET) for _ in range(length))


def code_from(seed: bytes, length: int) -> str:
    """The code that belongs to a secret seed: always the same one, every character equally likely."""
    code: list[str] = []
    block = 0
    # bytes beyond the last whole multiple are left out, or the first letters would come up more often
    bound = 256 - 256 % len(SAFE_ALPHABET)
    while len(code) < length:
        digest = hmac.digest(seed, block.to_bytes(4, "big"), "sha256")
        code += [SAFE_ALPHABET[value % len(SAFE_ALPHABET)] for value in digest if value < bound]
        block += 1
    return "".join(code[:length])


def normalized_code(text: str) -> str:
    """A code as it was made, from the way somebody typed it: case, spaces and hyphens are forgiven."""
    return text.translate(SEPARATORS).upper()


def is_same(one: bytes, other: bytes) -> bool:
    """Whether two secrets are equal; how long that takes tells nothing about where they differ."""
    return hmac.compare_digest(one, other)
