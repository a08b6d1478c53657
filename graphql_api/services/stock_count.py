"""Stock counted: the books are brought to what was counted, unless they have moved since the count began."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal

from graphql_api.database.stock import MovementCause
from graphql_api.ledger.entries import Demand, Level, StockKey
from graphql_api.services import low_stock, posting
from graphql_api.services.checks import amount, one_line, whole
from graphql_api.services.errors import BadInput, Conflict
from graphql_api.services.stock_change import (
    MAX_BOTTLES,
    MAX_REASON,
    Found,
    Moved,
    add_bottles,
    check_lines,
    line_path,
    read_moved,
    remove_bottles,
)
from graphql_api.services.stock_subject import Findings, read_subjects
from graphql_api.services.unit_of_work import UnitOfWork


@dataclass(frozen=True)
class CountLine:
    """Bottles that were counted of a product, and those that the books had when the count began."""

    product_id: int
    counted: int
    expected: int
    unit_cost: Decimal | None = None


@dataclass(frozen=True)
class CountWish:
    """What was counted in a store."""

    store_id: int
    lines: Sequence[CountLine]
    reason: str | None = None


async def count_stock(work: UnitOfWork, wish: CountWish) -> Moved:
    """Post the differences between what was counted and the books, if the books still are as expected.

    Raises:
        BadInput, NotFound, Conflict, Problems: with the path to each fault; a Conflict for each line that has moved
            since.
    """
    findings = Findings()
    reason = findings.check_optional(one_line(MAX_REASON), wish.reason, "reason")
    check_lines(wish.lines, findings)
    _check_once(wish.lines, findings)
    costs = [_check_count(line, position, findings) for position, line in enumerate(wish.lines)]
    subjects = await read_subjects(work.session, [wish.store_id], [line.product_id for line in wish.lines])
    subjects.check_store(wish.store_id, findings, "storeId", gains=any(_gains(line) for line in wish.lines))
    for position, line in enumerate(wish.lines):
        subjects.check_product(line.product_id, findings, *line_path(position, "productId"), gains=_gains(line))
    findings.raise_any()
    keys = [(wish.store_id, line.product_id) for line in wish.lines]
    _check_unmoved(wish.lines, keys, await posting.hold(work, keys, make=True))
    gone = [
        Demand(*key, line.expected - line.counted)
        for key, line in zip(keys, wish.lines, strict=True)
        if line.counted < line.expected
    ]
    found = [
        Found(key, line.counted - line.expected, cost, line_path(position, "unitCost"))
        for position, (key, line, cost) in enumerate(zip(keys, wish.lines, costs, strict=True))
        if _gains(line)
    ]
    ids = [
        *await add_bottles(work, found, subjects, MovementCause.COUNT, reason),
        *await remove_bottles(work, gone, MovementCause.COUNT, reason, ("lines",)),
    ]
    # a level that has just begun may be low without any bottle having moved
    await low_stock.correct(work, await work.driver(), keys)
    moved = await read_moved(work, keys, ids)

    def sku(line: CountLine) -> str:
        return subjects.products[line.product_id].sku

    work.record(
        "Store",
        wish.store_id,
        before={"lines": [{"sku": sku(line), "onHand": line.expected} for line in wish.lines]},
        after={"lines": [{"sku": sku(line), "onHand": line.counted} for line in wish.lines], "reason": reason},
    )
    return moved


def _check_once(lines: Sequence[CountLine], findings: Findings) -> None:
    seen: dict[int, int] = {}
    for position, line in enumerate(lines):
        first = seen.setdefault(line.product_id, position)
        if first != position:
            problem = BadInput("Line {first} has this product too. Count it once.", first=first)
            findings.add(problem, *line_path(position, "productId"))


def _check_count(line: CountLine, position: int, findings: Findings) -> int | None:
    findings.check(whole(0, MAX_BOTTLES), line.counted, *line_path(position, "counted"))
    findings.check(whole(0, MAX_BOTTLES), line.expected, *line_path(position, "expected"))
    return findings.check_optional(amount, line.unit_cost, *line_path(position, "unitCost"))


def _gains(line: CountLine) -> bool:
    return line.counted > line.expected


def _check_unmoved(lines: Sequence[CountLine], keys: Sequence[StockKey], held: Mapping[StockKey, Level]) -> None:
    findings = Findings()
    for position, (line, key) in enumerate(zip(lines, keys, strict=True)):
        on_hand = held.get(key, Level()).on_hand
        if on_hand != line.expected:
            findings.add(
                Conflict(
                    "The books say {on_hand} bottles by now, not {expected}. Count again, or see what has moved since.",
                    on_hand=on_hand,
                    expected=line.expected,
                ),
                *line_path(position, "expected"),
            )
    findings.raise_any()
