"""The filter language of lists, decided in memory: over the facts of an event instead of the columns of a table.

It means what `filters` means in SQL, unknown values and upper and lower case included; a test compares the two.
"""

import operator
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from graphql_api.services.errors import BadInput, TooComplex
from graphql_api.services.filters import Logic, Operators, Where, combine, read_operand
from graphql_api.services.place import canonical_name, canonical_zip

Predicate = Callable[[Any], bool]


def _identity(value: Any) -> Any:
    return value


@dataclass(frozen=True)
class FactField:
    """A field of a filter that is one fact of an event.

    Args:
        name: the fact.
        normalise: brings a client's value to the stored form.
        known_by: the fact that is null where nothing is known, when that is another one: a county without a number
            is a county.
    """

    name: str
    normalise: Callable[[Any], Any] = _identity
    known_by: str | None = None

    def __call__(self, operators: Operators) -> Predicate:
        """The predicate over facts that is true where all operators hold."""
        return _all_of([self._operator(name, value) for name, value in operators.items()])

    def _operator(self, name: str, value: Any) -> Predicate:
        operand = read_operand(name, value, self.normalise)
        if name == "isNull":
            known = operator.attrgetter(self.known_by or self.name)
            return lambda facts: (known(facts) is None) is operand
        read, test = operator.attrgetter(self.name), TESTS[name](operand)

        def holds(facts: Any) -> bool:
            fact = read(facts)
            return fact is not None and test(fact)

        return holds


@lru_cache(maxsize=10_000)
def folded(text: str) -> str:
    """`text` as the database compares it where case does not matter: each character for itself in lower case."""
    if text.isascii():
        return text.lower()
    # the one whose lower case is two characters is an i there
    return "".join(map(str.lower, text.replace("\u0130", "i")))


def _contains(part: str) -> Predicate:
    wanted = folded(part)
    return lambda fact: wanted in folded(fact)


def _starts_with(start: str) -> Predicate:
    wanted = folded(start)
    return lambda fact: folded(fact).startswith(wanted)


def _among(values: Sequence[Any]) -> Predicate:
    wanted = frozenset(values)
    return lambda fact: fact in wanted


# From the operand to a test of a fact that is known.
TESTS: Mapping[str, Callable[[Any], Predicate]] = {
    "eq": lambda value: lambda fact: bool(fact == value),
    "in": _among,
    "gt": lambda value: lambda fact: bool(fact > value),
    "gte": lambda value: lambda fact: bool(fact >= value),
    "lt": lambda value: lambda fact: bool(fact < value),
    "lte": lambda value: lambda fact: bool(fact <= value),
    "contains": _contains,
    "startsWith": _starts_with,
}


def _all_of(parts: Sequence[Predicate]) -> Predicate:
    return parts[0] if len(parts) == 1 else lambda facts: all(part(facts) for part in parts)


def _any_of(parts: Sequence[Predicate]) -> Predicate:
    return lambda facts: any(part(facts) for part in parts)


def _none_of(part: Predicate) -> Predicate:
    return lambda facts: not part(facts)


# What is unknown is false here: nothing but `not` could tell the two apart, and it keeps both.
MEMORY: Logic[Predicate] = Logic(_all_of, _any_of, _none_of)


def event_predicate(where: Where | None, fields: Mapping[str, FactField]) -> Predicate:
    """Whether the facts of an event match `where`.

    Raises:
        BadInput, TooComplex: as filters of lists do, with the path to the impossible part, `where` included.
    """
    try:
        return combine(where, fields, MEMORY)
    except (BadInput, TooComplex) as error:
        raise error.below("where") from None


STOCK_FACTS: Mapping[str, FactField] = {
    "product": FactField("product"),
    "sku": FactField("sku"),
    "store": FactField("store"),
    "storeNumber": FactField("store_number"),
    "city": FactField("city", canonical_name),
    "zip": FactField("zip_code", canonical_zip),
    "county": FactField("county", canonical_name),
    "countyNumber": FactField("county_number", known_by="county"),
    "category": FactField("category"),
    "categoryNumber": FactField("category_number", known_by="category"),
}
"""What changes of stock and of low stock are chosen by; `services.stock_state` has the same fields in SQL."""
STOCK_CHANGE_FACTS: Mapping[str, FactField] = {**STOCK_FACTS, "cause": FactField("cause"), "delta": FactField("delta")}
LOW_STOCK_FACTS: Mapping[str, FactField] = {**STOCK_FACTS, "change": FactField("change")}
PRODUCT_FACTS: Mapping[str, FactField] = {
    "id": FactField("product"),
    "sku": FactField("sku"),
    "change": FactField("change"),
}
INVOICE_FACTS: Mapping[str, FactField] = {
    "id": FactField("invoice"),
    "number": FactField("number"),
    "status": FactField("status"),
    "change": FactField("change"),
    "store": FactField("store"),
    "customer": FactField("customer"),
}
PURCHASE_FACTS: Mapping[str, FactField] = {
    "id": FactField("purchase"),
    "number": FactField("number"),
    "status": FactField("status"),
    "change": FactField("change"),
    "store": FactField("store"),
}
NOTIFICATION_FACTS: Mapping[str, FactField] = {"user": FactField("user")}
IMPORT_FACTS: Mapping[str, FactField] = {"import": FactField("import_")}
