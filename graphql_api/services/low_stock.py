"""Low stock: who is told when a level falls to its threshold."""

from collections.abc import Sequence

from graphql_api.ledger.entries import Episode
from graphql_api.services.unit_of_work import UnitOfWork


async def tell(work: UnitOfWork, opened: Sequence[Episode]) -> None:
    """Notify the administrators of levels that are low since this transaction."""
