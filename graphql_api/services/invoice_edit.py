"""Lines of drafts and of issued invoices change; on issued ones stock moves by the difference."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from graphql_api.database.invoice import InvoiceRow, InvoiceStatus
from graphql_api.database.product import ProductRow
from graphql_api.database.stock import MovementCause
from graphql_api.database.store import StoreRow
from graphql_api.ledger.book import lock_levels
from graphql_api.ledger.entries import Demand, Return
from graphql_api.services import posting
from graphql_api.services.errors import BadInput, Conflict
from graphql_api.services.invoice_amounts import tax_on
from graphql_api.services.invoice_line import (
    LineWish,
    SaleLine,
    changed_line,
    check_lines,
    check_may_set_prices,
    check_once,
    check_sold,
    checked_quantity,
    new_line,
    seen_lines,
    wanted_products,
    with_discount,
)
from graphql_api.services.invoice_line_table import delete_lines, last_moved_line, read_lines, save_lines
from graphql_api.services.invoice_lock import (
    STATUSES,
    check_not_credited,
    check_own,
    check_store,
    locked_invoice,
    usable_on,
)
from graphql_api.services.pdf.invoice_facts import freeze_names
from graphql_api.services.policy import Viewer
from graphql_api.services.settings import read_settings
from graphql_api.services.unit_of_work import UnitOfWork


@dataclass(frozen=True)
class Editing:
    """An invoice whose lines are being changed, and what that takes.

    Args:
        invoice: held by this transaction.
        lines: as they were.
        products: those that the wishes name, by id.
        store: that sells.
        last: the highest number that a line of it has ever had.
        viewer: who changes them.
    """

    invoice: InvoiceRow
    lines: Sequence[SaleLine]
    products: Mapping[int, ProductRow]
    store: StoreRow
    last: int
    viewer: Viewer

    @property
    def place_id(self) -> int:
        """Where new lines are sold: an issued invoice stays where it was issued."""
        if self.lines and self.invoice.status is InvoiceStatus.ISSUED:
            return self.lines[0].place_id
        return self.store.place_id


async def add_invoice_lines(
    work: UnitOfWork, invoice_id: int, expected_version: int, wishes: Sequence[LineWish], viewer: Viewer
) -> InvoiceRow:
    """Put products on an invoice that are not on it yet: all of them or none.

    Raises:
        BadInput, NotFound, Conflict, Forbidden: with the path to the part of the wishes that cannot be.
        InsufficientStock: the invoice is issued, and there is not enough of some.
    """
    editing = await _editing(work, invoice_id, expected_version, wishes, viewer)
    present = {line.product_id for line in editing.lines}
    for position, wish in enumerate(wishes):
        if wish.product_id in present:
            raise Conflict(
                "This product is on the invoice already. Set its quantity with setInvoiceLines.",
                path=("lines", str(position), "productId"),
            )
    first = editing.last + 1
    added = [_new_line(editing, wish, position, first + position) for position, wish in enumerate(wishes)]
    places = {line.number: line.number - first for line in added}
    return await _replace_lines(work, editing, [*editing.lines, *added], places)


async def set_invoice_lines(
    work: UnitOfWork, invoice_id: int, expected_version: int, wishes: Sequence[LineWish], viewer: Viewer
) -> InvoiceRow:
    """Set the quantities of products on an invoice: all of them or none; products not mentioned stay as they are.

    0 takes a product off, a product that is not on it yet is added. Of a product on several lines the quantity is that
    of all together: more go to the last line, fewer come off the last line first.

    Raises:
        BadInput, NotFound, Conflict, Forbidden: with the path to the part of the wishes that cannot be.
        InsufficientStock: the invoice is issued, and there is not enough of some.
    """
    editing = await _editing(work, invoice_id, expected_version, wishes, viewer)
    lines = {line.number: line for line in editing.lines}
    places: dict[int, int] = {}
    for position, wish in enumerate(wishes):
        found = [line for line in editing.lines if line.product_id == wish.product_id]
        changed = _set(editing, found, wish, position, number=max([editing.last, *lines]) + 1)
        for line in found:
            del lines[line.number]
        lines.update({line.number: line for line in changed})
        places.update(dict.fromkeys((line.number for line in changed), position))
    ordered = sorted(lines.values(), key=lambda line: line.number)
    return await _replace_lines(work, editing, ordered, places)


async def _editing(
    work: UnitOfWork, invoice_id: int, expected_version: int, wishes: Sequence[LineWish], viewer: Viewer
) -> Editing:
    """Hold the invoice, and read what is needed to change its lines."""
    invoice = await locked_invoice(work, invoice_id, expected_version, viewer)
    check_own(invoice)
    if invoice.status not in {InvoiceStatus.DRAFT, InvoiceStatus.ISSUED}:
        raise Conflict("This invoice is {status}; its lines are final.", path=("id",), status=STATUSES[invoice.status])
    if invoice.status is InvoiceStatus.ISSUED:
        await check_not_credited(work.session, invoice)
    if not wishes:
        raise BadInput("Name at least one line.", path=("lines",))
    check_once(wishes)
    products = await wanted_products(work, wishes)
    store = await work.session.get_one(StoreRow, invoice.store_id)
    lines = await read_lines(work, invoice.id)
    last = max((line.number for line in lines), default=0)
    if invoice.status is InvoiceStatus.ISSUED:
        last = max(last, await last_moved_line(work, invoice.id))
    return Editing(invoice, lines, products, store, last, viewer)


def _new_line(editing: Editing, wish: LineWish, position: int, number: int) -> SaleLine:
    """The line of a product that is not on the invoice yet."""
    _check_one_discount(editing.invoice, wish, position)
    product = editing.products[wish.product_id]
    return new_line(number, editing.place_id, wish, product, editing.viewer, position)


def _set(editing: Editing, found: Sequence[SaleLine], wish: LineWish, position: int, number: int) -> list[SaleLine]:
    """What becomes of the lines of one product; one that is not there yet gets this number."""
    if wish.quantity:
        checked_quantity(wish.quantity, position)
    if not found:
        return [_new_line(editing, wish, position, number)] if wish.quantity else []
    _check_one_discount(editing.invoice, wish, position)
    if len(found) > 1:
        return _set_together(editing, found, wish, position)
    if not wish.quantity:
        if editing.invoice.discount:
            # what is left would bear all of it
            check_may_set_prices(editing.viewer, ("lines", str(position), "quantity"))
        return []
    product = editing.products[wish.product_id]
    if wish.quantity > found[0].quantity:
        check_sold(product, position)
    return [changed_line(found[0], wish, product, editing.viewer, position)]


def _set_together(editing: Editing, found: Sequence[SaleLine], wish: LineWish, position: int) -> list[SaleLine]:
    """Lines of one product with another quantity in all; the last line takes the difference first."""
    if wish.unit_price is not None or wish.discount is not None:
        raise BadInput(
            "This product stands on several lines of the invoice, so that only its quantity can be set.",
            path=("lines", str(position)),
        )
    product = editing.products[wish.product_id]
    difference = wish.quantity - sum(line.quantity for line in found)
    if difference > 0:
        check_sold(product, position)
    kept: list[SaleLine] = []
    for line in reversed(found):
        quantity = max(0, line.quantity + difference)
        difference -= quantity - line.quantity
        if quantity:
            own = LineWish(wish.product_id, quantity)
            kept.append(changed_line(line, own, product, editing.viewer, position))
    return kept[::-1]


def _check_one_discount(invoice: InvoiceRow, wish: LineWish, position: int) -> None:
    if invoice.discount and wish.discount:
        raise BadInput(
            "There is a discount on the invoice already. Give one on the invoice or those on lines, not both.",
            path=("lines", str(position), "discount"),
        )


async def _replace_lines(
    work: UnitOfWork, editing: Editing, lines: Sequence[SaleLine], places: Mapping[int, int]
) -> InvoiceRow:
    """Have the invoice consist of `lines`, and move the stock that this takes; `places` is where each was wished."""
    invoice, before = editing.invoice, {line.number: line for line in editing.lines}
    if invoice.discount:
        # before they are looked at: a line may have become less than its share was
        lines = with_discount(lines, invoice.discount, ("lines",))
    check_lines(lines, places)
    if any(line.quantity > _quantity(before, line.number) for line in lines):
        check_store(editing.store.is_active, "id")
    if invoice.status is InvoiceStatus.ISSUED:
        lines = await _with_stock(work, invoice, before, lines)
    numbers = {line.number for line in lines}
    gone = [line for line in editing.lines if line.number not in numbers]
    changed = [line for line in lines if line != before.get(line.number)]
    await delete_lines(work, invoice, [line.number for line in gone])
    await save_lines(work, invoice, changed)
    if gone or changed:
        await _finish(work, invoice, lines)
    old = [*gone, *(before[line.number] for line in changed if line.number in before)]
    work.record("Invoice", invoice.id, before={"lines": seen_lines(old)}, after={"lines": seen_lines(changed)})
    return invoice


async def _finish(work: UnitOfWork, invoice: InvoiceRow, lines: Sequence[SaleLine]) -> None:
    invoice.version += 1
    if invoice.status is InvoiceStatus.ISSUED:
        invoice.tax = tax_on(sum(line.revenue for line in lines), invoice.tax_rate)
        await freeze_names(work, invoice.id)
    await work.session.flush()


async def _with_stock(
    work: UnitOfWork, invoice: InvoiceRow, before: Mapping[int, SaleLine], lines: Sequence[SaleLine]
) -> list[SaleLine]:
    """The lines of an issued invoice at the cost of what they hold, after the stock has moved by the differences.

    Raises:
        Conflict: nothing is left on it.
        InsufficientStock: with everything that is short.
    """
    if not lines:
        raise Conflict("An issued invoice keeps at least one line. Void it instead.", path=("lines",))
    store, after = invoice.store_id, {line.number: line for line in lines}
    differences = {number: _quantity(after, number) - _quantity(before, number) for number in {*before, *after}}
    product = {number: line.product_id for number, line in [*before.items(), *after.items()]}
    lowered = [
        Return(store, product[number], invoice.id, number, -difference, invoice.id)
        for number, difference in sorted(differences.items())
        if difference < 0
    ]
    raised = [
        Demand(store, product[number], difference, invoice.id, number)
        for number, difference in sorted(differences.items())
        if difference > 0
    ]
    costs = {number: line.cost for number, line in before.items()}
    if lowered and raised:
        # in one order, as everybody locks
        await lock_levels(await work.driver(), [*(back.key for back in lowered), *(demand.key for demand in raised)])
    if lowered:
        back = await posting.give_back(work, lowered, MovementCause.SALE_LOWERED)
        costs |= {
            part.line_number: costs[part.line_number] - cost for part, cost in zip(lowered, back.costs, strict=True)
        }
    if raised:
        expiry = usable_on(is_any=(await read_settings(work.session)).sells_expired)
        taken = await posting.take(work, raised, MovementCause.SALE, usable_on=expiry)
        numbers = [number for number, difference in sorted(differences.items()) if difference > 0]
        costs |= {number: costs.get(number, 0) + cost for number, cost in zip(numbers, taken.costs, strict=True)}
    return [replace(line, cost=costs[line.number]) for line in lines]


def _quantity(lines: Mapping[int, SaleLine], number: int) -> int:
    return lines[number].quantity if number in lines else 0
