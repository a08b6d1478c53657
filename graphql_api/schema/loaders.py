"""What an operation reads by id, batched: one statement for all that is asked at the same moment."""

import asyncio
from collections.abc import Awaitable, Callable, Hashable, Sequence
from functools import cached_property, partial
from typing import Any, TypeVar

from strawberry.dataloader import DataLoader

from graphql_api.database.audit import AuditEntryRow
from graphql_api.database.category import CategoryRow
from graphql_api.database.customer import CustomerRow
from graphql_api.database.engine import Database
from graphql_api.database.import_job import ImportJobRow
from graphql_api.database.invitation import InvitationRow
from graphql_api.database.invoice import InvoiceLineRow, InvoiceRow
from graphql_api.database.low_stock import LowStockEpisodeRow
from graphql_api.database.place import CountyRow, PlaceRow
from graphql_api.database.product import ProductRow
from graphql_api.database.purchase import PurchaseLineRow, PurchaseRow
from graphql_api.database.settings import SettingsRow
from graphql_api.database.stock import StockLevelRow, StockLotRow, StockMovementRow
from graphql_api.database.store import StoreRow
from graphql_api.database.user import UserRow
from graphql_api.database.vendor import VendorRow
from graphql_api.imports.rejects import RejectCode
from graphql_api.ledger.entries import StockKey
from graphql_api.services import (
    audit_log,
    category,
    customer,
    import_job,
    import_reject,
    invitation,
    invoice,
    low_stock_list,
    notification,
    place,
    product,
    purchase,
    settings,
    stock,
    stock_lot,
    stock_movement,
    store,
    user,
    vendor,
)
from graphql_api.services.document_line import LinesWanted
from graphql_api.services.paging import Page
from graphql_api.services.policy import Viewer

# What changes rarely and is the same for everybody.
CATALOGUE = ("counties", "places", "stores", "vendors", "categories", "products")
Key = TypeVar("Key", bound=Hashable)
Value = TypeVar("Value")
# A batch function of a service: a read session and keys in, one value for each key in the same order out.
Batch = Callable[[Any, Sequence[Key]], Awaitable[Sequence[Value | BaseException]]]


class SharedLoader(DataLoader[Key, Value]):
    """A loader from which one who asks can leave without taking the answer away from the others.

    Leaving cancels what is waited for. Otherwise that is the answer that others wait for too, and it may end a batch
    before it has begun, which then takes keys for ever and is never loaded.
    """

    def load(self, key: Key) -> Awaitable[Value]:
        """What is found under a key."""
        return asyncio.shield(super().load(key))


def batched(database: Database, batch: Batch[Key, Value]) -> DataLoader[Key, Value]:
    """A loader that answers from `batch`, with a session that is open no longer than its statement."""

    async def load(keys: list[Key]) -> Sequence[Value | BaseException]:
        async with database.read() as session:
            return await batch(session, keys)

    return SharedLoader(load_fn=load)


