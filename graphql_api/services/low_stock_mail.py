"""The mail about low stock: one for all that a transaction has told an administrator."""

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import select
from sqlmodel import col

from graphql_api.database.notification import NotificationRecipientRow, NotificationRow
from graphql_api.database.user import Role, UserRow
from graphql_api.services.key import KeyRing
from graphql_api.services.low_stock import MAX_LISTED
from graphql_api.services.mail.message import Mail, MailKind
from graphql_api.services.unit_of_work import UnitOfWork

_Entry = NotificationRecipientRow


async def prepare_low_stock_mail(work: UnitOfWork, key: int, _keys: KeyRing) -> Mail | None:
    """The mail to whoever has the list entry `key`; None when it was deleted, or for no administrator any more."""
    found = await work.session.execute(
        select(UserRow, col(NotificationRow.created_at))
        .join(_Entry, col(_Entry.user_id) == col(UserRow.id))
        .join(NotificationRow, col(NotificationRow.id) == col(_Entry.notification_id))
        .where(col(_Entry.id) == key, col(UserRow.is_active), col(UserRow.role) == Role.ADMIN)
    )
    if (row := found.one_or_none()) is None:
        return None
    user, at = row
    # what one transaction tells has its time
    told = await work.session.scalars(
        select(col(NotificationRow.values))
        .join(_Entry, col(_Entry.notification_id) == col(NotificationRow.id))
        .where(col(_Entry.user_id) == user.id, col(_Entry.id) >= key)
        .where(col(NotificationRow.created_at) == at, col(NotificationRow.topic).startswith("low-stock"))
        .order_by(col(_Entry.id))
    )
    return Mail(MailKind.LOW_STOCK, user.email, user.language, _shown(told.all()))


def _shown(told: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """The first that are low, and how many there are besides."""
    count = sum(values.get("count", 1) for values in told)
    products = [item for values in told for item in values.get("items", [values])][:MAX_LISTED]
    return {"products": products, "others": count - len(products)}
