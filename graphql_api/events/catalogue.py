"""Every event there is, with its type. What a payload holds is written by the triggers of migration 0008.

Ids are keys of tables, quantities bottles. What listeners choose by (numbers, names) is as it was at the change.
"""

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter

from graphql_api.database.event import Topic
from graphql_api.database.import_job import ImportStatus
from graphql_api.database.invoice import InvoiceStatus
from graphql_api.database.purchase import PurchaseStatus
from graphql_api.database.stock import MovementCause
from graphql_api.events.counters import UNREADABLE

logger = logging.getLogger(__name__)


class Fact(BaseModel):
    """What a payload holds; fields that a later version adds are no fault."""

    model_config = ConfigDict(frozen=True, extra="ignore")


class StockFacts(Fact):
    """Where stock is and what it is, as far as listeners choose by it."""

    store: int
    store_number: int
    city: str | None
    zip_code: str | None
    county: str | None
    county_number: int | None
    product: int
    sku: str
    category: str | None
    category_number: int | None


class StockChanged(StockFacts):
    """Bottles came or went: one movement of the ledger. `before` + `delta` = `after`, in bottles."""

    movement: int
    before: int
    after: int
    delta: int
    cause: MovementCause
    reason: str | None
    invoice: int | None
    line_number: int | None
    purchase: int | None
    import_: int | None = Field(alias="import")
    actor: int | None


class LowStockChange(StrEnum):
    """What has become of an episode of low stock."""

    OPENED = "OPENED"
    ACKNOWLEDGED = "ACKNOWLEDGED"
    RESOLVED = "RESOLVED"


class LowStockChanged(StockFacts):
    """A level has fallen to its threshold, was seen by somebody, or has risen again."""

    episode: int
    change: LowStockChange


class ProductChange(StrEnum):
    """What has become of a product."""

    CREATED = "CREATED"
    UPDATED = "UPDATED"
    ARCHIVED = "ARCHIVED"
    RESTORED = "RESTORED"
    DELETED = "DELETED"


class ProductChanged(Fact):
    """A product was made or changed."""

    product: int
    sku: str
    version: int
    change: ProductChange


class InvoiceChange(StrEnum):
    """What has become of an invoice."""

    CREATED = "CREATED"
    UPDATED = "UPDATED"
    ISSUED = "ISSUED"
    PAID = "PAID"
    VOID = "VOID"
    DELETED = "DELETED"


class InvoiceChanged(Fact):
    """An invoice was made or changed here; invoices that came with a file are told of by their import."""

    invoice: int
    number: str | None
    change: InvoiceChange
    status: InvoiceStatus
    version: int
    store: int
    customer: int | None
    created_by: int | None


class PurchaseChange(StrEnum):
    """What has become of a purchase."""

    CREATED = "CREATED"
    UPDATED = "UPDATED"
    RECEIVED = "RECEIVED"
    VOID = "VOID"
    DELETED = "DELETED"


class PurchaseChanged(Fact):
    """A purchase was made or changed."""

    purchase: int
    number: str
    change: PurchaseChange
    status: PurchaseStatus
    version: int
    store: int


class NotificationReceived(Fact):
    """Something was put into somebody's list."""

    entry: int
    notification: int
    user: int


class ImportProgressed(Fact):
    """An import has come further."""

    import_: int = Field(alias="import")
    status: ImportStatus


class SalesChanged(Fact):
    """Something that sales reports show or add up has changed."""


FACTS: Mapping[Topic, TypeAdapter[Fact]] = {
    Topic.STOCK: TypeAdapter(StockChanged),
    Topic.LOW_STOCK: TypeAdapter(LowStockChanged),
    Topic.PRODUCT: TypeAdapter(ProductChanged),
    Topic.INVOICE: TypeAdapter(InvoiceChanged),
    Topic.PURCHASE: TypeAdapter(PurchaseChanged),
    Topic.NOTIFICATION: TypeAdapter(NotificationReceived),
    Topic.IMPORT: TypeAdapter(ImportProgressed),
    Topic.SALES: TypeAdapter(SalesChanged),
}


@dataclass(frozen=True, slots=True)
class Event:
    """One event of the log: `number` begins at 1 and has no gap; `recorded_at` is when the change began.

    `fact` is None for what this version of the program cannot read: it keeps its number and is passed over.
    """

    number: int
    topic: str
    recorded_at: datetime
    fact: Fact | None


def read_fact(topic: str, payload: str | bytes) -> Fact | None:
    """What a payload (JSON) says; None when it cannot be read, which is logged and counted.

    One event that cannot be read must not stop those that follow.
    """
    try:
        return FACTS[Topic(topic)].validate_json(payload)
    except ValueError as error:
        UNREADABLE.inc()
        logger.warning("An event about %r cannot be read and is passed over: %s", topic, type(error).__name__)
        return None
