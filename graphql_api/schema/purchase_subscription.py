"""Changes of purchases as clients listen to them."""

import datetime as dt
from collections.abc import AsyncGenerator
from typing import Annotated, cast

import strawberry
from strawberry import UNSET

from graphql_api.database.event import Topic
from graphql_api.database.purchase import PurchaseStatus
from graphql_api.events.catalogue import Event, PurchaseChange, PurchaseChanged
from graphql_api.schema.context import Context, Info
from graphql_api.schema.enums import describe
from graphql_api.schema.event_cursor import event_cursor
from graphql_api.schema.event_stream import AT, CURSOR, AfterEvent, event_stream
from graphql_api.schema.filters import (
    ALL_OF,
    ANY_OF,
    EQUAL,
    NONE_OF,
    ONE_OF,
    IdFilter,
    StringFilter,
    id_filter,
    operator,
)
from graphql_api.schema.node import global_id
from graphql_api.schema.purchase import Purchase, PurchaseStatusFilter
from graphql_api.schema.scalars import Cursor
from graphql_api.services.event_filter import PURCHASE_FACTS

describe(
    PurchaseChange,
    "What has become of a purchase.",
    {
        "CREATED": "It is new: ordered, or received with an import.",
        "UPDATED": "Something on it was changed, or a part of it came; its status stayed.",
        "RECEIVED": "All of it has come.",
        "VOID": "It was voided.",
        "DELETED": "It is gone from the database; taking it back, by hand or with its import, voids it instead.",
    },
)


@strawberry.type(description="A purchase was made or changed.")
class PurchaseEvent:
    """A purchase was made or changed."""

    cursor: Cursor = strawberry.field(description=CURSOR)
    at: dt.datetime = strawberry.field(description=AT)
    change: PurchaseChange = strawberry.field(description="What has become of it.")
    purchase_id: strawberry.ID = strawberry.field(description="Its id.")
    number: str = strawberry.field(description="Its number.")
    status: PurchaseStatus = strawberry.field(description="How far it had come after the change.")
    version: int = strawberry.field(description="Its version after the change.")
    key: strawberry.Private[int]

    @strawberry.field(
        description="All of it, as it is now, which may be after later changes; compare `version`. Null once deleted."
    )
    async def purchase(self, info: Info) -> Purchase | None:
        """All of it, as it is now."""
        row = await info.context.loaders.purchases.load(self.key)
        return Purchase.from_row(row) if row else None


@strawberry.input(description="Conditions on what has become of a purchase.")
class PurchaseChangeFilter:
    """Conditions on what has become of a purchase."""

    eq: PurchaseChange | None = operator(EQUAL)
    in_: list[PurchaseChange] | None = operator(ONE_OF, name="in")


@strawberry.input(
    description="Which changes of purchases; all given conditions must hold, for the purchase right after the change."
)
class PurchaseEventWhere:
    """Which changes of purchases."""

    id: IdFilter | None = id_filter("Purchase", "The id of the purchase.")
    number: StringFilter | None = operator("Its number.")
    status: PurchaseStatusFilter | None = operator("How far it had come.")
    change: PurchaseChangeFilter | None = operator("What has become of it.")
    store: IdFilter | None = id_filter("Store", "The id of the store that orders.")
    and_: list["PurchaseEventWhere"] | None = operator(ALL_OF, name="and")
    or_: list["PurchaseEventWhere"] | None = operator(ANY_OF, name="or")
    not_: "PurchaseEventWhere | None" = operator(NONE_OF, name="not")


async def _present(event: Event, context: Context) -> PurchaseEvent:
    fact = cast("PurchaseChanged", event.fact)
    return PurchaseEvent(
        cursor=await event_cursor(context, event.number),
        at=event.recorded_at,
        change=fact.change,
        purchase_id=global_id("Purchase", fact.purchase),
        number=fact.number,
        status=fact.status,
        version=fact.version,
        key=fact.purchase,
    )


@strawberry.type
class PurchaseSubscription:
    """Root field that tells of purchases."""

    @strawberry.subscription(
        description=(
            "Every purchase that is ordered, changed, received (also in part) or voided, by hand or by an import, each "
            "change once and in order. As in `subscription { purchaseChanged(where: {status: "
            "{eq: RECEIVED}}) { cursor change purchase { number totals { quantity } } } }`."
        )
    )
    async def purchase_changed(
        self,
        info: Info,
        where: Annotated[
            PurchaseEventWhere | None, strawberry.argument(description="Only changes that match this filter.")
        ] = UNSET,
        after: AfterEvent = UNSET,
    ) -> AsyncGenerator[PurchaseEvent, None]:
        """Every change of a purchase."""
        stream = await event_stream(
            info.context, Topic.PURCHASE, _present, where=where, facts=PURCHASE_FACTS, after=after
        )
        return cast("AsyncGenerator[PurchaseEvent, None]", stream)
