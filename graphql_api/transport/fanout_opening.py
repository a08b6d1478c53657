"""What new subscribers get before events: read once for all who come at about the same time."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

from graphql_api.schema.live import Opening

# Who comes so much later still begins with it: the state is right, and what has happened since follows.
FRESH_SECONDS = 1.0

Render = Callable[[Any], Awaitable[str]]


class Opened:
    """An opening, each of its values rendered once, when the first subscriber comes to it.

    Args:
        opening: what it consists of.
        render: makes the text of a value.
    """

    def __init__(self, opening: Opening[Any], render: Render) -> None:
        self.opening = opening
        self._render = render
        self._texts: dict[int, str] = {}
        self._turn = asyncio.Lock()

    async def text(self, index: int) -> str:
        """The text of one of the values."""
        async with self._turn:
            if index not in self._texts:
                self._texts[index] = await self._render(self.opening.values[index])
            return self._texts[index]


@dataclass
class OpeningProgress:
    """How far a subscriber has come.

    Args:
        opening: None until it is read.
        index: of the next value.
        opened: the texts; only of use in the group that has made them.
    """

    opening: Opening[Any] | None = None
    index: int = 0
    opened: Opened | None = None

    def carried(self) -> "OpeningProgress":
        """The same for another group, which renders what is left for itself."""
        return OpeningProgress(self.opening, self.index)


class OpeningShare:
    """The opening that is being read, or was just read, for a group.

    Args:
        read: reads it.
        render: makes the text of a value.
    """

    def __init__(self, read: Callable[[], Awaitable[Opening[Any]]], render: Render) -> None:
        self._read = read
        self._render = render
        self._turn = asyncio.Lock()
        self._recent: Opened | None = None

    async def begin(self, progress: OpeningProgress) -> Opened:
        """What a subscriber is to get, from where it stopped."""
        if progress.opened is None and progress.opening is not None:
            progress.opened = Opened(progress.opening, self._render)
        if progress.opened is None:
            progress.opened = await self._shared()
            progress.opening = progress.opened.opening
        return progress.opened

    async def _shared(self) -> Opened:
        async with self._turn:
            if self._recent is None:
                self._recent = Opened(await self._read(), self._render)
                asyncio.get_running_loop().call_later(FRESH_SECONDS, self._forget)
            return self._recent

    def _forget(self) -> None:
        """From here on those who still need it keep it."""
        self._recent = None
