import base64
from typing import Any

import pytest

from graphql_api.database.engine import Database
from graphql_api.schema.node import global_id, key_of, parse_global_id
from graphql_api.services.errors import BadInput
from tests.client import Client
from tests.factories import create_category, create_county, create_invoice, create_product, create_store, create_vendor

NODE = "query ($id: ID!) { node(id: $id) { __typename id } }"


async def test_every_kind_of_object_is_found_again(database: Database, client: Client) -> None:
    async with database.transaction() as session:
        rows: dict[str, Any] = {
            "County": await create_county(session),
            "Store": await create_store(session),
            "Vendor": await create_vendor(session),
            "Category": await create_category(session),
            "Product": await create_product(session),
            "Invoice": await create_invoice(session),
        }

    for name, row in rows.items():
        node_id = global_id(name, row.id)
        assert await client.execute(NODE, id=node_id) == {"node": {"__typename": name, "id": node_id}}


async def test_what_is_gone_is_null(client: Client) -> None:
    assert await client.execute(NODE, id=global_id("Store", 10**17)) == {"node": None}
    assert await client.execute("query ($id: ID!) { store(id: $id) { id } }", id=global_id("Store", 5)) == {
        "store": None
    }


@pytest.mark.parametrize(
    "value",
    ["", "1", "Store:1", "é", "====", "a" * 10_000]
    + [
        base64.b64encode(text).decode()
        for text in (
            b"Store",
            b"Store:",
            b"Store:-1",
            b"Store:1.5",
            b"Store:" + b"9" * 30,
            b":1",
            b"\xff:1",
            b"store:1",
        )
    ],
)
def test_garbage_is_no_id(value: str) -> None:
    with pytest.raises(BadInput):
        parse_global_id(value)


async def test_the_id_of_something_else_is_refused_by_name(client: Client) -> None:
    with pytest.raises(BadInput, match="type Vendor; one of the type Store"):
        key_of(global_id("Vendor", 1), "Store")

    response = await client.execute_raw(NODE, id=base64.b64encode(b"Planet:1").decode())

    assert response.codes == ["BAD_USER_INPUT"]
    assert "Planet" in response.errors[0]["message"]


async def test_lists_are_filtered_by_ids(database: Database, client: Client) -> None:
    async with database.transaction() as session:
        product, _other = await create_product(session, sku="A"), await create_product(session, sku="B")
    document = "query ($where: ProductWhere) { products(where: $where) { nodes { sku } } }"

    for where in ({"id": {"eq": global_id("Product", product.id)}}, {"id": {"in": [global_id("Product", product.id)]}}):
        data = await client.execute(document, where=where)
        assert data["products"]["nodes"] == [{"sku": "A"}]

    response = await client.execute_raw(document, where={"id": {"in": [global_id("Store", 1)]}})
    assert response.errors[0]["extensions"]["argumentPath"] == ["where", "id", "in"]
