"""What to order again: from what sells, what is there, and what is on its way.

The rule is the (s, S) policy of inventory control (K. J. Arrow, T. Harris, J. Marschak: Optimal Inventory Policy,
Econometrica 19, 1951; E. A. Silver, D. F. Pyke, R. Peterson: Inventory Management and Production Planning and
Scheduling, chapter 7), for each product of each store, in bottles:

    velocity  = sold in the last `lookback_days` days, returns taken off, but not less than 0, / lookback_days
    position  = on hand - expired + on order
    demand    = velocity x cover_days
    order when  position <= threshold  or  position < demand            (s, the point of reordering)
    up to       demand, rounded up, + threshold + 1                     (S; stock is low at the threshold)
    suggested = S - position, rounded up to whole packs where the pack is known

So what is ordered lasts `cover_days` and then still is not low, and with one pack less it would not. Expired bottles
are on hand but cover nothing, unless the settings let them be sold. The last of the days is today. Archived products
and stores, and products that a store has never had, are not suggested.
"""

from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum
from typing import Any

from sqlalchemy import FromClause, Numeric, Select, Subquery, cast, func, or_, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import Bundle

from graphql_api.reports.tuning import prepare_to_add_up
from graphql_api.services.errors import BadInput
from graphql_api.services.paging import Page, PageRequest, SortKey, read_page
from graphql_api.services.reorder_level import ReorderQuestion, levels_of
from graphql_api.services.translation import Sentence

MAX_DAYS = 366
THOUSANDTH = Decimal("0.001")
FIGURES = (
    "store_id", "product_id", "vendor_id", "on_hand", "expired", "on_order", "sold", "threshold", "pack", "unit_cost",
    "suggested", "days_of_cover",
)  # fmt: skip


class ReorderReason(StrEnum):
    """Why something is to be ordered again."""

    BELOW_THRESHOLD = "BELOW_THRESHOLD"
    COVER_RUNS_OUT = "COVER_RUNS_OUT"


@dataclass(frozen=True)
class Suggestion:
    """A product that a store should order, in bottles and cents a bottle; `sold` is that of all days looked back on.

    `on_hand` holds `expired`, which cannot be sold any more.
    """

    store_id: int
    product_id: int
    vendor_id: int | None
    on_hand: int
    expired: int
    on_order: int
    sold: int
    threshold: int
    pack: int | None
    unit_cost: int | None
    suggested: int
    days_of_cover: Decimal | None
    lookback_days: int
    cover_days: int

    @property
    def velocity(self) -> Decimal:
        """Bottles a day, to three digits."""
        return (Decimal(self.sold) / self.lookback_days).quantize(THOUSANDTH)

    @property
    def position(self) -> int:
        """Bottles that can be counted on: those that can be sold, and those on order."""
        return self.on_hand - self.expired + self.on_order

    @property
    def reason(self) -> ReorderReason:
        """Why it is suggested; both may be true, then what is low already comes first."""
        is_low = self.position <= self.threshold
        return ReorderReason.BELOW_THRESHOLD if is_low else ReorderReason.COVER_RUNS_OUT

    @property
    def explanation(self) -> Sentence:
        """The reason in words."""
        if self.reason is ReorderReason.BELOW_THRESHOLD:
            return Sentence(
                "{position:,} bottles are here or on order; {threshold:,} or fewer are low.",
                position=self.position,
                threshold=self.threshold,
            )
        return Sentence(
            "{position:,} bottles are here or on order. At {velocity} a day they do not last {days} days.",
            position=self.position,
            velocity=self.velocity.normalize(),
            days=self.cover_days,
        )


async def reorder_suggestions(
    session: AsyncSession, question: ReorderQuestion, request: PageRequest
) -> Page[Suggestion]:
    """A page of what is to be ordered: what runs out first comes first, what has not sold comes last.

    Raises:
        BadInput, TooComplex: with the path to the argument at fault.
    """
    suggested = _suggested(question)
    await prepare_to_add_up(session)
    page = await read_page(session, _rows(suggested), _order(suggested, question), request)
    rows = [_suggestion(row, question) for row in page.rows]
    return Page(rows, page.cursors, page.has_next, page.has_previous)


async def most_urgent(session: AsyncSession, question: ReorderQuestion, limit: int) -> list[Suggestion]:
    """The suggestions that come first, in one piece.

    Raises:
        BadInput, TooComplex: with the path to the argument at fault.
    """
    suggested = _suggested(question)
    await prepare_to_add_up(session)
    order = [key.clause(is_reversed=False) for key in _order(suggested, question)]
    found = await session.scalars(_rows(suggested).order_by(*order).limit(limit))
    return [_suggestion(row, question) for row in found]


async def count_suggestions(session: AsyncSession, question: ReorderQuestion) -> int:
    """How many products of stores are to be ordered in all.

    Raises:
        BadInput, TooComplex: with the path to the argument at fault.
    """
    suggested = _suggested(question)
    await prepare_to_add_up(session)
    return await session.scalar(select(func.count()).select_from(suggested)) or 0


def _suggestion(figures: Any, question: ReorderQuestion) -> Suggestion:
    known = dict(zip(FIGURES, figures, strict=True))
    return Suggestion(**known, lookback_days=question.lookback_days, cover_days=question.cover_days)


def _rows(suggested: FromClause) -> Select[Any]:
    return select(Bundle("suggestion", *(suggested.c[name] for name in FIGURES)))


def _order(suggested: FromClause, question: ReorderQuestion) -> list[SortKey]:
    """What runs out first comes first; the days are part of the names, for cursors of other days mean nothing."""
    made_for = f"reorder:{question.lookback_days}:{question.cover_days}"
    return [
        SortKey(f"{made_for}:days", suggested.c.days_of_cover, is_nullable=True),
        SortKey(f"{made_for}:store", suggested.c.store_id),
        SortKey(f"{made_for}:product", suggested.c.product_id),
    ]


def _suggested(question: ReorderQuestion) -> Subquery:
    """What is to be ordered, with its figures: the formula at the top of this module, in whole numbers."""
    _check_days(question)
    levels = levels_of(question).subquery("levels")
    lookback, cover = question.lookback_days, question.cover_days
    usable = levels.c.on_hand - levels.c.expired
    position = usable + levels.c.on_order
    demanded = (levels.c.sold * cover + lookback - 1) // lookback
    needed = demanded + levels.c.threshold + 1 - position
    packs = (needed + levels.c.pack - 1) // levels.c.pack
    days = func.round(cast(usable * lookback, Numeric) / func.nullif(levels.c.sold, 0), 1)
    suggested = func.coalesce(packs * levels.c.pack, needed)
    return (
        select(levels, suggested.label("suggested"), cast(days, Numeric).label("days_of_cover"))
        .where(or_(position <= levels.c.threshold, position * lookback < levels.c.sold * cover))
        .subquery("suggested")
    )


def _check_days(question: ReorderQuestion) -> None:
    for name, days in (("lookbackDays", question.lookback_days), ("coverDays", question.cover_days)):
        if not 1 <= days <= MAX_DAYS:
            raise BadInput("`{name}` goes from 1 to {limit}.", path=(name,), name=name, limit=MAX_DAYS)
