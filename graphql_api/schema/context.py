"""What every resolver of one operation shares. On a socket each operation gets a context of its own."""

from dataclasses import dataclass
from functools import cached_property
from typing import TypeAlias

import strawberry

from graphql_api.database.engine import Database
from graphql_api.schema.loaders import Loaders
from graphql_api.schema.permissions import Viewer
from graphql_api.services.storage import FileStorage


@dataclass
class Context:
    """One operation: who asks, where the data is, and what was already loaded.

    Args:
        database: where reads and writes go.
        storage: where uploads are kept.
        upload_limit: bytes that one uploaded file may have.
        request_id: names this operation in logs and in hidden errors.
        viewer: who asks; None when nobody has signed in.
    """

    database: Database
    storage: FileStorage
    upload_limit: int
    request_id: str
    viewer: Viewer | None = None

    @cached_property
    def loaders(self) -> Loaders:
        """Batches and remembers what this operation reads by id."""
        return Loaders(self.database)

    def forget_loaded(self) -> None:
        """Drop what was loaded, so that the next mutation of the same document sees present data."""
        self.__dict__.pop("loaders", None)


Info: TypeAlias = strawberry.Info[Context, None]
