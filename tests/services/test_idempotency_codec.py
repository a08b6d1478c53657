"""Answers come back from bytes as they were, and nothing else does; only the same request opens what is sealed."""

import datetime as dt
import json
from dataclasses import dataclass, field, replace
from decimal import Decimal
from enum import Enum, StrEnum
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given, strategies
from sqlalchemy import inspect

from graphql_api.database.base import now_utc
from graphql_api.database.import_job import ImportJobRow, ImportKind
from graphql_api.services.idempotency_codec import AnswerCodec, UnknownTypeError, UnreadableError, reachable_types
from graphql_api.services.idempotency_seal import (
    KeyedRequest,
    fingerprint,
    is_same_input,
    key_of_payload,
    open_payload,
    seal_payload,
)
from graphql_api.services.key import GivenKeys
from tests.client import TEST_KEYS


class Colour(StrEnum):
    RED = "red"


class Number(Enum):
    ONE = 1


@dataclass(frozen=True)
class Leaf:
    number: Number
    amount: Decimal | None


@dataclass
class Tree:
    colour: Colour
    content: Any
    leaves: list[Leaf]
    by_name: dict[str, tuple[Leaf, ...]] = field(default_factory=dict)
    made_anew: int = field(init=False, default=7)


@dataclass
class Stranger:
    content: str = "x"


CODEC = AnswerCodec([Tree])
leaves = strategies.builds(
    Leaf,
    strategies.sampled_from(Number),
    strategies.none() | strategies.decimals(allow_nan=False, allow_infinity=False),
)
plain = (
    strategies.none()
    | strategies.booleans()
    | strategies.integers()
    | strategies.floats(allow_nan=False)
    | strategies.text(strategies.characters(exclude_categories=["Cs"]))
    | strategies.binary()
    | strategies.dates()
    | strategies.datetimes(timezones=strategies.just(dt.UTC)).map(lambda instant: instant.replace(fold=0))
    | strategies.uuids()
    | strategies.decimals(allow_nan=False, allow_infinity=False)
    | strategies.sampled_from(Colour)
    | leaves
)
values = strategies.recursive(
    plain,
    lambda inner: (
        strategies.lists(inner)
        | strategies.lists(inner).map(tuple)
        | strategies.dictionaries(strategies.text(strategies.characters(exclude_categories=["Cs"])), inner)
    ),
)
trees = strategies.builds(
    Tree,
    strategies.sampled_from(Colour),
    values,
    strategies.lists(leaves),
    strategies.dictionaries(strategies.sampled_from(["a", "$", "value"]), strategies.lists(leaves).map(tuple)),
)


@given(trees)
def test_what_was_written_is_read(tree: Tree) -> None:
    copy = CODEC.decode(CODEC.encode(tree))

    assert copy == tree
    # 1 and 1.0 and True are equal, and so are two ways to write a decimal
    assert repr(copy) == repr(tree)


def job_row() -> ImportJobRow:
    """A job with a value in every column."""
    row = ImportJobRow(
        id=7,
        kind=ImportKind.SALES,
        dry_run=False,
        file_name="a.csv",
        file_size=1 << 40,
        sha256="0" * 64,
        storage_key="a",
        mapping={"Shop": "store_number"},
        created_at=now_utc(),
    )
    for attribute in inspect(ImportJobRow).column_attrs:
        setattr(row, attribute.key, getattr(row, attribute.key))
    return row


def test_a_row_comes_back_with_all_its_columns() -> None:
    codec, row = AnswerCodec([ImportJobRow]), job_row()

    copy = codec.decode(codec.encode(row))

    assert isinstance(copy, ImportJobRow)
    assert copy.model_dump() == row.model_dump()


@pytest.mark.parametrize("value", [Stranger(), object(), {1, 2}, Leaf, [Stranger()], now_utc, 1j])
def test_what_is_not_on_the_list_is_not_written(value: Any) -> None:
    with pytest.raises(UnknownTypeError):
        CODEC.encode(Tree(Colour.RED, value, []))


