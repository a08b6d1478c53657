"""The books as a few Python lists: what the program has to come to after whatever is done to it."""

import datetime as dt
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from itertools import count

Key = tuple[int, int]  # store and product


class Short(Exception):  # noqa: N818 - reads as what it is
    """There is not enough: wanted and available bottles by store and product."""

    def __init__(self, shortages: dict[Key, tuple[int, int]]) -> None:
        super().__init__(shortages)
        self.shortages = shortages


@dataclass(eq=False)
class Lot:
    """Bottles that came together."""

    position: int
    received: int
    unit_cost: int
    received_on: dt.date
    expires_on: dt.date | None
    remaining: int = 0

    @property
    def age(self) -> tuple[dt.date, dt.date, int]:
        """What is sold first comes first."""
        return self.expires_on or dt.date.max, self.received_on, self.position

    @property
    def facts(self) -> tuple[int, int, int, dt.date, dt.date | None]:
        return self.remaining, self.received, self.unit_cost, self.received_on, self.expires_on


@dataclass
class Line:
    """A line of an invoice: what it holds of which lots, and when it last touched each."""

    number: int
    product: int
    quantity: int
    unit_price: int
    cost: int = 0
    held: dict[Lot, int] = field(default_factory=dict)
    touched: dict[Lot, int] = field(default_factory=dict)
    credited: int = 0


@dataclass
class Invoice:
    """An invoice; a credit note has negative lines and the invoice that it takes back from."""

    store: int
    lines: list[Line]
    status: str = "DRAFT"
    credit_of: int | None = None
    last_number: int = 0
    is_imported: bool = False

    @property
    def is_counted(self) -> bool:
        return self.status in {"ISSUED", "PAID"}


@dataclass
class PurchaseLine:
    product: int
    quantity: int
    unit_cost: int
    expires_on: dt.date | None
    received: int = 0
    lots: list[tuple[Key, Lot]] = field(default_factory=list)


@dataclass
class Purchase:
    store: int
    lines: list[PurchaseLine]
    status: str = "ORDERED"


