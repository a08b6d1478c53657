"""Why a purchase cannot be voided: what of it is gone, and by what."""

import datetime as dt

import strawberry

from graphql_api.database.stock import MovementCause, StockMovementRow
from graphql_api.database.user import Language
from graphql_api.schema.context import Info
from graphql_api.schema.enums import ErrorCode
from graphql_api.schema.errors import UserError, as_user_error
from graphql_api.schema.invoice import Invoice
from graphql_api.schema.product import Product, load_product
from graphql_api.schema.scalars import BigInt
from graphql_api.schema.stock import StockLot
from graphql_api.schema.stock_movement import StockMovement
from graphql_api.services import purchase_void
from graphql_api.services.translation import translate


@strawberry.type(
    description="What took bottles of a lot and has not given them back: an invoice with all its corrections and "
    "credit notes, or a single movement such as a transfer."
)
class PurchaseBlockerUse:
    """What took bottles of a lot and has not given them back."""

    quantity: BigInt = strawberry.field(description="Bottles it took, without those it gave back.")
    cause: MovementCause = strawberry.field(description="Why it took them.")
    at: dt.datetime = strawberry.field(description="When it last took or gave back some.")
    invoice_id: strawberry.Private[int | None]
    movement_id: strawberry.Private[int]

    @strawberry.field(description="The invoice that sold them; null when none did.")
    async def invoice(self, info: Info) -> Invoice | None:
        """The invoice that sold them."""
        row = None if self.invoice_id is None else await info.context.loaders.invoices.load(self.invoice_id)
        return Invoice.from_row(row) if row else None

    @strawberry.field(description="The last of its movements.")
    async def movement(self, info: Info) -> StockMovement:
        """The last of its movements."""
        row: StockMovementRow | None = await info.context.loaders.stock_movements.load(self.movement_id)
        if row is None:
            raise LookupError(f"movement {self.movement_id}")
        return StockMovement.from_row(row)


@strawberry.type(description="A lot of a purchase that is not complete any more.")
class PurchaseBlocker:
    """A lot of a purchase that is not complete any more."""

    line_number: int = strawberry.field(description="The line of the purchase that it came on.")
    received: BigInt = strawberry.field(description="Bottles that had come.")
    remaining: BigInt = strawberry.field(description="Bottles that are left.")
    gone: BigInt = strawberry.field(description="Bottles that are gone: received less remaining.")
    used_by: list[PurchaseBlockerUse] = strawberry.field(description="What took them: the latest 20.")
    product_id: strawberry.Private[int]
    lot_id: strawberry.Private[int]

    @strawberry.field(description="What it is a lot of.")
    async def product(self, info: Info) -> Product:
        """What it is a lot of."""
        return await load_product(info, self.product_id)

    @strawberry.field(description="The lot.")
    async def lot(self, info: Info) -> StockLot:
        """The lot."""
        row = await info.context.loaders.stock_lots.load(self.lot_id)
        if row is None:
            raise LookupError(f"lot {self.lot_id}")
        return StockLot.from_row(row)


@strawberry.type(
    description="A purchase cannot be voided, because some of its bottles are gone; nothing was changed. Void or "
    "credit the invoices that are named, or adjust the stock instead."
)
class PurchaseBlocked(UserError):  # noqa: N818 - an object of the schema, not an exception
    """A purchase cannot be voided, because some of its bottles are gone."""

    blockers: list[PurchaseBlocker] = strawberry.field(description="The lots that are not complete: the first 100.")


@as_user_error.register
def _purchase_blocked(error: purchase_void.PurchaseInUse, language: Language) -> PurchaseBlocked:
    return PurchaseBlocked(
        code=ErrorCode(error.code),
        message=translate(error, language),
        path=["input", *error.path],
        blockers=[_blocker(blocker) for blocker in error.blockers],
    )


def _blocker(blocker: purchase_void.Blocker) -> PurchaseBlocker:
    uses = [
        PurchaseBlockerUse(
            quantity=BigInt(loss.quantity),
            cause=loss.cause,
            at=loss.at,
            invoice_id=loss.invoice_id,
            movement_id=loss.movement_id,
        )
        for loss in blocker.used_by
    ]
    return PurchaseBlocker(
        line_number=blocker.line_number,
        received=BigInt(blocker.received),
        remaining=BigInt(blocker.remaining),
        gone=BigInt(blocker.gone),
        used_by=uses,
        product_id=blocker.product_id,
        lot_id=blocker.lot_id,
    )
