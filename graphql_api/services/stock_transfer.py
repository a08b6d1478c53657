"""Stock moved from one store to another."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from graphql_api.ledger.entries import Demand
from graphql_api.services import posting
from graphql_api.services.checks import one_line, whole
from graphql_api.services.errors import BadInput, InsufficientStock
from graphql_api.services.stock_change import MAX_BOTTLES, MAX_REASON, Moved, check_lines, line_path, read_moved
from graphql_api.services.stock_subject import Findings, read_subjects
from graphql_api.services.unit_of_work import UnitOfWork


@dataclass(frozen=True)
class TransferLine:
    """Bottles of a product that go to another store."""

    product_id: int
    quantity: int


@dataclass(frozen=True)
class TransferWish:
    """What goes from one store to another."""

    from_store_id: int
    to_store_id: int
    lines: Sequence[TransferLine]
    reason: str | None = None


async def transfer_stock(work: UnitOfWork, wish: TransferWish) -> Moved:
    """Move bottles to another store, where they keep cost, age and expiry.

    Raises:
        BadInput, NotFound, Conflict, Problems: with the path to each fault.
        InsufficientStock: with everything that is short.
    """
    findings = Findings()
    reason = findings.check_optional(one_line(MAX_REASON), wish.reason, "reason")
    check_lines(wish.lines, findings)
    for position, line in enumerate(wish.lines):
        findings.check(whole(1, MAX_BOTTLES), line.quantity, *line_path(position, "quantity"))
    if wish.from_store_id == wish.to_store_id:
        findings.add(BadInput("Choose another store; the bottles are in this one."), "toStoreId")
    stores = [wish.from_store_id, wish.to_store_id]
    subjects = await read_subjects(work.session, stores, [line.product_id for line in wish.lines])
    subjects.check_store(wish.from_store_id, findings, "fromStoreId", gains=False)
    subjects.check_store(wish.to_store_id, findings, "toStoreId", gains=True)
    for position, line in enumerate(wish.lines):
        subjects.check_product(line.product_id, findings, *line_path(position, "productId"), gains=True)
    findings.raise_any()
    quantities: Counter[int] = Counter()
    for line in wish.lines:
        quantities[line.product_id] += line.quantity
    demands = [Demand(wish.from_store_id, product_id, quantity) for product_id, quantity in quantities.items()]
    try:
        gone, came = await posting.transfer(work, demands, wish.to_store_id, reason=reason)
    except InsufficientStock as error:
        raise error.below("lines") from None
    moved = await read_moved(
        work, [(store, product) for store in stores for product in quantities], [*gone.ids, *came.ids]
    )
    work.record(
        "Store",
        wish.from_store_id,
        after={
            "toStore": subjects.stores[wish.to_store_id].number,
            "lines": [{"sku": subjects.products[key].sku, "quantity": count} for key, count in quantities.items()],
            "reason": reason,
        },
    )
    return moved
