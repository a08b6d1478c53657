"""The check of the books."""

import datetime as dt
from typing import Annotated

import strawberry

from graphql_api.schema.context import Info
from graphql_api.schema.scalars import BigInt
from graphql_api.services import books


@strawberry.type(description="One thing in the books that is not as it has to be. Amounts are bottles and cents.")
class BooksViolation:
    """One thing that is wrong."""

    what: str = strawberry.field(description='What it is, as in "product 43127 of store 2633".')
    expected: str = strawberry.field(description="What follows from what it hangs on.")
    actual: str = strawberry.field(description="What is there instead.")

    @classmethod
    def from_violation(cls, found: books.Violation) -> "BooksViolation":
        """The fault as clients see it."""
        return cls(what=found.what, expected=found.expected, actual=found.actual)


@strawberry.type(description="Something that has to hold in the books, and whether it does.")
class BooksInvariant:
    """Something that has to hold."""

    name: str = strawberry.field(description="Names it for programs, as in LEVELS_ARE_THEIR_LOTS.")
    description: str = strawberry.field(description="What has to be.")
    is_held: bool = strawberry.field(description="Whether nothing is wrong.")
    checked: BigInt = strawberry.field(description="How many things were compared.")
    violated: BigInt = strawberry.field(description="How many of them are wrong.")
    violations: list[BooksViolation] = strawberry.field(description="Some of those, at most 20.")

    @classmethod
    def from_result(cls, found: books.CheckResult) -> "BooksInvariant":
        """The check as clients see it."""
        return cls(
            name=found.check.name,
            description=found.check.description,
            is_held=found.is_held,
            checked=BigInt(found.checked),
            violated=BigInt(found.violated),
            violations=[BooksViolation.from_violation(violation) for violation in found.violations],
        )


@strawberry.type(description="Whether stock, lots, movements, purchases and invoices agree, all in one snapshot.")
class BooksCheck:
    """Whether the books balance."""

    is_balanced: bool = strawberry.field(description="Whether everything holds.")
    checked_at: dt.datetime = strawberry.field(description="When the check began.")
    as_of: dt.date | None = strawberry.field(description="The day at whose end the books were checked; null for now.")
    checks: list[BooksInvariant] = strawberry.field(description="Everything that was checked.")
    milliseconds: float = strawberry.field(description="Time it took, in milliseconds.")

    @classmethod
    def from_check(cls, found: books.BooksCheck) -> "BooksCheck":
        """The check as clients see it."""
        return cls(
            is_balanced=found.is_balanced,
            checked_at=found.checked_at,
            as_of=found.as_of,
            checks=[BooksInvariant.from_result(result) for result in found.results],
            milliseconds=found.milliseconds,
        )


@strawberry.type
class BooksQuery:
    """Root field of the books."""

    @strawberry.field(
        description=(
            "Check the books: every level against its movements and lots, every cost against the bottles it was paid "
            "for, every series of numbers for holes. It reads the whole ledger, which takes seconds when that is "
            "large; the program does it by itself every night and tells administrators when something is wrong."
        )
    )
    async def books_check(
        self,
        info: Info,
        as_of: Annotated[
            dt.date | None,
            strawberry.argument(
                description="Check what was moved until the end of this day in UTC. Left out: the books as they are."
            ),
        ] = None,
    ) -> BooksCheck:
        """Check the books."""
        async with info.context.database.read() as session:
            return BooksCheck.from_check(await books.books_check(session, as_of))
