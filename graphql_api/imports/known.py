"""Stores and products that rows speak of and must exist; unknown ones are refused with the one probably meant."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches

import asyncpg

from graphql_api.imports.layout import Field
from graphql_api.imports.rejects import Reject, RejectCode
from graphql_api.imports.rows import FileRows

STORES = "SELECT number, id FROM store WHERE number = ANY($1)"
PRODUCTS = "SELECT sku, id, unit_cost FROM product WHERE sku = ANY($1)"
ALL_STORES = "SELECT number::text AS name FROM store"
# Item numbers that begin alike, or differ in leading zeros or upper and lower case alone.
SIMILAR_PRODUCTS = """
SELECT DISTINCT p.sku AS name FROM unnest($1::text[]) AS u (sku) CROSS JOIN LATERAL (
  (SELECT sku FROM product WHERE starts_with(sku, left(u.sku, greatest(length(u.sku) - 2, 1))) LIMIT 200)
  UNION ALL
  (SELECT sku FROM product
   WHERE sku = ANY(ARRAY[ltrim(u.sku, '0'), lpad(u.sku, 5, '0'), '0' || u.sku, upper(u.sku), lower(u.sku)]))
) p
"""
# So many unknown names of a block get a suggestion; more are no slips of the pen.
MAX_SUGGESTED = 50


@dataclass(frozen=True)
class Product:
    """A product's key, and what a bottle costs in cents as far as it is known."""

    id: int
    unit_cost: int | None


@dataclass(frozen=True)
class Known:
    """The stores and products of rows, by number and item number."""

    stores: Mapping[int, int]
    products: Mapping[str, Product]
    meant_stores: Mapping[str, str]
    meant_products: Mapping[str, str]

    def refusal(self, rows: FileRows, index: int, store: int, sku: str) -> Reject | None:
        """Why a row cannot be used, when it cannot."""
        if store not in self.stores:
            hint = _hint("store", self.meant_stores.get(str(store)))
            return rows.reject(index, RejectCode.UNKNOWN_STORE, Field.STORE_NUMBER, hint)
        if sku not in self.products:
            hint = _hint("product", self.meant_products.get(sku))
            return rows.reject(index, RejectCode.UNKNOWN_PRODUCT, Field.SKU, hint)
        return None


def _hint(what: str, meant: str | None) -> str:
    suggestion = f' Did you mean "{meant}"?' if meant else ""
    return f"Correct the number, or create the {what} first.{suggestion}"


async def find_known(connection: asyncpg.Connection, numbers: Sequence[int], skus: Sequence[str]) -> Known:
    """Look up what rows speak of."""
    stores = {row["number"]: row["id"] for row in await connection.fetch(STORES, list(set(numbers)))}
    products = {
        row["sku"]: Product(row["id"], row["unit_cost"]) for row in await connection.fetch(PRODUCTS, list(set(skus)))
    }
    unknown_stores = [str(number) for number in dict.fromkeys(numbers) if number not in stores]
    unknown_products = [sku for sku in dict.fromkeys(skus) if sku not in products]
    return Known(
        stores,
        products,
        await _meant(connection, unknown_stores, ALL_STORES),
        await _meant(connection, unknown_products, SIMILAR_PRODUCTS, unknown_products[:MAX_SUGGESTED]),
    )


async def _meant(
    connection: asyncpg.Connection, unknown: Sequence[str], query: str, *arguments: Sequence[str]
) -> dict[str, str]:
    """The nearest existing name of each unknown one that has one."""
    if not unknown:
        return {}
    candidates = {row["name"].casefold(): row["name"] for row in await connection.fetch(query, *arguments)}
    nearest = {
        name: get_close_matches(name.casefold(), candidates, n=1, cutoff=0.7) for name in unknown[:MAX_SUGGESTED]
    }
    return {name: candidates[found[0]] for name, found in nearest.items() if found}
