"""The invoice number and the line number that a line's id stands for."""

from dataclasses import dataclass

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from graphql_api.imports.rejects import RejectCode
from graphql_api.imports.values import MAX_ID_LENGTH, ValueProblem

LINE_DIGITS = 5
NUMBERED = r"(?s)^.+[0-9]{5}$"
UNNUMBERED = "00000"
CONTROL = r"[\x00-\x1f\x7f\x{ad}\x{200b}\x{200e}\x{200f}\x{202a}-\x{202e}\x{2060}\x{2066}-\x{2069}\x{feff}]"


@dataclass(frozen=True)
class LineIdentity:
    """Ids (stripped), and the problems of those that cannot be used, by row."""

    ids: pa.LargeStringArray
    problems: dict[int, ValueProblem]


def read_ids(texts: pd.Series) -> LineIdentity:
    """Check the ids of a column of text."""
    ids = pc.utf8_trim_whitespace(pa.array(texts, pa.large_string()))
    problems: dict[int, ValueProblem] = {}
    for is_bad, problem in (
        (pc.match_substring_regex(ids, CONTROL), _BAD_CHARACTERS),
        (pc.greater(pc.utf8_length(ids), MAX_ID_LENGTH), _TOO_LONG),
        (pc.equal(ids, ""), _MISSING),
    ):
        for row in pc.indices_nonzero(is_bad).to_pylist():
            problems.setdefault(row, problem)
    return LineIdentity(ids, problems)


def number_records(prefix: str, records: NDArray[np.int64]) -> pa.LargeStringArray:
    """Ids for a file that has none: the record's number behind a prefix that is the file's own."""
    numbers = pa.array(records, pa.int64()).cast(pa.large_string())
    return pc.binary_join_element_wise(pa.scalar(prefix, pa.large_string()), numbers, pa.scalar("-", pa.large_string()))


def split_ids(ids: pa.LargeStringArray) -> tuple[pa.LargeStringArray, NDArray[np.int32]]:
    """Invoice number and line number of every id; no two ids give the same pair.

    `INV-18951900012` is line 12 of invoice `INV-189519`. An id that does not end in five digits, has nothing
    before them, or ends in `00000` is an invoice of its own with the line number 0.
    """
    is_numbered = pc.and_not(pc.match_substring_regex(ids, NUMBERED), pc.ends_with(ids, UNNUMBERED))
    head = pc.utf8_slice_codeunits(ids, 0, -LINE_DIGITS)
    tail = pc.utf8_slice_codeunits(ids, -LINE_DIGITS)
    invoice_number = pc.if_else(is_numbered, head, ids)
    line_number = pc.if_else(is_numbered, tail, "0").cast(pa.int32())
    return invoice_number, line_number.to_numpy(zero_copy_only=False)


_MISSING = ValueProblem(RejectCode.MISSING_VALUE, "Fill in the id of the line, or remove the column of ids.")
_TOO_LONG = ValueProblem(RejectCode.BAD_TEXT, f"Shorten the id to {MAX_ID_LENGTH} characters.")
_BAD_CHARACTERS = ValueProblem(RejectCode.BAD_TEXT, "Remove the control characters and invisible marks from the id.")
