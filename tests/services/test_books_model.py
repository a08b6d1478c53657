"""People and files trade at random; after each step the program comes to what the model comes to, to the cent."""

import asyncio
import os
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis.stateful import run_state_machine_as_test

from tests.services.books_files_machine import TradeWithFiles

# More by hand: BOOKS_STEPS=2000 pytest -s tests/services/test_books_model.py
STEPS = int(os.environ.get("BOOKS_STEPS", "120"))
STEPS_OF_RUN = 30


@pytest.fixture
def machine(server_url: str, template_name: str, tmp_path: Path) -> Iterator[type[TradeWithFiles]]:
    with asyncio.Runner() as runner:

        class Machine(TradeWithFiles):
            pass

        Machine.runner, Machine.folder, Machine.acts = runner, tmp_path, Counter()
        Machine.server_url, Machine.template = server_url, template_name
        yield Machine


def test_trade_at_random_keeps_the_books_balanced(machine: type[TradeWithFiles]) -> None:
    by_hand = "BOOKS_STEPS" in os.environ

    run_state_machine_as_test(
        machine,
        settings=settings(
            max_examples=max(1, STEPS // STEPS_OF_RUN),
            stateful_step_count=STEPS_OF_RUN,
            deadline=None,
            derandomize=not by_hand,
            database=None,
            phases=list(Phase) if by_hand else [Phase.generate],
            suppress_health_check=list(HealthCheck),
        ),
    )

    print(f"{machine.steps} steps: {dict(machine.acts)}")  # noqa: T201 - for whoever runs many
    assert machine.steps >= STEPS // 2


def test_what_a_line_took_last_goes_back_first_however_old_it_is(machine: type[TradeWithFiles]) -> None:
    trade = machine()
    try:
        # given a line that took two bottles, and then two of a lot that is older
        trade.adjust(store=0, product=0, quantity=2, cost=100)
        trade.draft(store=0, lines=[(0, 2)], issued=True)
        trade.order(store=0, lines=[(0, 3, 300, None)])
        trade.receive(choice=0, line=0, part=2, cost=None, age=40)
        trade.set_lines(choice=0, line=0, product=None, quantity=4)
        trade.come_to_the_same()

        # when it gives some back, in both ways, and takes again
        trade.set_lines(choice=0, line=0, product=None, quantity=3)
        trade.come_to_the_same()
        trade.set_lines(choice=0, line=0, product=None, quantity=5)
        trade.credit(choice=0, part=0, restock=True)
        trade.credit(choice=0, part=1, restock=False)

        # then it is what the model says, to the lot
        trade.come_to_the_same()
        assert [lot.remaining for lots in trade.books.lots.values() for lot in lots] == [0, 1]
    finally:
        trade.teardown()
