"""Where each record of delimited text begins and ends, strict about quotes and able to go on after a bad one.

A field is either quoted (`"` at its start, `""` for a quote inside, the delimiter or line end right behind
the closing quote) or bare (quotes inside are plain characters). A record that breaks these rules, or does not
end within `MAX_RECORD_BYTES`, counts as broken and ends with its first physical line, so an unclosed quote
costs one line and not the rest of the file. What a record is depends only on the bytes from its start on,
never on how the text was cut into blocks.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cache
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

MAX_RECORD_BYTES = 1 << 20
NEWLINE, RETURN, QUOTE = b'\n\r"'
PER_RECORD = ("starts", "ends", "lines", "is_broken", "is_plain")

Positions = NDArray[np.int64]


class EndlessLineError(Exception):
    """The first line of the text is longer than any record may be."""


@dataclass(frozen=True, slots=True)
class RecordBounds:
    """The complete records of a text, blank lines left out.

    `starts`, `ends` (behind the line end), `lines` (physical line, from 0), `is_broken` (bad quotes) and
    `is_plain` (every quote opens or closes a field, so that any CSV parser reads the record alike) have one
    entry per record. `length` and `line_count` cover all that was consumed.
    """

    starts: Positions
    ends: Positions
    lines: Positions
    is_broken: NDArray[np.bool_]
    is_plain: NDArray[np.bool_]
    length: int
    line_count: int


def find_records(data: bytes, delimiter: str, *, at_end: bool) -> RecordBounds:
    """The complete records at the start of `data`; with `at_end` the text must end with a line end.

    Raises:
        EndlessLineError: the first line exceeds `MAX_RECORD_BYTES`.
    """
    bounds = _find_regular(data, delimiter) or _find_any(data, delimiter, at_end=at_end)
    lengths = bounds.ends - bounds.starts
    returns = np.frombuffer(data, np.uint8)[bounds.starts] == RETURN
    is_blank = (lengths == len("\n")) | ((lengths == len("\r\n")) & returns)
    return _take(bounds, ~is_blank) if is_blank.any() else bounds


def _take(bounds: RecordBounds, chosen: NDArray[np.bool_]) -> RecordBounds:
    columns = {name: getattr(bounds, name)[chosen] for name in PER_RECORD}
    return replace(bounds, **columns)


def _find_regular(data: bytes, delimiter: str) -> RecordBounds | None:
    """All records at once, or None when a quote or a length asks for the careful way."""
    characters = np.frombuffer(data, np.uint8)
    newlines = np.flatnonzero(characters == NEWLINE)
    quotes = np.flatnonzero(characters == QUOTE) if b'"' in data else newlines[:0]
    is_outside = np.searchsorted(quotes, newlines) % 2 == 0
    ends = newlines[is_outside] + 1
    if not len(ends):
        return None
    length = int(ends[-1])
    starts = np.concatenate(([0], ends[:-1]))
    longest = max(int((ends - starts).max()), len(data) - length)
    quotes = quotes[: np.searchsorted(quotes, length)]
    if longest >= MAX_RECORD_BYTES or not _are_strict(characters, quotes, ord(delimiter)):
        return None
    lines = np.searchsorted(newlines, starts) if len(quotes) else np.arange(len(starts))
    line_count = int(np.searchsorted(newlines, length))
    is_broken = np.zeros(len(starts), np.bool_)
    return RecordBounds(starts, ends, lines, is_broken, ~is_broken, length, line_count)


def _are_strict(characters: NDArray[np.uint8], quotes: Positions, delimiter: int) -> bool:
    """Whether opening quotes start a field and closing quotes end one (`""` closes and opens again)."""
    if not len(quotes):
        return True
    openers, closers = quotes[0::2], quotes[1::2]
    before, after = characters[openers - 1], characters[closers + 1]
    opens_well = (before == delimiter) | (before == NEWLINE) | (before == QUOTE) | (openers == 0)
    closes_well = (after == delimiter) | (after == NEWLINE) | (after == RETURN) | (after == QUOTE)
    ends_line = characters[closers[after == RETURN] + 2] == NEWLINE
    return bool(opens_well.all() and closes_well.all() and ends_line.all())


def _find_any(data: bytes, delimiter: str, *, at_end: bool) -> RecordBounds:
    """Record by record, for text with quotes that need the whole grammar."""
    grammar = _grammar(delimiter)
    ends: list[int] = []
    odd: dict[int, bool] = {}  # index of a record that is not plain → whether it is broken
    position = 0
    while position < len(data):
        match = grammar.plain.match(data, position, position + MAX_RECORD_BYTES)
        if match:
            position = match.end()
        else:
            end = _end_of_odd_record(data, position, grammar, at_end=at_end)
            if end is None:
                break
            odd[len(ends)] = end.is_broken
            position = end.position
        ends.append(position)
    return _bounds(data, np.array(ends, np.int64), odd)


def _bounds(data: bytes, ends: Positions, odd: Mapping[int, bool]) -> RecordBounds:
    """Records that follow each other without a gap."""
    starts = np.concatenate((np.zeros(1, np.int64), ends))[:-1]
    length = int(ends[-1]) if len(ends) else 0
    newlines = np.flatnonzero(np.frombuffer(data, np.uint8, length) == NEWLINE)
    is_broken = np.zeros(len(ends), np.bool_)
    is_plain = np.ones(len(ends), np.bool_)
    is_broken[[index for index, broken in odd.items() if broken]] = True
    is_plain[list(odd)] = False
    lines = np.searchsorted(newlines, starts)
    return RecordBounds(starts, ends, lines, is_broken, is_plain, length, len(newlines))


class _End(NamedTuple):
    position: int
    is_broken: bool


def _end_of_odd_record(data: bytes, start: int, grammar: "_Grammar", *, at_end: bool) -> _End | None:
    """Behind the line end of a record that is not plain; None when only more text can tell."""
    limit = min(len(data), start + MAX_RECORD_BYTES)
    if match := grammar.complete.match(data, start, limit):
        return _End(match.end(), is_broken=False)
    more_may_come = not at_end and limit - start < MAX_RECORD_BYTES
    if more_may_come and grammar.unfinished.match(data, start, limit):
        return None
    line_end = data.find(b"\n", start, limit) + 1
    if line_end:
        return _End(line_end, is_broken=True)
    if start == 0 and len(data) >= MAX_RECORD_BYTES:
        raise EndlessLineError
    return None


class _Grammar(NamedTuple):
    """Patterns of a record; they never backtrack."""

    plain: re.Pattern[bytes]  # complete, without quotes inside of bare fields
    complete: re.Pattern[bytes]
    unfinished: re.Pattern[bytes]  # cut off by the end of the text


@cache
def _grammar(delimiter: str) -> _Grammar:
    between = re.escape(delimiter.encode())
    opened = rb'"[^"]*+(?:""[^"]*+)*+'
    tidy = rb'[^"' + between + rb"\n]*+"
    bare = rb'(?!")[^' + between + rb"\n]*+"
    many = rb"(?:(?:%b\"|%b)%b)*+"
    end = rb'(?:%b"\r?|%b)\n'
    fields = many % (opened, bare, between)
    return _Grammar(
        plain=re.compile(many % (opened, tidy, between) + end % (opened, tidy)),
        complete=re.compile(fields + end % (opened, bare)),
        unfinished=re.compile(fields + rb'(?:%b(?:"\r?)?|%b)\Z' % (opened, bare)),
    )
