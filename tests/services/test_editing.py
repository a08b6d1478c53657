"""What the database refuses is told as a failure of the property that it is about."""

from typing import Any

import pytest
from sqlalchemy import CheckConstraint, ForeignKeyConstraint, UniqueConstraint, text
from sqlalchemy.exc import IntegrityError

from graphql_api.database.engine import Database
from graphql_api.database.user import Role
from graphql_api.services.audit import Act
from graphql_api.services.category import CATEGORY
from graphql_api.services.customer_change import CUSTOMER
from graphql_api.services.editing import Consequence, Noun, change_row, create_row, locked_row
from graphql_api.services.errors import ServiceError
from graphql_api.services.policy import Viewer
from graphql_api.services.product_change import PRODUCT
from graphql_api.services.settings import SETTINGS_ID
from graphql_api.services.settings import SETTINGS_NOUN as SETTINGS
from graphql_api.services.store_change import STORE
from graphql_api.services.unit_of_work import unit_of_work
from graphql_api.services.vendor import VENDOR
from tests.factories import create_store

NOUNS: list[Noun[Any]] = [PRODUCT, CUSTOMER, STORE, VENDOR, CATEGORY, SETTINGS]
ACT = Act("test", Viewer(user_id=1, role=Role.ADMIN, session_id=1))
# Clients have no say in the key.
BEYOND_CLIENTS = {"ck_settings_only_one"}


def constraints(noun: Noun[Any]) -> set[str]:
    """What of a table can be violated by what clients send."""
    table: Any = noun.kind.__table__
    found = {
        str(constraint.name)
        for constraint in table.constraints
        if isinstance(constraint, CheckConstraint | ForeignKeyConstraint | UniqueConstraint)
        and "import_id" not in {column.name for column in constraint.columns}
    }
    indexes = {index.name for index in table.indexes if index.unique}
    return (found | indexes) - BEYOND_CLIENTS


@pytest.mark.parametrize("noun", NOUNS, ids=lambda noun: noun.name)
def test_every_constraint_has_its_words(noun: Noun[Any]) -> None:
    assert constraints(noun) == set(noun.violations)


@pytest.mark.parametrize("noun", NOUNS, ids=lambda noun: noun.name)
def test_every_failure_leads_to_a_property(noun: Noun[Any]) -> None:
    beside = {("city",), ()}
    assert {error.path for error in noun.violations.values()} <= {(name,) for name in noun.properties} | beside


@pytest.mark.parametrize("noun", NOUNS, ids=lambda noun: noun.name)
def test_every_property_has_its_column(noun: Noun[Any]) -> None:
    columns = set(noun.kind.__table__.columns.keys())
    assert {rule.column for rule in noun.properties.values()} <= columns


# Values that the checks in front of the database would never let pass.
FORBIDDEN = [
    (PRODUCT, {"sku": "A", "name": "Ale"}, {"pack": 0}, "pack"),
    (PRODUCT, {"sku": "A", "name": "Ale"}, {"volume_ml": -1}, "volumeMl"),
    (PRODUCT, {"sku": "A", "name": "Ale"}, {"unit_cost": -1}, "unitCost"),
    (PRODUCT, {"sku": "A", "name": "Ale"}, {"unit_price": -1}, "unitPrice"),
    (PRODUCT, {"sku": "A", "name": "Ale"}, {"low_stock_threshold": -1}, "lowStockThreshold"),
    (PRODUCT, {"sku": "A", "name": "Ale"}, {"category_id": 9}, "categoryId"),
    (PRODUCT, {"sku": "A", "name": "Ale"}, {"vendor_id": 9}, "vendorId"),
    (CUSTOMER, {"name": "Bar"}, {"name": ""}, "name"),
    (CUSTOMER, {"name": "Bar"}, {"user_id": 9}, "userId"),
    (STORE, {"number": 1, "name": "North"}, {"place_id": 9}, "city"),
]


@pytest.mark.parametrize(("noun", "values", "columns", "path"), FORBIDDEN)
async def test_the_database_has_the_last_word(
    database: Database, noun: Noun[Any], values: dict[str, Any], columns: dict[str, Any], path: str
) -> None:
    with pytest.raises(ServiceError) as refused:
        async with unit_of_work(database, ACT) as work:
            await create_row(work, noun, values, Consequence(columns))

    assert refused.value.path == (path,)
    async with database.read() as session:
        assert await session.scalar(text("SELECT count(*) FROM audit_entry")) == 0


async def force(database: Database, noun: Noun[Any], key: int, columns: dict[str, Any]) -> None:
    """Write columns past the checks in front of the database."""
    async with unit_of_work(database, ACT) as work:
        row = await locked_row(work.session, noun, key)
        await change_row(work, noun, row, {}, Consequence(columns))


@pytest.mark.parametrize(("name", "value"), [("latitude", 91), ("longitude", 181)])
async def test_a_change_is_checked_too(database: Database, name: str, value: int) -> None:
    async with database.transaction() as session:
        key = (await create_store(session)).id

    with pytest.raises(ServiceError) as refused:
        await force(database, STORE, key, {name: value})

    assert refused.value.path == (name,)


BAD_SETTINGS = {
    "currency": "usd",
    "tax_rate": 101,
    "low_stock_threshold": -1,
    "company_name": "",
    "access_token_minutes": 16,
    "refresh_token_days": 0,
}


@pytest.mark.parametrize("column", BAD_SETTINGS)
async def test_settings_are_checked_too(database: Database, column: str) -> None:
    with pytest.raises(ServiceError) as refused:
        await force(database, SETTINGS, SETTINGS_ID, {column: BAD_SETTINGS[column]})

    (path,) = refused.value.path
    assert SETTINGS.properties[path].column == column


async def test_what_nobody_foresaw_is_not_hidden(database: Database) -> None:
    with pytest.raises(IntegrityError):
        async with unit_of_work(database, ACT) as work:
            await create_row(work, PRODUCT, {"sku": "A", "name": "Ale"}, Consequence({"import_id": 9}))
