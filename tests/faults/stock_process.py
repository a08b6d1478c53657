"""Clients of the ledger in a process of their own, which gets a plan as JSON.

Prints what they did as JSON: bottles taken and brought, refusals, and every error that no client should see.
"""

import asyncio
import datetime as dt
import json
import random
import sys
from collections import Counter
from dataclasses import dataclass, field

import asyncpg

from graphql_api.database.stock import MovementCause
from graphql_api.ledger import moves
from graphql_api.ledger.entries import Demand, Entry, Receipt, Return, Shortage

SALE = Entry(MovementCause.SALE)
LARGEST_SALE = 4
# What somebody writes who knows the tables and not the ledger: it looks, and then it takes what it has seen.
BY_HAND = """
WITH lot AS (
  SELECT * FROM stock_lot WHERE store_id = $1 AND product_id = $2 AND remaining > 0 ORDER BY random() LIMIT 1
), moved AS (
  INSERT INTO stock_movement (store_id, product_id, quantity, cost, cause, reason)
  SELECT store_id, product_id, -$3::bigint, -$3::bigint * unit_cost, 'ADJUSTMENT', 'by hand' FROM lot RETURNING id
)
INSERT INTO lot_use (movement_id, lot_id, quantity) SELECT moved.id, lot.id, -$3::bigint FROM moved, lot
"""


@dataclass(frozen=True)
class Plan:
    """What a process is to do: clients that act until they have done `acts`, or sell until nothing is left.

    `invoices` has one invoice for each client, whose line 1 is of the first product in the first store.
    """

    url: str
    seed: int
    clients: int
    stores: list[int]
    products: list[int]
    invoices: list[int]
    acts: int | None = None


@dataclass
class Deeds:
    """What came of it, in bottles; `faults` are errors that a client should not see."""

    taken: int = 0
    brought: int = 0
    done: Counter[str] = field(default_factory=Counter)
    faults: list[str] = field(default_factory=list)


class Client:
    """One connection that sells, gives back, transfers, receives and writes by hand, at random."""

    def __init__(self, plan: Plan, number: int, connection: asyncpg.Connection, deeds: Deeds) -> None:
        self.plan = plan
        self.invoice = plan.invoices[number]
        self.connection = connection
        self.deeds = deeds
        self.random = random.Random(f"{plan.seed}-{number}")  # noqa: S311 - repeatable, no secret

    async def act_at_random(self, acts: int) -> None:
        """Do so many things."""
        choices = (self.sell, self.sell, self.sell_and_return, self.transfer, self.transfer, self.by_hand, self.receive)
        for _ in range(acts):
            act = self.random.choice(choices)
            name = act.__name__
            try:
                await act()
            except Shortage:
                name = "shortage"
            except Exception as error:  # noqa: BLE001 - whatever it is, the test is to see it
                self.deeds.faults.append(f"{name}: {error!r}")
            self.deeds.done[name] += 1

    async def sell_out(self) -> None:
        """Sell until nothing is left."""
        key = self.plan.stores[0], self.plan.products[0]
        most = LARGEST_SALE
        while most:
            quantity = self.random.randint(1, most)
            try:
                async with self.connection.transaction():
                    # the same product twice is one demand
                    await moves.take(self.connection, [Demand(*key, part) for part in self.parts(quantity)], SALE)
                self.deeds.taken += quantity
                self.deeds.done["sell"] += 1
            except Shortage as shortage:
                most = min(shortage.shortfalls[0].available, LARGEST_SALE)
                self.deeds.done["shortage"] += 1

    def parts(self, quantity: int) -> list[int]:
        first = self.random.randint(1, quantity)
        return [part for part in (first, quantity - first) if part]

    def basket(self, store_id: int) -> list[Demand]:
        products = self.random.sample(self.plan.products, self.random.randint(1, len(self.plan.products)))
        return [Demand(store_id, product, self.random.randint(1, LARGEST_SALE)) for product in products]

    async def sell(self) -> None:
        """Several products in any order."""
        basket = self.basket(self.random.choice(self.plan.stores))
        async with self.connection.transaction():
            await moves.take(self.connection, basket, SALE)
        self.deeds.taken += sum(demand.quantity for demand in basket)

    async def sell_and_return(self) -> None:
        """A line that takes bottles and gives some of them back, each in its own transaction."""
        key = self.plan.stores[0], self.plan.products[0]
        quantity = self.random.randint(1, LARGEST_SALE)
        async with self.connection.transaction():
            await moves.take(self.connection, [Demand(*key, quantity, self.invoice, 1)], SALE)
        self.deeds.taken += quantity
        back = self.random.randint(1, quantity)
        async with self.connection.transaction():
            returned = Return(*key, self.invoice, 1, back, self.invoice)
            await moves.give_back(self.connection, [returned], Entry(MovementCause.SALE_LOWERED))
        self.deeds.brought += back

    async def transfer(self) -> None:
        """Between any two stores, in either direction."""
        source, target = self.random.sample(self.plan.stores, 2)
        async with self.connection.transaction():
            await moves.transfer(self.connection, self.basket(source), target, Entry(MovementCause.TRANSFER_OUT))

    async def receive(self) -> None:
        """A new lot, which may expire."""
        expires_on = self.random.choice([None, dt.date(2030, 1, self.random.randint(1, 28))])
        key = self.random.choice(self.plan.stores), self.random.choice(self.plan.products)
        receipt = Receipt(*key, 3, self.random.randint(0, 999), dt.date(2024, 1, 1), expires_on)
        async with self.connection.transaction():
            await moves.receive(self.connection, [receipt], Entry(MovementCause.RECEIPT))
        self.deeds.brought += 3

    async def by_hand(self) -> None:
        """Past the ledger; the database refuses what would not be there."""
        key = self.random.choice(self.plan.stores), self.random.choice(self.plan.products)
        quantity = self.random.randint(1, LARGEST_SALE)
        try:
            answer = await self.connection.execute(BY_HAND, *key, quantity)
        except asyncpg.CheckViolationError:
            return
        self.deeds.taken += quantity if answer == "INSERT 0 1" else 0


async def act(plan: Plan) -> Deeds:
    """Let all clients act at once."""
    deeds = Deeds()
    connections = [await asyncpg.connect(plan.url) for _ in range(plan.clients)]
    clients = [Client(plan, number, connection, deeds) for number, connection in enumerate(connections)]
    acts = [client.sell_out() if plan.acts is None else client.act_at_random(plan.acts) for client in clients]
    await asyncio.gather(*acts)
    for connection in connections:
        await connection.close()
    return deeds


def main() -> None:
    """What the process does."""
    print(json.dumps(vars(asyncio.run(act(Plan(**json.loads(sys.argv[1])))))))  # noqa: T201 - its answer
