"""Every table, imported once, so that the metadata is complete."""

from importlib import import_module

from graphql_api.database.base import metadata

NOUNS = (
    "audit",
    "books",
    "category",
    "customer",
    "event",
    "idempotency",
    "import_job",
    "import_trace",
    "invitation",
    "invoice",
    "low_stock",
    "notification",
    "number_series",
    "one_time_code",
    "place",
    "product",
    "purchase",
    "session",
    "settings",
    "stock",
    "store",
    "user",
    "vendor",
)
for noun in NOUNS:
    import_module(f"graphql_api.database.{noun}")

__all__ = ["metadata"]
