"""Changes of purchases as clients listen to them."""

from collections.abc import AsyncGenerator

import strawberry
from strawberry import UNSET

from graphql_api.database.event import Topic
from graphql_api.database.purchase import PurchaseStatus
from graphql_api.events.catalogue import PurchaseChange, PurchaseChanged
from graphql_api.schema.context import Context, Info
from graphql_api.schema.enums import describe
from graphql_api.schema.event_stream import (
    AS_IT_IS_NOW,
    AfterEvent,
    ChangeFilter,
    LoggedEvent,
    LoggedFields,
    MatchingEvents,
    event_stream,
)
from graphql_api.schema.filters import ALL_OF, ANY_OF, NONE_OF, IdFilter, StringFilter, id_filter, operator, to_where
from graphql_api.schema.node import global_id
from graphql_api.schema.purchase import Purchase, PurchaseStatusFilter
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
class PurchaseEvent(LoggedEvent):
    """A purchase was made or changed."""

    change: PurchaseChange = strawberry.field(description="What has become of it.")
    purchase_id: strawberry.ID = strawberry.field(description="Its id.")
    number: str = strawberry.field(description="Its number.")
    status: PurchaseStatus = strawberry.field(description="How far it had come after the change.")
    version: int = strawberry.field(description="Its version after the change.")
    key: strawberry.Private[int]

    @strawberry.field(description=AS_IT_IS_NOW)
    async def purchase(self, info: Info) -> Purchase | None:
        """All of it, as it is now."""
        row = await info.context.loaders.purchases.load(self.key)
        return Purchase.from_row(row) if row else None


@strawberry.input(description="Conditions on what has become of a purchase.")
class PurchaseChangeFilter(ChangeFilter[PurchaseChange]):
    """Conditions on what has become of a purchase."""


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


async def _present(fact: PurchaseChanged, logged: LoggedFields, _context: Context) -> PurchaseEvent:
    return PurchaseEvent(
        **logged,
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
        self, info: Info, where: MatchingEvents[PurchaseEventWhere] = UNSET, after: AfterEvent = UNSET
    ) -> AsyncGenerator[PurchaseEvent, None]:
        """Every change of a purchase."""
        return await event_stream(
            info.context, Topic.PURCHASE, _present, where=to_where(where), facts=PURCHASE_FACTS, after=after
        )
