"""The tables that reports read, as plain SQL tables: sums have no use for objects."""

from typing import cast

from sqlalchemy import Table
from sqlmodel import SQLModel

from graphql_api.database.category import CategoryRow
from graphql_api.database.invoice import InvoiceLineRow, InvoiceRow
from graphql_api.database.place import CountyRow, PlaceRow
from graphql_api.database.product import ProductRow
from graphql_api.database.settings import SettingsRow
from graphql_api.database.stock import StockLevelRow, StockMovementRow
from graphql_api.database.store import StoreRow
from graphql_api.database.user import UserRow
from graphql_api.database.vendor import VendorRow


def _table_of(row: type[SQLModel]) -> Table:
    return cast("Table", row.__table__)  # type: ignore[attr-defined] # SQLModel declares it only at run time


CATEGORIES = _table_of(CategoryRow)
COUNTIES = _table_of(CountyRow)
INVOICES = _table_of(InvoiceRow)
INVOICE_LINES = _table_of(InvoiceLineRow)
PLACES = _table_of(PlaceRow)
PRODUCTS = _table_of(ProductRow)
SETTINGS = _table_of(SettingsRow)
STOCK_LEVELS = _table_of(StockLevelRow)
STOCK_MOVEMENTS = _table_of(StockMovementRow)
STORES = _table_of(StoreRow)
USERS = _table_of(UserRow)
VENDORS = _table_of(VendorRow)
