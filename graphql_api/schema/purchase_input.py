"""What clients send to order, receive and void purchases."""

import datetime as dt
from decimal import Decimal
from typing import Any

import strawberry
from strawberry import UNSET

from graphql_api.schema.editing import VERSION, given_values, needed, optional, patched
from graphql_api.schema.node import key_of
from graphql_api.services.errors import BadInput
from graphql_api.services.purchase_change import PurchaseWish
from graphql_api.services.purchase_line import LineWish
from graphql_api.services.purchase_receipt import ReceiptWish

VENDOR = "The id of the vendor, which must not be archived. Give either a vendor or `supplierName`."
SUPPLIER = "The name of a supplier that is no vendor: 1 to 200 characters, instead of `vendorId`."
NOTE = "A text of at most 2,000 characters."
LINES = "What is ordered: 1 to 1,000 lines. A product may stand on several, as at different costs."


@strawberry.input(description="A product to be ordered.")
class PurchaseLineInput:
    """A product to be ordered."""

    product_id: strawberry.ID = strawberry.field(description="The id of the product, which must not be archived.")
    quantity: int = strawberry.field(description="Bottles: 1 to 1,000,000.")
    unit_cost: Decimal | None = optional(
        'What one bottle costs, with at most two digits after the point, such as "6.50"; the product\'s unless given.'
    )
    expires_on: dt.date | None = optional(
        "The last day on which the bottles are good, if that is known; not before the date of the purchase."
    )


@strawberry.input(description="A new purchase, ordered for one store from one supplier.")
class CreatePurchaseInput:
    """A new purchase."""

    store_id: strawberry.ID = strawberry.field(description="The id of the store, which must not be archived.")
    lines: list[PurchaseLineInput] = strawberry.field(description=LINES)
    vendor_id: strawberry.ID | None = optional(VENDOR)
    supplier_name: str | None = optional(SUPPLIER)
    date: dt.date | None = optional("The day it is ordered, from 1900 to a year ahead; today in UTC unless given.")
    note: str | None = optional(NOTE)


@strawberry.input(
    description="What to change of a purchase of which nothing has come; what is left out stays as it is."
)
class UpdatePurchaseInput:
    """What to change of a purchase."""

    id: strawberry.ID = strawberry.field(description="The id of the purchase.")
    expected_version: int = strawberry.field(description=VERSION)
    vendor_id: strawberry.ID | None = strawberry.field(
        default=UNSET, description=VENDOR + " It takes the place of the present supplier."
    )
    supplier_name: str | None = strawberry.field(
        default=UNSET, description=SUPPLIER + " It takes the place of the present supplier."
    )
    date: dt.date | None = needed("The day it is ordered, from 1900 to a year ahead.")
    note: str | None = patched(NOTE)
    lines: list[PurchaseLineInput] | None = needed(LINES + " They take the place of all present lines.")


@strawberry.input(description="Bottles that have come of one line.")
class ReceiptLineInput:
    """Bottles that have come of one line."""

    line_number: int = strawberry.field(description="The number of the line on the purchase.")
    quantity: int = strawberry.field(description="Bottles that have come: at least 1, at most what is outstanding.")
    unit_cost: Decimal | None = optional("What one bottle really cost, when that is not what it was ordered at.")
    expires_on: dt.date | None = strawberry.field(
        default=UNSET,
        description="The last day on which these bottles are good; the line's unless given, null when there is none.",
    )


@strawberry.input(description="What has come of a purchase.")
class ReceivePurchaseInput:
    """What has come of a purchase."""

    id: strawberry.ID = strawberry.field(description="The id of the purchase.")
    expected_version: int = strawberry.field(description=VERSION)
    lines: list[ReceiptLineInput] | None = optional(
        "What has come, each entry a lot of its own; a line may be named twice, as with different expiries. Leave it "
        "out when all that is outstanding has come as it was ordered."
    )
    received_on: dt.date | None = optional(
        "The day it came, not in the future; today in UTC unless given. Of bottles that expire alike the oldest are "
        "sold first."
    )


@strawberry.input(description="A purchase to be taken back.")
class VoidPurchaseInput:
    """A purchase to be taken back."""

    id: strawberry.ID = strawberry.field(description="The id of the purchase.")
    expected_version: int = strawberry.field(description=VERSION)
    reason: str = strawberry.field(description="Why: 1 to 500 characters on one line.")


def purchase_wish(wish: CreatePurchaseInput) -> PurchaseWish:
    """A new purchase as the service knows it.

    Raises:
        BadInput: an id is none, or of another type, with the path to it.
    """
    return PurchaseWish(
        store_id=key_of(wish.store_id, "Store", "storeId"),
        lines=_line_wishes(wish.lines),
        vendor_id=None if wish.vendor_id is None else key_of(wish.vendor_id, "Vendor", "vendorId"),
        supplier_name=wish.supplier_name,
        date=wish.date,
        note=wish.note,
    )


def purchase_patch(wish: UpdatePurchaseInput) -> dict[str, Any]:
    """What an update sets: null is a value, what was left out is not there.

    Raises:
        BadInput: as `purchase_wish` does.
    """
    patch = given_values(wish)
    if patch.get("vendorId") is not None:
        patch["vendorId"] = key_of(patch["vendorId"], "Vendor", "vendorId")
    if patch.get("lines") is not None:
        patch["lines"] = _line_wishes(patch["lines"])
    return patch


def _line_wishes(lines: list[PurchaseLineInput]) -> list[LineWish]:
    wishes = []
    for position, line in enumerate(lines):
        try:
            product_id = key_of(line.product_id, "Product", "productId")
        except BadInput as error:
            raise error.below("lines", str(position)) from None
        wishes.append(LineWish(product_id, line.quantity, line.unit_cost, line.expires_on))
    return wishes


def receipt_wishes(lines: list[ReceiptLineInput] | None) -> list[ReceiptWish] | None:
    """What has come as the service knows it; None is everything."""
    if lines is None:
        return None
    return [
        ReceiptWish(
            line.line_number,
            line.quantity,
            line.unit_cost,
            None if line.expires_on is UNSET else line.expires_on,
            has_expiry=line.expires_on is not UNSET,
        )
        for line in lines
    ]
