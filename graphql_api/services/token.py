"""Access tokens and tickets: short-lived, signed, and read without asking anybody."""

import hashlib
import secrets
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Any

import jwt
from cachetools import LRUCache

from graphql_api.services.key import KeyRing
from graphql_api.services.policy import Unauthenticated, Viewer

ALGORITHM = "HS256"
ISSUER = "graphql-api"
AUDIENCE = "graphql-api"
REQUIRED = ("exp", "iat", "nbf", "iss", "aud", "sub", "sid", "jti", "typ")
MAX_ACCESS_MINUTES = 15
MAX_TICKET_MINUTES = 10
STEADY_MINUTES = 5
# The clocks of our servers may differ by this much.
LEEWAY_SECONDS = 5
# Ours have some 400 characters; nothing much longer is worth a look.
MAX_CHARACTERS = 4096
MAX_ID = 2**63 - 1
# Access tokens that were found to be ours; checking a signature takes longer than all the rest.
MAX_REMEMBERED = 10_000


class TokenKind(StrEnum):
    """What a token is good for. Each kind is signed with a secret of its own."""

    ACCESS = "access"
    TICKET = "ticket"


@dataclass(frozen=True, slots=True)
class IssuedToken:
    """A token as its holder gets it."""

    text: str = field(repr=False)
    expires_at: datetime


@dataclass(frozen=True, slots=True)
class Claims:
    """What a valid token says: whose it is, and of which session."""

    user_id: int
    session_id: int


@dataclass(frozen=True, slots=True)
class _Verified:
    """What was read of an access token; the times are seconds since 1970."""

    claims: Claims
    key_id: str
    begins_at: float
    ends_at: float


@dataclass(frozen=True, slots=True)
class _Issue:
    """When a token is issued, and what tells it from others."""

    at: datetime
    id: str


