"""Every table, imported once, so that the metadata is complete."""

from graphql_api.database import category, import_job, invoice, place, product, store, vendor
from graphql_api.database.base import metadata

MODULES = (category, import_job, invoice, place, product, store, vendor)

__all__ = ["MODULES", "metadata"]
