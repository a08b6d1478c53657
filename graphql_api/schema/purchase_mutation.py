"""What can be done with purchases: order, change, receive, void."""

import strawberry

from graphql_api.database.purchase import PurchaseRow
from graphql_api.schema.editing import edit_field, user_errors_field
from graphql_api.schema.errors import UserError
from graphql_api.schema.node import key_of
from graphql_api.schema.purchase import Purchase
from graphql_api.schema.purchase_input import (
    CreatePurchaseInput,
    ReceivePurchaseInput,
    UpdatePurchaseInput,
    VoidPurchaseInput,
    purchase_patch,
    purchase_wish,
    receipt_wishes,
)
from graphql_api.services.policy import Viewer
from graphql_api.services.purchase_change import create_purchase, update_purchase
from graphql_api.services.purchase_receipt import receive_purchase
from graphql_api.services.purchase_void import void_purchase
from graphql_api.services.unit_of_work import UnitOfWork


@strawberry.type(description="What came of it: the purchase, or why not.")
class PurchasePayload:
    """What came of it."""

    purchase: Purchase | None = strawberry.field(
        default=None, description="The purchase as it stands now; null when there are `userErrors`."
    )
    user_errors: list[UserError] = user_errors_field()

    @classmethod
    def of(cls, row: PurchaseRow) -> "PurchasePayload":
        """The answer when it was done."""
        return cls(purchase=Purchase.from_row(row))


async def _create(work: UnitOfWork, wish: CreatePurchaseInput, viewer: Viewer) -> PurchaseRow:
    return await create_purchase(work, purchase_wish(wish), viewer)


async def _update(work: UnitOfWork, wish: UpdatePurchaseInput, _viewer: Viewer) -> PurchaseRow:
    key = key_of(wish.id, "Purchase")
    return await update_purchase(work, key, wish.expected_version, purchase_patch(wish))


async def _receive(work: UnitOfWork, wish: ReceivePurchaseInput, _viewer: Viewer) -> PurchaseRow:
    key, lines = key_of(wish.id, "Purchase"), receipt_wishes(wish.lines)
    return await receive_purchase(work, key, wish.expected_version, lines, wish.received_on)


async def _void(work: UnitOfWork, wish: VoidPurchaseInput, _viewer: Viewer) -> PurchaseRow:
    return await void_purchase(work, key_of(wish.id, "Purchase"), wish.expected_version, wish.reason)


@strawberry.type
class PurchaseMutation:
    """Mutations of purchases."""

    create_purchase: PurchasePayload = edit_field(
        PurchasePayload,
        CreatePurchaseInput,
        "The new purchase.",
        _create,
        "Order something. It moves no stock before it is received.",
    )
    update_purchase: PurchasePayload = edit_field(
        PurchasePayload,
        UpdatePurchaseInput,
        "Which purchase, and what to change.",
        _update,
        "Change a purchase of which nothing has come yet.",
    )
    receive_purchase: PurchasePayload = edit_field(
        PurchasePayload,
        ReceivePurchaseInput,
        "Which purchase, and what has come of it.",
        _receive,
        "Bring what was ordered into stock, wholly or in parts. The purchase is RECEIVED once nothing is outstanding.",
    )
    void_purchase: PurchasePayload = edit_field(
        PurchasePayload,
        VoidPurchaseInput,
        "Which purchase, and why.",
        _void,
        "Take a purchase back. What has come of it leaves the stock, out of the very lots it became; when some of that "
        "is gone already, nothing is done and a `PurchaseBlocked` names it.",
    )
