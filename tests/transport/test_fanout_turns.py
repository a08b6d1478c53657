"""Few execute at once, and those who wait for something else hold nobody up."""

import asyncio

import pytest

from graphql_api.transport.fanout_turns import Turns

FOR_EVER = 1_000.0
SOON = 0.01
PATIENCE = 60.0


class Crowd:
    """Some who want a turn, and keep it until they are told to leave."""

    def __init__(self, turns: Turns, count: int) -> None:
        self.entered: list[int] = []
        self.leave = [asyncio.Event() for _ in range(count)]
        self.tasks = [asyncio.create_task(self._work(turns, number)) for number in range(count)]

    async def _work(self, turns: Turns, number: int) -> None:
        async with turns.take():
            self.entered.append(number)
            await self.leave[number].wait()

    async def disperse(self) -> None:
        """Have everybody leave."""
        for task in self.tasks:
            task.cancel()
        await asyncio.wait(self.tasks)


async def settled() -> None:
    """Let all take the steps that wait for nothing."""
    for _ in range(20):
        await asyncio.sleep(0)


async def reached(crowd: Crowd, count: int) -> None:
    async with asyncio.timeout(PATIENCE):
        while len(crowd.entered) < count:  # noqa: ASYNC110 - who enters tells nobody
            await asyncio.sleep(0.001)


async def test_the_next_one_begins_when_somebody_is_done() -> None:
    crowd = Crowd(Turns(2, 10, FOR_EVER), 5)
    await settled()
    assert crowd.entered == [0, 1]

    crowd.leave[1].set()
    await settled()

    assert crowd.entered == [0, 1, 2]
    await crowd.disperse()


async def test_who_takes_long_keeps_nobody_from_beginning_but_there_is_an_end_to_it() -> None:
    crowd = Crowd(Turns(1, 3, SOON), 5)

    await reached(crowd, 3)
    await asyncio.sleep(10 * SOON)
    assert crowd.entered == [0, 1, 2]
    crowd.leave[0].set()
    await reached(crowd, 4)

    assert crowd.entered == [0, 1, 2, 3]
    await crowd.disperse()


@pytest.mark.parametrize("patience", [FOR_EVER, SOON], ids=["soon", "after having waited for long"])
async def test_whoever_is_given_up_leaves_one_place_and_no_more(patience: float) -> None:
    # given: somebody at work, and somebody who waits for a turn or has waited for long
    turns = Turns(1, 10, patience)
    crowd = Crowd(turns, 2)
    await reached(crowd, 1 if patience == FOR_EVER else 2)
    turns._patience = FOR_EVER  # noqa: SLF001 - so that the rest does not hang on time

    # when
    await crowd.disperse()

    # then: as at the beginning, one works and the next one waits
    after = Crowd(turns, 3)
    await settled()
    assert after.entered == [0]
    after.leave[0].set()
    await settled()
    assert after.entered == [0, 1]
    await after.disperse()
