"""Who may execute: few at once, more while those wait for the database."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager


class Turns:
    """Lets few work at once.

    What many begin together is kept until all of it is done, so that the garbage collector looks at it again and again,
    and at everything else that lives: with thousands of groups that took seconds in which nobody was served.

    Args:
        few: how many work at once.
        many: how many there are at most, those who wait for the database among them.
        patience: seconds after which somebody who is not done counts as waiting, and the next one begins.
    """

    def __init__(self, few: int, many: int, patience: float) -> None:
        self._places = asyncio.Semaphore(few)
        self._room = asyncio.Semaphore(many)
        self._patience = patience

    @asynccontextmanager
    async def take(self) -> AsyncIterator[None]:
        """Wait for a turn, and have it for as long as the block lasts."""
        async with self._room:
            await self._places.acquire()
            place = _Place(self._places)
            given_up = asyncio.get_running_loop().call_later(self._patience, place.leave)
            try:
                yield
            finally:
                given_up.cancel()
                place.leave()


class _Place:
    """Somebody's place, which is left once."""

    def __init__(self, places: asyncio.Semaphore) -> None:
        self._places: asyncio.Semaphore | None = places

    def leave(self) -> None:
        places, self._places = self._places, None
        if places is not None:
            places.release()
