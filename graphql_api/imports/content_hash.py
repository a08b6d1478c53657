"""A 64-bit hash of the content of invoice lines, the same in every process, computed column by column."""

from collections.abc import Iterable, Sequence
from hashlib import blake2b
from typing import Any

import numpy as np
from numpy.typing import NDArray

from graphql_api.imports.sales_block import Hashes, PlaceFacts

# The constants of splitmix64, a finaliser that spreads every input bit over all output bits.
STEP = np.uint64(0x9E3779B97F4A7C15)
FIRST_FACTOR = np.uint64(0xBF58476D1CE4E5B9)
SECOND_FACTOR = np.uint64(0x94D049BB133111EB)
FIRST_SHIFT, SECOND_SHIFT, THIRD_SHIFT = np.uint64(30), np.uint64(27), np.uint64(31)


def hash_columns(columns: Sequence[NDArray[np.integer[Any]]]) -> Hashes:
    """One hash per row over 64-bit columns of equal length; their order matters."""
    result = np.zeros(len(columns[0]), np.uint64)
    for column in columns:
        result = _mix(result ^ column.view(np.uint64))
    return result


def hash_texts(texts: Iterable[str]) -> Hashes:
    """One hash per text."""
    digests = b"".join(blake2b(text.encode(), digest_size=8).digest() for text in texts)
    return np.frombuffer(digests, "<u8").astype(np.uint64)


def hash_places(places: Iterable[PlaceFacts]) -> Hashes:
    """One hash per place. A county is its number where there is one, however its name is spelled."""
    return hash_texts(
        repr(
            (
                place.city,
                place.zip_code,
                place.county_name if place.county_number is None else place.county_number,
            )
        )
        for place in places
    )


def _mix(values: Hashes) -> Hashes:
    values = values + STEP
    values = (values ^ (values >> FIRST_SHIFT)) * FIRST_FACTOR
    values = (values ^ (values >> SECOND_SHIFT)) * SECOND_FACTOR
    return values ^ (values >> THIRD_SHIFT)
