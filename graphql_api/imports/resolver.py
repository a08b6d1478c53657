"""From what a block says of places, stores and products to the ids of their rows, creating what is new."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import asyncpg
import numpy as np

from graphql_api.imports.names import resolve_names
from graphql_api.imports.sales_block import Integers, PlaceFacts, ProductFacts, SalesBlock, StoreFacts

NO_VOLUME = -1

INSERT_PLACES = """
INSERT INTO place (city, zip_code, county_id, import_id)
SELECT city, zip_code, county_id, $4 FROM unnest($1::text[], $2::text[], $3::bigint[]) AS f (city, zip_code, county_id)
RETURNING id, city, zip_code, county_id
"""
INSERT_STORES = """
INSERT INTO store (number, name, address, latitude, longitude, place_id, import_id)
SELECT f.*, $7 FROM unnest($1::int[], $2::text[], $3::text[], $4::numeric[], $5::numeric[], $6::bigint[])
  AS f (number, name, address, latitude, longitude, place_id)
ON CONFLICT (number) DO UPDATE SET
  address = coalesce(store.address, excluded.address),
  latitude = coalesce(store.latitude, excluded.latitude),
  longitude = coalesce(store.longitude, excluded.longitude),
  name = CASE WHEN store.name = 'Store ' || store.number THEN excluded.name ELSE store.name END
RETURNING id, number
"""
INSERT_PRODUCTS = """
INSERT INTO product (sku, name, category_id, vendor_id, pack, volume_ml, unit_cost, unit_price, import_id)
SELECT f.*, $9 FROM unnest($1::text[], $2::text[], $3::bigint[], $4::bigint[], $5::int[], $6::int[],
                           $7::bigint[], $8::bigint[])
  AS f (sku, name, category_id, vendor_id, pack, volume_ml, unit_cost, unit_price)
ON CONFLICT (sku) DO UPDATE SET
  category_id = coalesce(product.category_id, excluded.category_id),
  vendor_id = coalesce(product.vendor_id, excluded.vendor_id),
  pack = coalesce(product.pack, excluded.pack),
  volume_ml = coalesce(product.volume_ml, excluded.volume_ml),
  name = CASE WHEN product.name = product.sku THEN excluded.name ELSE product.name END
RETURNING id, sku, volume_ml
"""
# Rows that are complete are left alone: an update that changes nothing would still cost a row version.
KNOWN_STORES = """
SELECT id, number FROM store
WHERE number = ANY($1) AND address IS NOT NULL AND latitude IS NOT NULL AND longitude IS NOT NULL
  AND name <> 'Store ' || number
"""
KNOWN_PRODUCTS = """
SELECT id, sku, volume_ml FROM product
WHERE sku = ANY($1) AND category_id IS NOT NULL AND vendor_id IS NOT NULL AND pack IS NOT NULL
  AND volume_ml IS NOT NULL AND name <> sku
"""


@dataclass(frozen=True)
class ResolvedReferences:
    """Row ids, index by index as the block lists its stores, places and products; volumes in ml a bottle."""

    stores: Integers
    places: Integers
    products: Integers
    volumes: Integers  # NO_VOLUME where it is unknown


async def resolve_references(connection: asyncpg.Connection, block: SalesBlock, import_id: int) -> ResolvedReferences:
    """Find or create every place, store and product a block names.

    What a file says fills gaps of existing rows; it never replaces what is known.
    """
    places = await _resolve_places(connection, block.places, import_id)
    stores = await _resolve_stores(connection, block.stores, places, import_id)
    products, volumes = await _resolve_products(connection, block.products, import_id)
    return ResolvedReferences(_array(stores), _array(places), _array(products), _array(volumes))


def _array(values: list[int]) -> Integers:
    return np.array(values, dtype=np.int64)


def _columns(rows: list[tuple[Any, ...]], width: int) -> list[list[Any]]:
    """Rows turned into the column lists that `unnest` takes."""
    return [list(column) for column in zip(*rows, strict=True)] if rows else [[] for _ in range(width)]


async def _resolve_places(connection: asyncpg.Connection, facts: list[PlaceFacts], import_id: int) -> list[int]:
    counties = await resolve_names(
        connection, "county", ((fact.county_number, fact.county_name) for fact in facts), import_id
    )
    keys = [(fact.city, fact.zip_code, counties[fact.county_number, fact.county_name]) for fact in facts]
    return await find_or_make_places(connection, keys, import_id)


async def find_or_make_places(
    connection: asyncpg.Connection, keys: Sequence[tuple[str | None, str | None, int | None]], import_id: int
) -> list[int]:
    """The place of each city, zip code and county id."""
    rows = await connection.fetch("SELECT id, city, zip_code, county_id FROM place")
    ids = {tuple(row)[1:]: row["id"] for row in rows}
    # Two spellings of a county become one place, so missing keys are made distinct first.
    missing = list(dict.fromkeys(key for key in keys if key not in ids))
    if missing:
        rows = await connection.fetch(INSERT_PLACES, *_columns(missing, 3), import_id)
        ids.update({tuple(row)[1:]: row["id"] for row in rows})
    return [ids[key] for key in keys]


async def _resolve_stores(
    connection: asyncpg.Connection, facts: list[StoreFacts], places: list[int], import_id: int
) -> list[int]:
    rows = await connection.fetch(KNOWN_STORES, [fact.number for fact in facts])
    ids = {row["number"]: row["id"] for row in rows}
    missing = [
        (
            fact.number,
            fact.name or f"Store {fact.number}",
            fact.address,
            fact.latitude,
            fact.longitude,
            places[fact.place],
        )
        for fact in facts
        if fact.number not in ids
    ]
    if missing:
        rows = await connection.fetch(INSERT_STORES, *_columns(missing, 6), import_id)
        ids.update({row["number"]: row["id"] for row in rows})
    return [ids[fact.number] for fact in facts]


async def _resolve_products(
    connection: asyncpg.Connection, facts: list[ProductFacts], import_id: int
) -> tuple[list[int], list[int]]:
    categories = await resolve_names(
        connection, "category", ((fact.category_number, fact.category_name) for fact in facts), import_id
    )
    vendors = await resolve_names(
        connection, "vendor", ((fact.vendor_number, fact.vendor_name) for fact in facts), import_id
    )
    rows = await connection.fetch(KNOWN_PRODUCTS, [fact.sku for fact in facts])
    known = {row["sku"]: row for row in rows}
    missing = [
        (
            fact.sku,
            fact.name or fact.sku,
            categories[fact.category_number, fact.category_name],
            vendors[fact.vendor_number, fact.vendor_name],
            fact.pack,
            fact.volume_ml,
            fact.unit_cost,
            fact.unit_price,
        )
        for fact in facts
        if fact.sku not in known
    ]
    if missing:
        rows = await connection.fetch(INSERT_PRODUCTS, *_columns(missing, 8), import_id)
        known.update({row["sku"]: row for row in rows})
    volumes = [known[fact.sku]["volume_ml"] for fact in facts]
    return [known[fact.sku]["id"] for fact in facts], [NO_VOLUME if v is None else v for v in volumes]
