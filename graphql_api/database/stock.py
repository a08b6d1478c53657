"""Stock: what lies where, in which lots, and the ledger of every bottle that came or went.

The ledger is the truth. Movements and their uses of lots are only ever added; the database itself adds them up in
`stock_level` and `stock_lot`, and refuses to have those written in another way.
"""

import datetime as dt
from enum import StrEnum

from sqlalchemy import BigInteger, CheckConstraint, Column, ForeignKey, Identity, Index, Integer
from sqlmodel import Field, SQLModel

from graphql_api.database.base import big_integer, choice, instant, primary_key, reference, text_column


class MovementCause(StrEnum):
    """Why bottles came or went."""

    RECEIPT = "RECEIPT"
    RECEIPT_VOID = "RECEIPT_VOID"
    SALE = "SALE"
    SALE_LOWERED = "SALE_LOWERED"
    SALE_VOID = "SALE_VOID"
    CREDIT = "CREDIT"
    ADJUSTMENT = "ADJUSTMENT"
    COUNT = "COUNT"
    TRANSFER_OUT = "TRANSFER_OUT"
    TRANSFER_IN = "TRANSFER_IN"
    IMPORT_REVERT = "IMPORT_REVERT"


class StockLevelRow(SQLModel, table=True):
    """What a store has of a product: bottles, and what they cost in cents. Kept by the database."""

    __tablename__ = "stock_level"
    __table_args__ = (
        CheckConstraint("on_hand >= 0", name="never_oversold"),
        CheckConstraint("value >= 0", name="value_not_negative"),
        CheckConstraint("on_hand > 0 OR value = 0", name="nothing_is_worth_nothing"),
        Index("ix_stock_level_product_id", "product_id"),
    )

    store_id: int = Field(
        sa_column=Column(BigInteger, ForeignKey("store.id", ondelete="RESTRICT"), primary_key=True, autoincrement=False)
    )
    product_id: int = Field(
        sa_column=Column(
            BigInteger, ForeignKey("product.id", ondelete="RESTRICT"), primary_key=True, autoincrement=False
        )
    )
    # what clients know it by; everything else finds it by store and product
    id: int = Field(default=None, sa_column=Column(BigInteger, Identity(), nullable=False, unique=True))
    on_hand: int = big_integer(default=0)
    value: int = big_integer(default=0)
    version: int = Field(default=1, sa_type=Integer, nullable=False, sa_column_kwargs={"server_default": "1"})


class StockLotRow(SQLModel, table=True):
    """Bottles that came at the same time at the same cost (cents a bottle); `remaining` is kept by the database."""

    __tablename__ = "stock_lot"
    __table_args__ = (
        CheckConstraint("received > 0", name="something_received"),
        CheckConstraint("remaining BETWEEN 0 AND received", name="remaining_within_received"),
        CheckConstraint("unit_cost >= 0", name="unit_cost_not_negative"),
        # In the order in which lots are sold: what expires first, then what came first.
        Index(
            "ix_stock_lot_in_order",
            "store_id",
            "product_id",
            "expires_on",
            "received_on",
            "id",
            postgresql_where="remaining > 0",
        ),
        Index("ix_stock_lot_expires_on", "expires_on", postgresql_where="remaining > 0"),
        Index("ix_stock_lot_store_id_product_id", "store_id", "product_id", "id"),
        Index("ix_stock_lot_product_id", "product_id"),
        Index("ix_stock_lot_purchase_line_id", "purchase_line_id", postgresql_where="purchase_line_id IS NOT NULL"),
        Index("ix_stock_lot_source_lot_id", "source_lot_id", postgresql_where="source_lot_id IS NOT NULL"),
    )

    id: int = primary_key()
    store_id: int = reference("store.id")
    product_id: int = reference("product.id")
    purchase_line_id: int | None = reference("purchase_line.id", nullable=True)
    source_lot_id: int | None = reference("stock_lot.id", nullable=True)
    received_on: dt.date = Field(nullable=False)
    expires_on: dt.date | None = Field(default=None, nullable=True)
    received: int = big_integer()
    remaining: int = big_integer(default=0)
    unit_cost: int = big_integer()


class StockMovementRow(SQLModel, table=True):
    """One entry of the ledger: signed bottles and signed cents at one store, with the reason. Never changed.

    `invoice_id` and `line_number` name the line that sold or got back, `purchase_line_id` what was received,
    `import_id` the file, `transfer_of` the movement at the other store.
    """

    __tablename__ = "stock_movement"
    __table_args__ = (
        CheckConstraint("quantity <> 0", name="something_moved"),
        CheckConstraint("sign(cost) IN (0, sign(quantity))", name="cost_goes_with_quantity"),
        CheckConstraint("(invoice_id IS NULL) = (line_number IS NULL)", name="lines_belong_to_invoices"),
        Index("ix_stock_movement_store_id_product_id", "store_id", "product_id", "id"),
        Index("ix_stock_movement_product_id", "product_id", "id"),
        Index("ix_stock_movement_at_id", "at", "id"),
        Index("ix_stock_movement_invoice_id", "invoice_id", "line_number", postgresql_where="invoice_id IS NOT NULL"),
        Index(
            "ix_stock_movement_purchase_line_id", "purchase_line_id", postgresql_where="purchase_line_id IS NOT NULL"
        ),
        Index("ix_stock_movement_import_id", "import_id", postgresql_where="import_id IS NOT NULL"),
        Index("ix_stock_movement_transfer_of", "transfer_of", postgresql_where="transfer_of IS NOT NULL"),
        Index("ix_stock_movement_actor_id", "actor_id", postgresql_where="actor_id IS NOT NULL"),
    )

    id: int = primary_key()
    store_id: int = reference("store.id")
    product_id: int = reference("product.id")
    quantity: int = big_integer()
    cost: int = big_integer()
    cause: MovementCause = choice(MovementCause)
    reason: str | None = text_column(nullable=True)
    invoice_id: int | None = reference("invoice.id", nullable=True)
    line_number: int | None = Field(default=None, sa_type=Integer, nullable=True)
    purchase_line_id: int | None = reference("purchase_line.id", nullable=True)
    import_id: int | None = reference("import_job.id", nullable=True)
    transfer_of: int | None = reference("stock_movement.id", nullable=True)
    actor_id: int | None = reference("user_account.id", nullable=True)
    at: dt.datetime = instant()


class LotUseRow(SQLModel, table=True):
    """How many bottles of a lot a movement took (negative) or brought (positive). Never changed."""

    __tablename__ = "lot_use"
    __table_args__ = (
        CheckConstraint("quantity <> 0", name="something_used"),
        Index("ix_lot_use_lot_id", "lot_id"),
    )

    movement_id: int = Field(
        sa_column=Column(
            BigInteger, ForeignKey("stock_movement.id", ondelete="RESTRICT"), primary_key=True, autoincrement=False
        )
    )
    lot_id: int = Field(
        sa_column=Column(
            BigInteger, ForeignKey("stock_lot.id", ondelete="RESTRICT"), primary_key=True, autoincrement=False
        )
    )
    quantity: int = big_integer()
