"""How often something may be tried: the one table of limits."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from limits import RateLimitItem, parse


class Subject(StrEnum):
    """What attempts are counted for."""

    ADDRESS = "address"  # a network address; of IPv6 the network, because everybody has a whole one
    ACCOUNT = "account"  # whoever has signed in
    STRANGER = "stranger"  # the address of somebody who has not signed in
    EMAIL = "email"  # the `email` of the input, whoever sends it
    SENDER = "email from an address"  # the `email` of the input, as one network address sends it


@dataclass(frozen=True, slots=True)
class Rule:
    """So many attempts in any stretch of so much time, for each subject of a kind.

    Args:
        what: what is counted: a root field, or a name that several fields share.
        subject: what it is counted for.
        limit: how many, and in what time.
    """

    what: str
    subject: Subject
    limit: RateLimitItem


ADDRESS, ACCOUNT, STRANGER = Subject.ADDRESS, Subject.ACCOUNT, Subject.STRANGER
EMAIL, SENDER = Subject.EMAIL, Subject.SENDER
# An office shares an address, so addresses get more than one person needs. What is narrow comes first: somebody who
# has used up the own attempts takes none away from the account that was aimed at, so one sender locks nobody out.
LIMITS: Mapping[str, Mapping[Subject, str]] = {
    "register": {ADDRESS: "60 per hour", SENDER: "5 per hour", EMAIL: "20 per hour"},
    "verifyEmail": {ADDRESS: "60 per 10 minutes"},
    "login": {ADDRESS: "60 per 10 minutes", SENDER: "10 per 10 minutes", EMAIL: "100 per 10 minutes"},
    "refreshToken": {ADDRESS: "300 per minute"},
    "requestPasswordReset": {ADDRESS: "60 per hour", SENDER: "5 per hour", EMAIL: "20 per hour"},
    "verifyPasswordReset": {ADDRESS: "60 per 10 minutes"},
    "resetPassword": {ADDRESS: "60 per 10 minutes"},
    "acceptInvitation": {ADDRESS: "60 per 10 minutes"},
    "changePassword": {ACCOUNT: "10 per 10 minutes"},
    "inviteUser": {ACCOUNT: "60 per hour", EMAIL: "5 per hour"},
    "salesReport": {ACCOUNT: "600 per minute"},
    "salesReportLive": {ACCOUNT: "600 per minute"},
    "facets": {ACCOUNT: "1200 per minute"},
    "overview": {ACCOUNT: "600 per minute"},
    "stockReport": {ACCOUNT: "600 per minute"},
    "stockWatch": {ACCOUNT: "600 per minute"},
    "reorderSuggestions": {ACCOUNT: "600 per minute"},
    "booksCheck": {ACCOUNT: "20 per minute"},
    "invoicePdf": {ACCOUNT: "300 per minute"},
    "lowStockFile": {ACCOUNT: "60 per minute"},
}
# What is counted without being a root field: files that are made while they are sent.
FILES = frozenset({"invoicePdf", "lowStockFile"})
# What all mutations together may come to. Those of strangers are refused or in the table above, and recorded.
EVERY_MUTATION: Mapping[Subject, str] = {ACCOUNT: "600 per minute", STRANGER: "300 per minute"}


def rules_of(field: str) -> tuple[Rule, ...]:
    """What an execution of this root field alone is counted for; nothing, for most."""
    return _rules(field, LIMITS.get(field, {}))


def _rules(what: str, limits: Mapping[Subject, str]) -> tuple[Rule, ...]:
    return tuple(Rule(what, subject, parse(limit)) for subject, limit in limits.items())


RULES_OF_EVERY_MUTATION = _rules("mutation", EVERY_MUTATION)
