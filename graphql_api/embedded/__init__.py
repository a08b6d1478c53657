"""PostgreSQL and Valkey of our own, for when no `DATABASE_URL` or `REDIS_URL` is given."""

from graphql_api.embedded.embedded import Embedded, remove, start
from graphql_api.embedded.errors import EmbeddedServerError

__all__ = ["Embedded", "EmbeddedServerError", "remove", "start"]