class AccessTokens:
    """Makes and reads access tokens, and tickets for one address each.

    Args:
        keys: what the secrets that sign are derived from.
    """

    def __init__(self, keys: KeyRing) -> None:
        self.keys = keys
        # by hash: nothing in memory can be used to sign in
        self._verified_tokens: LRUCache[bytes, _Verified] = LRUCache(MAX_REMEMBERED)
        self._steady_tickets: LRUCache[tuple[object, ...], IssuedToken] = LRUCache(MAX_REMEMBERED)

    def issue(self, viewer: Viewer, lifetime_minutes: int) -> IssuedToken:
        """An access token for the session of `viewer`, valid for 15 minutes at most."""
        if not 0 < lifetime_minutes <= MAX_ACCESS_MINUTES:
            raise ValueError(f"An access token lives for 1 to {MAX_ACCESS_MINUTES} minutes.")
        return self._issue(TokenKind.ACCESS, viewer, lifetime_minutes)

    def issue_ticket(self, viewer: Viewer, path: str, lifetime_minutes: int) -> IssuedToken:
        """A ticket for browsers, which cannot send headers: good for this URL path alone, for 10 minutes at most."""
        if not 0 < lifetime_minutes <= MAX_TICKET_MINUTES:
            raise ValueError(f"A ticket lives for 1 to {MAX_TICKET_MINUTES} minutes.")
        return self._issue(TokenKind.TICKET, viewer, lifetime_minutes, path=path)

    def steady_ticket(self, viewer: Viewer, path: str) -> IssuedToken:
        """A ticket whose text stays the same for five minutes, so that browsers can keep what its address leads to.

        It is good for 5 to 10 minutes, for this URL path alone.
        """
        now = datetime.now(UTC)
        begin = now.replace(minute=now.minute - now.minute % STEADY_MINUTES, second=0, microsecond=0)
        remembered = (viewer.user_id, viewer.session_id, path, begin, self.keys.current.id)
        ticket = self._steady_tickets.get(remembered)
        if ticket is None:
            issued = _Issue(begin, id="steady")
            ticket = self._issue(TokenKind.TICKET, viewer, MAX_TICKET_MINUTES, issued, path=path)
            self._steady_tickets[remembered] = ticket
        return ticket

    def read(self, text: str) -> Claims:
        """What an access token says.

        Raises:
            Unauthenticated: it is none of ours, or not valid now.
        """
        return self._valid(text).claims

    def expiry(self, text: str) -> datetime:
        """When an access token ends (UTC); it is taken for some seconds longer, because clocks differ.

        Raises:
            Unauthenticated: as `read`.
        """
        return datetime.fromtimestamp(self._valid(text).ends_at, UTC)

    def _valid(self, text: str) -> _Verified:
        # the start of one that is too long tells it from all that are not
        digest = hashlib.sha256(text[: MAX_CHARACTERS + 1].encode("utf-8", "surrogatepass")).digest()
        verified = self._verified_tokens.get(digest)
        if verified is None or not self._is_valid_now(verified):
            verified = self._verified_tokens[digest] = self._read_access(text)
        return verified

    def _is_valid_now(self, verified: _Verified) -> bool:
        now = time.time()
        is_in_time = verified.begins_at - LEEWAY_SECONDS <= now < verified.ends_at + LEEWAY_SECONDS
        return is_in_time and self.keys.find(verified.key_id) is not None

    def _read_access(self, text: str) -> _Verified:
        try:
            key_id, payload = self._verified(TokenKind.ACCESS, text)
            begins_at = max(float(payload["nbf"]), float(payload["iat"]))
            return _Verified(_claims(payload), key_id, begins_at, float(payload["exp"]))
        except jwt.ExpiredSignatureError:
            raise Unauthenticated("The access token has expired. Use `refreshToken` to get a new one.") from None
        except jwt.ImmatureSignatureError:
            raise Unauthenticated("The access token is not valid yet. Use `refreshToken` to get a new one.") from None
        except (jwt.PyJWTError, ValueError, TypeError, RecursionError):
            raise Unauthenticated("The access token is not valid. Sign in again.") from None

    def read_ticket(self, text: str, path: str) -> Claims:
        """What a ticket for this URL path says.

        Raises:
            Unauthenticated: it is none of ours, is for another address, or not valid now.
        """
        try:
            _, payload = self._verified(TokenKind.TICKET, text)
            if payload.get("path") != path:
                raise jwt.InvalidTokenError
            return _claims(payload)
        except jwt.ExpiredSignatureError:
            raise Unauthenticated("This link has expired. Ask for a new one.") from None
        except (jwt.PyJWTError, ValueError, TypeError, RecursionError):
            raise Unauthenticated("This link is not valid. Ask for a new one.") from None

    def _issue(
        self, kind: TokenKind, viewer: Viewer, minutes: int, issue: _Issue | None = None, **further: str
    ) -> IssuedToken:
        key = self.keys.current
        issue = issue or _Issue(datetime.now(UTC).replace(microsecond=0), id=secrets.token_urlsafe(12))
        expires_at = issue.at + timedelta(minutes=minutes)
        claims = {
            "iss": ISSUER,
            "aud": AUDIENCE,
            "sub": str(viewer.user_id),
            "sid": str(viewer.session_id),
            "typ": kind.value,
            "jti": issue.id,
            "iat": issue.at,
            "nbf": issue.at,
            "exp": expires_at,
            **further,
        }
        text = jwt.encode(claims, key.derive(kind.value), algorithm=ALGORITHM, headers={"kid": key.id})
        return IssuedToken(text, expires_at)

    def _verified(self, kind: TokenKind, text: str) -> tuple[str, Mapping[str, Any]]:
        """The name of the key that signed a token of this kind, and what it says."""
        if len(text) > MAX_CHARACTERS or not text.isascii():
            raise jwt.InvalidTokenError
        # only a name is taken from the header: what verifies, and how, is ours to say
        key = self.keys.find(jwt.get_unverified_header(text).get("kid", ""))
        if key is None:
            raise jwt.InvalidTokenError
        payload: dict[str, Any] = jwt.decode(
            text,
            key.derive(kind.value),
            algorithms=[ALGORITHM],
            issuer=ISSUER,
            audience=AUDIENCE,
            leeway=LEEWAY_SECONDS,
            options={"require": list(REQUIRED), "strict_aud": True, "enforce_minimum_key_length": True},
        )
        if payload["typ"] != kind.value:
            raise jwt.InvalidTokenError
        return key.id, payload


def _claims(payload: Mapping[str, Any]) -> Claims:
    return Claims(_id(payload["sub"]), _id(payload["sid"]))


def _id(text: object) -> int:
    if not isinstance(text, str) or not text.isdecimal():
        raise jwt.InvalidTokenError
    number = int(text)
    if not 0 < number <= MAX_ID:
        raise jwt.InvalidTokenError
    return number
