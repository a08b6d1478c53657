"""Being told that the server stops, before it waits for what goes on for ever."""

import asyncio
import gc
import os
import signal
from collections.abc import Iterator

import pytest

from graphql_api.transport.stopping import Stopping


@pytest.fixture
def heard() -> Iterator[list[int]]:
    """The signals that the server's own handler hears."""
    signals: list[int] = []
    before = signal.signal(signal.SIGTERM, lambda number, _frame: signals.append(number))
    yield signals
    signal.signal(signal.SIGTERM, before)


async def test_the_signal_is_told_and_still_reaches_the_server(heard: list[int]) -> None:
    stopping = Stopping()
    servers_own = signal.getsignal(signal.SIGTERM)

    with stopping.heard():
        assert not stopping.is_told
        os.kill(os.getpid(), signal.SIGTERM)
        async with asyncio.timeout(60):
            await stopping.wait()

    assert stopping.is_told
    assert heard == [signal.SIGTERM]
    assert signal.getsignal(signal.SIGTERM) is servers_own


async def test_once_told_nobody_waits_for_the_garbage_collector(heard: list[int]) -> None:
    stopping = Stopping()
    with stopping.heard():
        assert gc.isenabled()
        known = len(gc.get_objects())
        os.kill(os.getpid(), signal.SIGTERM)
        async with asyncio.timeout(60):
            await stopping.wait()
        # what there is now is not looked at again, not even by the interpreter at its end
        assert not gc.isenabled()
        assert len(gc.get_objects()) < known / 2
    assert gc.isenabled()
    assert heard == [signal.SIGTERM]


async def test_a_handler_that_came_later_is_left_in_place(heard: list[int]) -> None:
    stopping = Stopping()
    with stopping.heard():
        later = signal.signal(signal.SIGTERM, signal.SIG_IGN)
    assert signal.getsignal(signal.SIGTERM) is signal.SIG_IGN
    assert callable(later)
    assert heard == []


async def test_another_thread_hears_no_signals_and_can_be_told() -> None:
    stopping = Stopping()

    def enter() -> None:
        with stopping.heard():
            pass

    await asyncio.to_thread(enter)
    stopping.tell()
    await stopping.wait()