class Loaders:
    """The loaders of one operation, each made when it is first used. One line for each edge between nouns."""

    def __init__(self, database: Database, viewer: Viewer | None = None) -> None:
        self.database = database
        self.viewer = viewer

    def take_catalogue(self, others: "Loaders") -> None:
        """Go on with what other loaders have read of stores, products and what these are sorted by."""
        known = vars(others)
        vars(self).update({name: known[name] for name in CATALOGUE if name in known})

    @cached_property
    def counties(self) -> DataLoader[int, CountyRow | None]:
        """Counties by id."""
        return batched(self.database, place.counties_by_id)

    @cached_property
    def places(self) -> DataLoader[int, PlaceRow | None]:
        """Places by id."""
        return batched(self.database, place.places_by_id)

    @cached_property
    def city_places(self) -> DataLoader[str, list[PlaceRow]]:
        """The places of a city by its name."""
        return batched(self.database, place.places_by_city)

    @cached_property
    def stores(self) -> DataLoader[int, StoreRow | None]:
        """Stores by id."""
        return batched(self.database, store.stores_by_id)

    @cached_property
    def vendors(self) -> DataLoader[int, VendorRow | None]:
        """Vendors by id."""
        return batched(self.database, vendor.vendors_by_id)

    @cached_property
    def categories(self) -> DataLoader[int, CategoryRow | None]:
        """Categories by id."""
        return batched(self.database, category.categories_by_id)

    @cached_property
    def products(self) -> DataLoader[int, ProductRow | None]:
        """Products by id."""
        return batched(self.database, product.products_by_id)

    @cached_property
    def imports(self) -> DataLoader[int, ImportJobRow | None]:
        """Import jobs by id."""
        return batched(self.database, import_job.imports_by_id)

    @cached_property
    def users(self) -> DataLoader[int, UserRow | None]:
        """Accounts by id."""
        return batched(self.database, user.users_by_id)

    @cached_property
    def invitations(self) -> DataLoader[int, InvitationRow | None]:
        """Invitations by id."""
        return batched(self.database, invitation.invitations_by_id)

    @cached_property
    def reject_counts(self) -> DataLoader[int, list[tuple[RejectCode, int]]]:
        """Rejected rows of an import job by reason."""
        return batched(self.database, import_reject.reject_counts_by_import)

    @cached_property
    def invoices(self) -> DataLoader[int, InvoiceRow | None]:
        """Invoices by id."""
        return batched(self.database, partial(invoice.invoices_by_id, viewer=self.viewer))

    @cached_property
    def customers(self) -> DataLoader[int, CustomerRow | None]:
        """Customers by id."""
        return batched(self.database, partial(customer.customers_by_id, viewer=self.viewer))

    @cached_property
    def customer_invoices(self) -> DataLoader[customer.InvoicesWanted, Page[InvoiceRow]]:
        """A page of the invoices of a customer."""
        return batched(self.database, partial(customer.invoices_by_customer, viewer=self.viewer))

    @cached_property
    def customer_invoice_counts(self) -> DataLoader[int, int]:
        """How many invoices of a customer there are to see."""
        return batched(self.database, partial(customer.invoice_counts, viewer=self.viewer))

    @cached_property
    def invoice_totals(self) -> DataLoader[int, invoice.Totals]:
        """Sums over the lines of an invoice by its id."""
        return batched(self.database, partial(invoice.totals_by_invoice, viewer=self.viewer))

    @cached_property
    def credit_notes(self) -> DataLoader[int, list[InvoiceRow]]:
        """Credit notes of an invoice by its id."""
        return batched(self.database, partial(invoice.credits_by_invoice, viewer=self.viewer))

    @cached_property
    def invoice_lines(self) -> DataLoader[LinesWanted, Page[InvoiceLineRow]]:
        """A page of the lines of an invoice."""
        return batched(self.database, partial(invoice.lines_by_invoice, viewer=self.viewer))

    @cached_property
    def purchases(self) -> DataLoader[int, PurchaseRow | None]:
        """Purchases by id."""
        return batched(self.database, purchase.purchases_by_id)

    @cached_property
    def purchase_totals(self) -> DataLoader[int, purchase.Totals]:
        """Sums over the lines of a purchase by its id."""
        return batched(self.database, purchase.totals_by_purchase)

    @cached_property
    def purchase_lines(self) -> DataLoader[LinesWanted, Page[PurchaseLineRow]]:
        """A page of the lines of a purchase."""
        return batched(self.database, purchase.lines_by_purchase)

    @cached_property
    def purchase_lots(self) -> DataLoader[int, list[StockLotRow]]:
        """The lots that a purchase line became by its id."""
        return batched(self.database, purchase.lots_by_line)

    @cached_property
    def received_costs(self) -> DataLoader[int, int]:
        """What has come of a purchase line, in cents, by its id."""
        return batched(self.database, purchase.received_costs)

    @cached_property
    def audit_entries(self) -> DataLoader[int, AuditEntryRow | None]:
        """Entries of the audit record by id."""
        return batched(self.database, audit_log.audit_entries_by_id)

    @cached_property
    def audit_trails(self) -> DataLoader[audit_log.TrailWanted, Page[AuditEntryRow]]:
        """A page of what was done to a thing."""
        return batched(self.database, audit_log.trails)

    @cached_property
    def audit_trail_counts(self) -> DataLoader[audit_log.EntityKey, int]:
        """How often something was done to a thing."""
        return batched(self.database, audit_log.trail_counts)

    @cached_property
    def stock_levels(self) -> DataLoader[int, StockLevelRow | None]:
        """Stock levels by id."""
        return batched(self.database, stock.stock_levels_by_id)

    @cached_property
    def stock_lots(self) -> DataLoader[int, StockLotRow | None]:
        """Lots by id."""
        return batched(self.database, stock_lot.lots_by_id)

    @cached_property
    def stock_lots_of_level(self) -> DataLoader[stock_lot.LotsWanted, list[StockLotRow]]:
        """What a level has left, in the order of use."""
        return batched(self.database, stock_lot.lots_by_level)

    @cached_property
    def stock_movements(self) -> DataLoader[int, StockMovementRow | None]:
        """Movements by id."""
        return batched(self.database, stock_movement.movements_by_id)

    @cached_property
    def lot_uses(self) -> DataLoader[int, list[tuple[int, StockLotRow]]]:
        """Bottles and lots of a movement by its id."""
        return batched(self.database, stock_movement.uses_by_movement)

    @cached_property
    def purchases_of_lines(self) -> DataLoader[int, int | None]:
        """The key of a purchase by that of its line."""
        return batched(self.database, stock_movement.purchases_of_lines)

    @cached_property
    def settings(self) -> DataLoader[int, SettingsRow | None]:
        """The company's settings, whose key is `SETTINGS_ID`."""
        return batched(self.database, settings.settings_by_id)

    @cached_property
    def low_stock(self) -> DataLoader[int, LowStockEpisodeRow | None]:
        """Episodes of low stock by id."""
        return batched(self.database, low_stock_list.episodes_by_id)

    @cached_property
    def on_hand(self) -> DataLoader[StockKey, int]:
        """Bottles by store and product."""
        return batched(self.database, low_stock_list.on_hand_by_key)

    @cached_property
    def notifications(self) -> DataLoader[int, notification.Notice | None]:
        """Notifications in the viewer's list by id."""
        return batched(self.database, partial(notification.notifications_by_id, viewer=self.viewer))
