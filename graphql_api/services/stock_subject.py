"""What a change of stock is about: the stores and products that its input names, and all that is wrong with it."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeVar

from sqlalchemy.ext.asyncio import AsyncSession

from graphql_api.database.product import ProductRow
from graphql_api.database.store import StoreRow
from graphql_api.services.errors import BadInput, Conflict, NotFound, Problems, ServiceError
from graphql_api.services.product import products_by_id
from graphql_api.services.store import stores_by_id

Given = TypeVar("Given")
Stored = TypeVar("Stored")


@dataclass
class Findings:
    """Every fault found in an input, so that all are told at once."""

    problems: list[ServiceError] = field(default_factory=list)

    def add(self, problem: ServiceError, *path: str) -> None:
        """Keep a fault, and where it is."""
        self.problems.append(problem.below(*path))

    def check(self, check: Callable[[Given], Stored], value: Given, *path: str) -> Stored | None:
        """What `check` makes of the value; None when it finds fault with it."""
        try:
            return check(value)
        except BadInput as problem:
            self.add(problem, *path)
            return None

    def check_optional(self, check: Callable[[Given], Stored], value: Given | None, *path: str) -> Stored | None:
        """`check`, when there is a value."""
        return None if value is None else self.check(check, value, *path)

    def raise_any(self) -> None:
        """Return when nothing was found.

        Raises:
            ServiceError: the fault, or `Problems` when there are several.
        """
        if len(self.problems) == 1:
            raise self.problems[0]
        if self.problems:
            raise Problems(self.problems)


@dataclass(frozen=True)
class Subjects:
    """The stores and products of an input by their keys, as far as they exist."""

    stores: Mapping[int, StoreRow]
    products: Mapping[int, ProductRow]

    def check_store(self, key: int, findings: Findings, *path: str, gains: bool) -> None:
        """Find fault with a store that does not exist, and with an archived one that is to get more."""
        if key not in self.stores:
            findings.add(NotFound("There is no store with this id."), *path)
        elif gains and not self.stores[key].is_active:
            findings.add(Conflict("This store is archived. It can only be emptied."), *path)

    def check_product(self, key: int, findings: Findings, *path: str, gains: bool) -> None:
        """Find fault with a product that does not exist, and with an archived one that is to become more somewhere."""
        if key not in self.products:
            findings.add(NotFound("There is no product with this id."), *path)
        elif gains and not self.products[key].is_active:
            findings.add(Conflict("This product is archived. Bring it back with `updateProduct` first."), *path)


async def read_subjects(session: AsyncSession, store_ids: Sequence[int], product_ids: Sequence[int]) -> Subjects:
    """The stores and products with these keys: two statements however many there are."""
    stores = await stores_by_id(session, store_ids)
    products = await products_by_id(session, product_ids)
    return Subjects({row.id: row for row in stores if row}, {row.id: row for row in products if row})
