"""Who is connected, over WebSockets and event streams alike, and whether they still may be.

A notice about an account puts all its guests in doubt: they are held, which means that nothing more is sent to them,
until the database has been asked again. Then they go on, perhaps with another role, or have to leave. Whoever enters
begins in doubt, too: what was known when he signed in may be out of date by then.
"""

import asyncio
import logging
from collections.abc import Iterable
from itertools import islice
from typing import Protocol

from graphql_api.schema.context import Services
from graphql_api.services.errors import RateLimited, ServiceError
from graphql_api.services.noticeboard import NoticeKind
from graphql_api.services.policy import Unauthenticated, Viewer

logger = logging.getLogger(__name__)

PER_ADDRESS = 20
# How many guests are asked about with one statement.
BATCH = 500
POLL_SECONDS = 0.2


class TooManyConnections(RateLimited):
    """So many connections of an account, or of an address, are open that it gets no further one."""


class Guest(Protocol):
    """One connection. It is told what becomes of its rights, and never waits in these calls."""

    @property
    def viewer(self) -> Viewer | None:
        """Who has signed in; None for a stranger, whose rights cannot change."""

    def hold(self) -> None:
        """Send nothing for now; `admit` or `dismiss` follows."""

    def admit(self, viewer: Viewer) -> None:
        """Go on with the rights that this viewer has now."""

    def dismiss(self, error: ServiceError) -> None:
        """Send nothing more and end the connection, for this reason."""


class Presence:
    """The connections of one process.

    Args:
        services: tell who still may be here.
        per_user: how many connections an account may have, in this process.
        per_address: how many connections strangers may have from one address, in this process.
    """

    def __init__(self, services: Services, per_user: int, per_address: int = PER_ADDRESS) -> None:
        self._authentication = services.authentication
        self._noticeboard = services.noticeboard
        self._per_user = per_user
        self._per_address = per_address
        # by account, or by address
        self._guests: dict[int | str, set[Guest]] = {}
        self._keys: dict[Guest, int | str] = {}
        self._doubtful: set[Guest] = set()
        self._news = asyncio.Event()
        self._is_stale = False
        services.noticeboard.on(NoticeKind.USER, self._doubt_account)

    @property
    def is_current(self) -> bool:
        """Whether a change of anybody's rights would have been heard by now; if not, send nothing to guests."""
        if self._noticeboard.is_current:
            return not self._is_stale
        self._is_stale = True  # whoever was told so is told when it is over, however short it was
        return False

    def enter(self, guest: Guest, address: str | None = None) -> None:
        """Take in a guest, who is held at first.

        Args:
            guest: the connection.
            address: where it comes from; strangers are counted by it.

        Raises:
            TooManyConnections: the account or the address has enough.
        """
        key = address if guest.viewer is None else guest.viewer.user_id
        if key is not None:
            self._check_room(key)
            self._guests.setdefault(key, set()).add(guest)
            self._keys[guest] = key
        if guest.viewer is not None:
            self._doubt([guest])

    def leave(self, guest: Guest) -> None:
        """Forget a guest; idempotent."""
        self._doubtful.discard(guest)
        key = self._keys.pop(guest, None)
        if key is None:
            return
        self._guests[key].discard(guest)
        if not self._guests[key]:
            del self._guests[key]

    async def run(self) -> None:
        """Ask about those in doubt until cancelled."""
        while True:
            try:
                async with asyncio.timeout(POLL_SECONDS):
                    await self._news.wait()
            except TimeoutError:
                pass
            self._news.clear()
            try:
                await self._clear_doubts()
            except Exception as error:  # noqa: BLE001 - whatever it is, those in doubt are asked about again
                logger.warning("Who is connected cannot be checked, nothing is sent to them meanwhile: %r", error)
                await asyncio.sleep(POLL_SECONDS)

    def _check_room(self, key: int | str) -> None:
        limit = self._per_user if isinstance(key, int) else self._per_address
        if len(self._guests.get(key, ())) < limit:
            return
        if isinstance(key, int):
            raise TooManyConnections("This account has {limit:,} open connections already. Close one.", limit=limit)
        raise TooManyConnections(
            "This address has {limit:,} open connections without a sign-in. Close one, or sign in.", limit=limit
        )

    def _doubt_account(self, user_id: int | None) -> None:
        """Something about an account has changed; None: about any."""
        everybody = [guest for guest in self._keys if guest.viewer is not None]
        self._doubt(everybody if user_id is None else self._guests.get(user_id, ()))

    def _doubt(self, guests: Iterable[Guest]) -> None:
        for guest in guests:
            self._doubtful.add(guest)
            guest.hold()
        self._news.set()

    async def _clear_doubts(self) -> None:
        if not self.is_current:
            if not self._noticeboard.is_current:
                return
            self._doubt_account(None)
            self._is_stale = False
        while self._doubtful:
            batch = list(islice(self._doubtful, BATCH))
            # taken out before the question, so that whoever comes into doubt meanwhile is asked about again
            self._doubtful.difference_update(batch)
            try:
                await self._ask(batch)
            except BaseException:
                self._doubtful.update(guest for guest in batch if guest in self._keys)
                raise

    async def _ask(self, guests: Iterable[Guest]) -> None:
        known = {guest: guest.viewer for guest in guests if guest.viewer is not None}
        present = await self._authentication.present_viewers(set(known.values()))
        for guest, viewer in known.items():
            if guest in self._keys and guest not in self._doubtful:
                self._answer(guest, present[viewer])

    def _answer(self, guest: Guest, present: Viewer | Unauthenticated) -> None:
        try:
            if isinstance(present, Viewer):
                guest.admit(present)
            else:
                guest.dismiss(present)
        except Exception:
            logger.exception("A connection could not be told what has become of its rights")
