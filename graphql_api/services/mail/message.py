"""A mail to be written, and the wish to have one sent."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from graphql_api.database.user import Language
from graphql_api.services.unit_of_work import UnitOfWork

MAIL_JOB = "mail"


class MailKind(StrEnum):
    """What a mail is for; each has a template in `templates`."""

    VERIFY_EMAIL = "VERIFY_EMAIL"
    ALREADY_REGISTERED = "ALREADY_REGISTERED"
    RESET_PASSWORD = "RESET_PASSWORD"  # noqa: S105 - the name of a purpose
    PASSWORD_CHANGED = "PASSWORD_CHANGED"  # noqa: S105 - as above
    INVITATION = "INVITATION"
    LOW_STOCK = "LOW_STOCK"


# What nobody waits for at the mailbox, because the program itself shows it: sent by a mail server or not at all.
NEEDS_SERVER = frozenset({MailKind.LOW_STOCK})
# What the templates of a kind speak of, beside the company: `minutes` (int) are how long a code is good for, `role` is
# a `Role`, `expires_at` a datetime in UTC, `products` a list of mappings with the names of `product` and `store`, the
# bottles `on_hand` and the `threshold`, and `others` counts those that are not in it. Nobody is addressed by a
# name before the address is proven: whoever registers could have us write anything to anybody.
VALUES: Mapping[MailKind, frozenset[str]] = {
    MailKind.VERIFY_EMAIL: frozenset({"code", "minutes"}),
    MailKind.ALREADY_REGISTERED: frozenset({"name"}),
    MailKind.RESET_PASSWORD: frozenset({"name", "code", "minutes"}),
    MailKind.PASSWORD_CHANGED: frozenset({"name"}),
    MailKind.INVITATION: frozenset({"code", "role", "expires_at"}),
    MailKind.LOW_STOCK: frozenset({"products", "others"}),
}


@dataclass(frozen=True)
class Mail:
    """A mail to one person, not yet put into words.

    Args:
        kind: what it is for.
        to: the address.
        language: what the reader reads.
        values: what it speaks of, at least what `VALUES` names. They may be secret.
    """

    kind: MailKind
    to: str
    language: Language
    values: Mapping[str, Any] = field(repr=False)

    def __post_init__(self) -> None:
        """Refuse a mail that could not be put into words.

        Raises:
            ValueError: values of this kind are missing.
        """
        if missing := VALUES[self.kind] - self.values.keys():
            raise ValueError(f"A mail {self.kind} lacks the values {sorted(missing)}.")


async def enqueue_mail(work: UnitOfWork, kind: MailKind, *keys: int) -> None:
    """Have a mail sent for each key once this transaction has committed, and never if it has not.

    Args:
        work: the transaction that gives reason for the mail.
        kind: what the mail is for.
        keys: of the rows that the preparer of this kind reads; nothing secret is kept with the job.
    """
    await work.enqueue(MAIL_JOB, *(mail_payload(kind, key) for key in keys))


def mail_payload(kind: MailKind, key: int) -> bytes:
    """A wish as the job keeps it."""
    return f"{kind} {key}".encode()


def wished_mail(payload: bytes) -> tuple[MailKind, int]:
    """The kind and key of a wish that a job has kept.

    Raises:
        ValueError: it is none.
    """
    kind, _, key = payload.decode().partition(" ")
    return MailKind(kind), int(key)