@dataclass
class Books:
    """Everything; the methods do what the services must do."""

    lots: dict[Key, list[Lot]] = field(default_factory=dict)
    invoices: dict[int, Invoice] = field(default_factory=dict)
    purchases: dict[int, Purchase] = field(default_factory=dict)
    clock: Iterable[int] = field(default_factory=count)
    positions: Iterable[int] = field(default_factory=count)

    def tick(self) -> int:
        return next(iter(self.clock))

    def on_hand(self, key: Key) -> int:
        return sum(lot.remaining for lot in self.lots.get(key, ()))

    def value(self, key: Key) -> int:
        return sum(lot.remaining * lot.unit_cost for lot in self.lots.get(key, ()))

    def add(self, key: Key, quantity: int, unit_cost: int, day: dt.date, expires_on: dt.date | None = None) -> Lot:
        lot = Lot(next(iter(self.positions)), quantity, unit_cost, day, expires_on, quantity)
        self.lots.setdefault(key, []).append(lot)
        return lot

    def newest_cost(self, key: Key) -> int | None:
        return self.lots[key][-1].unit_cost if self.lots.get(key) else None

    def _usable(self, key: Key, day: dt.date | None) -> list[Lot]:
        lots = [lot for lot in self.lots.get(key, ()) if lot.remaining]
        return sorted(
            (lot for lot in lots if not (day and lot.expires_on and lot.expires_on < day)), key=lambda x: x.age
        )

    def usable(self, key: Key, day: dt.date | None) -> int:
        """Bottles that can be sold on a day."""
        return sum(lot.remaining for lot in self._usable(key, day))

    def check_enough(self, demands: Sequence[tuple[Key, int]], day: dt.date | None = None) -> None:
        wanted: Counter[Key] = Counter()
        for key, quantity in demands:
            wanted[key] += quantity
        there = {key: self.usable(key, day) for key in wanted}
        short = {key: (quantity, there[key]) for key, quantity in wanted.items() if quantity > there[key]}
        if short:
            raise Short(short)

    def take(self, key: Key, quantity: int, day: dt.date | None = None) -> list[tuple[Lot, int]]:
        pieces = []
        for lot in self._usable(key, day):
            taken = min(lot.remaining, quantity)
            if taken:
                lot.remaining -= taken
                quantity -= taken
                pieces.append((lot, taken))
        assert not quantity, "checked before"
        return pieces

    def sell(self, store: int, line: Line, quantity: int, day: dt.date) -> None:
        moment = self.tick()
        for lot, taken in self.take((store, line.product), quantity, day):
            line.held[lot] = line.held.get(lot, 0) + taken
            line.touched[lot] = moment
            line.cost += taken * lot.unit_cost

    def give_back(self, line: Line, quantity: int) -> int:
        """What goes back is what was taken last; answers what it had cost."""
        moment, cost = self.tick(), 0
        ordered = sorted((lot for lot, held in line.held.items() if held), key=lambda lot: (line.touched[lot], lot.age))
        for lot in reversed(ordered):
            back = min(line.held[lot], quantity)
            if back:
                line.held[lot] -= back
                line.touched[lot] = moment
                lot.remaining += back
                quantity -= back
                cost += back * lot.unit_cost
        assert not quantity, "a line holds what it has not given back"
        return cost

    def transfer(self, source: int, target: int, wishes: Sequence[tuple[int, int]]) -> None:
        quantities: Counter[int] = Counter()
        for product, quantity in wishes:
            quantities[product] += quantity
        self.check_enough([((source, product), quantity) for product, quantity in quantities.items()])
        for product, quantity in quantities.items():
            for lot, taken in self.take((source, product), quantity):
                self.add((target, product), taken, lot.unit_cost, lot.received_on, lot.expires_on)

    def issue(self, invoice: Invoice, day: dt.date) -> None:
        self.check_enough([((invoice.store, line.product), line.quantity) for line in invoice.lines], day)
        for line in invoice.lines:
            self.sell(invoice.store, line, line.quantity, day)
        invoice.status = "ISSUED"
        invoice.last_number = max(line.number for line in invoice.lines)

    def set_line(self, invoice: Invoice, product: int, quantity: int, unit_price: int, day: dt.date) -> None:
        """Set the quantity of a product: more goes to its last line, less comes off its last line first."""
        found = [line for line in invoice.lines if line.product == product]
        targets = {line.number: line.quantity for line in found}
        if found:
            difference = quantity - sum(targets.values())
            for line in reversed(found):
                targets[line.number] = max(0, line.quantity + difference)
                difference -= targets[line.number] - line.quantity
        elif quantity:
            number = max([invoice.last_number, *(line.number for line in invoice.lines)]) + 1
            invoice.lines.append(Line(number, product, 0, unit_price))
            targets[number] = quantity
        if invoice.status == "ISSUED":
            try:
                self._move_difference(invoice, targets, day)
            finally:
                invoice.lines = [line for line in invoice.lines if line.quantity or targets.get(line.number)]
        for line in invoice.lines:
            line.quantity = targets.get(line.number, line.quantity)
        invoice.lines = [line for line in invoice.lines if line.quantity]
        if invoice.status == "ISSUED":
            invoice.last_number = max([invoice.last_number, *(line.number for line in invoice.lines)])

    def _move_difference(self, invoice: Invoice, targets: dict[int, int], day: dt.date) -> None:
        lines = {line.number: line for line in invoice.lines}
        raised = {number: wanted - lines[number].quantity for number, wanted in sorted(targets.items())}
        demands = [((invoice.store, lines[n].product), more) for n, more in raised.items() if more > 0]
        try:
            self.check_enough(demands, day)
        except Short:
            targets.clear()
            raise
        for number, more in raised.items():
            if more < 0:
                lines[number].cost -= self.give_back(lines[number], -more)
        for number, more in raised.items():
            if more > 0:
                self.sell(invoice.store, lines[number], more, day)

    def void(self, invoice: Invoice) -> None:
        for line in invoice.lines:
            self.give_back(line, line.quantity)
        invoice.status = "VOID"

    def credit(self, key: int, wanted: dict[int, int], *, restock: bool) -> Invoice:
        invoice = self.invoices[key]
        note = Invoice(invoice.store, [], "ISSUED", credit_of=key)
        for line in invoice.lines:
            quantity = wanted.get(line.number, 0)
            if not quantity:
                continue
            cost = self.give_back(line, quantity) if restock else 0
            line.credited += quantity
            note.lines.append(replace(line, quantity=-quantity, cost=-cost, held={}, touched={}, credited=0))
        return note

    def is_credited(self, key: int) -> bool:
        return any(invoice.credit_of == key for invoice in self.invoices.values())
