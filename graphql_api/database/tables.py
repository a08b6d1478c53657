"""Every table, imported once, so that the metadata is complete."""

from graphql_api.database import (
    audit,
    category,
    customer,
    import_job,
    invitation,
    invoice,
    one_time_code,
    place,
    product,
    session,
    settings,
    store,
    user,
    vendor,
)
from graphql_api.database.base import metadata

MODULES = (
    audit,
    category,
    customer,
    import_job,
    invitation,
    invoice,
    one_time_code,
    place,
    product,
    session,
    settings,
    store,
    user,
    vendor,
)

__all__ = ["MODULES", "metadata"]
