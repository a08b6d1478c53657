"""A client of server-sent events that takes them by the letter."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import httpx

PATIENCE = 60.0
EVENT_STREAM = "text/event-stream"


@dataclass(frozen=True)
class SentEvent:
    """One event as a browser would dispatch it; `id` is None when it has none of its own."""

    name: str
    data: str
    id: str | None

    @property
    def result(self) -> dict[str, Any]:
        """The data of a `next`."""
        assert self.name == "next"
        result = json.loads(self.data)
        assert isinstance(result, dict)
        return result

    @property
    def codes(self) -> list[str]:
        """The codes of its errors."""
        return [error["extensions"]["code"] for error in self.result["errors"]]


class EventSource:
    """The events of one answer.

    Args:
        response: the answer, of which nothing was read.
    """

    def __init__(self, response: httpx.Response) -> None:
        self.response = response
        self.comments = 0
        self.retry: int | None = None
        self.last_id: str | None = None
        self._lines = response.aiter_lines()

    async def next(self) -> SentEvent:
        """The next event.

        Raises:
            StopAsyncIteration: there is none.
        """
        async with asyncio.timeout(PATIENCE):
            while True:
                event = await self._block()
                if event is not None:
                    return event

    async def opened(self) -> None:
        """Wait for what comes before all events."""
        assert await self._block() is None

    async def moved_to(self, wanted: str | None) -> None:
        """Wait until it is told this id, while nothing else comes."""
        async with asyncio.timeout(PATIENCE):
            while self.last_id != wanted:
                assert await self._block() is None

    async def commented(self, count: int) -> None:
        """Wait until so many comments have come, while nothing else does."""
        async with asyncio.timeout(PATIENCE):
            while self.comments < count:
                assert await self._block() is None

    async def result(self) -> dict[str, Any]:
        """The data of the next result, which has no errors."""
        result = (await self.next()).result
        assert "errors" not in result, result
        return dict(result["data"])

    async def rest(self) -> list[SentEvent]:
        """All events up to the end of the answer."""
        events = []
        while True:
            try:
                events.append(await self.next())
            except StopAsyncIteration:
                return events

    async def _block(self) -> SentEvent | None:
        """The lines up to an empty one; None when they dispatch nothing."""
        name, own_id, data = "message", None, list[str]()
        while line := await anext(self._lines):
            field, _, value = line.partition(":")
            value = value.removeprefix(" ")
            if not field:
                self.comments += 1
            elif field == "event":
                name = value
            elif field == "data":
                data.append(value)
            elif field == "id":
                own_id = self.last_id = value
            elif field == "retry":
                self.retry = int(value)
            else:
                raise AssertionError(line)
        return SentEvent(name, "\n".join(data), own_id) if data else None


@dataclass(frozen=True)
class Subscriber:
    """Somebody who subscribes over HTTP.

    Args:
        http: a client without a time limit.
        url: the endpoint.
        headers: who it is.
    """

    http: httpx.AsyncClient
    url: str
    headers: dict[str, str]

    @asynccontextmanager
    async def subscribed(
        self, query: str, *, accept: str = EVENT_STREAM, last_event_id: str | None = None, **variables: Any
    ) -> AsyncIterator[EventSource]:
        """A subscription that has begun, by POST."""
        headers = {**self.headers, "accept": accept}
        if last_event_id is not None:
            headers["last-event-id"] = last_event_id
        body = {"query": query, "variables": variables}
        async with self.http.stream("POST", self.url, json=body, headers=headers) as response:
            yield EventSource(response)

    async def refused(self, query: str, *, last_event_id: str | None = None, **variables: Any) -> dict[str, Any]:
        """The one error of a subscription that does not begin."""
        async with self.subscribed(query, last_event_id=last_event_id, **variables) as source:
            error, end = await source.rest()
        assert (end.name, end.data) == ("complete", "")
        (found,) = error.result["errors"]
        return dict(found)

    async def execute(self, query: str, **variables: Any) -> Any:
        """The data of an answer without errors."""
        answer = await self.http.post(self.url, json={"query": query, "variables": variables}, headers=self.headers)
        assert "errors" not in answer.json(), answer.text
        return answer.json()["data"]