def test_a_row_that_was_not_loaded_is_not_written() -> None:
    row = job_row()
    inspect(row).dict.pop("rows_read")

    with pytest.raises(UnknownTypeError, match="not loaded"):
        AnswerCodec([ImportJobRow]).encode(row)


NAME = f"{Leaf.__module__}.Leaf"


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{",
        b"\xff",
        b"{}",
        b'{"$": "os.system", "value": {}}',
        b'{"$": "' + f"{Stranger.__module__}.Stranger".encode() + b'", "value": {"content": "x"}}',
        json.dumps({"$": NAME, "value": {"number": None}}).encode(),
        json.dumps({"$": NAME, "value": {"number": None, "amount": None, "more": 1}}).encode(),
        json.dumps({"$": NAME, "value": []}).encode(),
        json.dumps({"$": f"{Leaf.__module__}.Number", "value": "TWO"}).encode(),
        b'{"$": "decimal", "value": "twelve"}',
        b'{"$": "date", "value": "2024-02-30"}',
        b'{"$": "bytes", "value": 5}',
        b'{"$": "tuple", "value": 5}',
        b'{"$": ["list"], "value": 5}',
    ],
)
def test_what_nobody_wrote_is_not_read(content: bytes) -> None:
    with pytest.raises(UnreadableError):
        CODEC.decode(content)


def test_the_list_holds_what_annotations_name_at_any_depth() -> None:
    assert reachable_types([Tree]) == {Tree, Leaf, Colour, Number}


REQUEST = KeyedRequest("user:1", "a key", 0, "createProduct", b"d" * 32)
OTHERS = [
    replace(REQUEST, scope="user:11"),
    replace(REQUEST, scope="stranger"),
    replace(REQUEST, key="another key"),
    replace(REQUEST, position=1),
    replace(REQUEST, mutation="updateProduct"),
    replace(REQUEST, digest=b"e" * 32),
]


def test_what_is_sealed_opens_for_the_same_request() -> None:
    sealed = seal_payload(TEST_KEYS.current, REQUEST, b"a secret")

    key = key_of_payload(TEST_KEYS, sealed)
    assert key == TEST_KEYS.current
    assert open_payload(key, REQUEST, sealed) == b"a secret"
    assert b"secret" not in sealed
    assert sealed != seal_payload(TEST_KEYS.current, REQUEST, b"a secret")


@pytest.mark.parametrize("other", OTHERS)
def test_another_request_opens_nothing_and_has_another_fingerprint(other: KeyedRequest) -> None:
    key = TEST_KEYS.current

    assert open_payload(key, other, seal_payload(key, REQUEST, b"a secret")) is None
    assert not is_same_input(key, other, fingerprint(key, REQUEST))


def test_another_key_of_the_house_opens_nothing() -> None:
    others = GivenKeys("another-secret-key-of-the-tests-0123456789")
    sealed = seal_payload(TEST_KEYS.current, REQUEST, b"a secret")

    assert key_of_payload(others, sealed) is None
    assert open_payload(others.current, REQUEST, sealed) is None
    assert fingerprint(others.current, REQUEST) != fingerprint(TEST_KEYS.current, REQUEST)


@given(strategies.binary(max_size=80))
def test_damaged_bytes_open_nothing(content: bytes) -> None:
    assert open_payload(TEST_KEYS.current, REQUEST, content) is None
    key_of_payload(TEST_KEYS, content)


def test_a_request_does_not_show_its_digest() -> None:
    assert "ddd" not in repr(REQUEST)


def test_kinds_of_values_are_told_apart() -> None:
    content = [UUID(int=1), Decimal("1.50"), 1.5, 1, True, "1.50", dt.date(2024, 1, 2), now_utc()]
    assert list(map(type, CODEC.decode(CODEC.encode(content)))) == list(map(type, content))
