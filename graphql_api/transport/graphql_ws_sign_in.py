"""Signing in over a WebSocket: the token comes with the first message, and is renewed before it ends."""

import asyncio
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any

from graphql_api.transport.graphql_ws_messages import CloseCode, SocketRefused

NOTICE_SECONDS = 60.0
# Members of a payload that hold a token, in lower case.
AUTHORIZATION = "authorization"
ACCESS_TOKEN = "accesstoken"  # noqa: S105 - the name of a member


def token_of(payload: Mapping[str, Any] | None) -> str | None:
    """The access token in the payload of `connection_init` or `ping`; None when there is none.

    Raises:
        SocketRefused: what should be a token is something else, or there are two.
    """
    given = {
        name.lower(): value
        for name, value in (payload or {}).items()
        if name.lower() in {AUTHORIZATION, ACCESS_TOKEN} and value is not None
    }
    if not given:
        return None
    if len(given) > 1:
        raise SocketRefused(CloseCode.FORBIDDEN, "Send the access token once, as `authorization` or `accessToken`.")
    name, value = given.popitem()
    token = _bare(name, value)
    if not token:
        raise SocketRefused(CloseCode.FORBIDDEN, 'Send the access token as {"authorization": "Bearer …"}.')
    return token


def _bare(name: str, value: Any) -> str:
    if not isinstance(value, str):
        return ""
    if name == ACCESS_TOKEN:
        return value.strip()
    scheme, _, token = value.strip().partition(" ")
    return token.strip() if scheme.lower() == "bearer" else ""


def instant(moment: datetime) -> str:
    """A moment as it goes over the wire."""
    return f"{moment.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}"


class Expiry:
    """Tells when a sign-in is about to end, and when it has ended.

    Args:
        notify: called once before each end, with the moment of the end and the seconds that are left.
        end: called at the end.
    """

    def __init__(self, *, notify: Callable[[datetime, int], None], end: Callable[[], None]) -> None:
        self._notify = notify
        self._end = end
        self._timer: asyncio.TimerHandle | None = None

    def start(self, ends_at: datetime) -> None:
        """Watch for this end, in place of an earlier one."""
        self.stop()
        delay = _seconds_until(ends_at) - NOTICE_SECONDS
        self._timer = asyncio.get_running_loop().call_later(max(0.0, delay), self._tell, ends_at)

    def stop(self) -> None:
        """Watch for nothing."""
        if self._timer is not None:
            self._timer.cancel()

    def _tell(self, ends_at: datetime) -> None:
        left = max(0.0, _seconds_until(ends_at))
        self._timer = asyncio.get_running_loop().call_later(left, self._end)
        self._notify(ends_at, round(left))


def _seconds_until(moment: datetime) -> float:
    return (moment - datetime.now(UTC)).total_seconds()
