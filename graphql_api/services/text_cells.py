"""Cells of plain text in columns, for names in any writing."""

import unicodedata

from rich.cells import cell_len, set_cell_size

from graphql_api.services.plain_text import TURNING

RIGHT_TO_LEFT = frozenset({"R", "AL", "AN"})
# Keep what is written from right to left in its place, and the line from left to right; all take no room.
ISOLATE, POP, MARK = "\u2068", "\u2069", "\u200e"
ELLIPSIS = "…"
# What spreadsheets take for a formula when a cell begins with it.
FORMULA = frozenset("=+-@")
HIDDEN = frozenset({"Cc", "Cs", "Zl", "Zp"})


def plain(text: str) -> str:
    """The text on one line, without what controls how it or its surroundings are shown."""
    return " ".join(
        "".join(
            " " if unicodedata.category(character) in HIDDEN else character
            for character in text
            if character not in TURNING
        ).split()
    )


def cell(text: str, width: int) -> str:
    """The text in exactly `width` columns of a terminal; what is too long ends in "…"."""
    line = plain(text)
    if cell_len(line) > width:
        line = set_cell_size(line, width - 1).rstrip() + ELLIPSIS
    room = " " * (width - cell_len(line))
    return f"{_isolated(line)}{room}"


def number_cell(number: int, width: int) -> str:
    """A number at the right of its column, which is widened when it does not fit."""
    return f"{number:,}".rjust(width)


def line(*cells: str) -> str:
    """Cells side by side; never turned round by names that are written from right to left."""
    joined = "  ".join(cells).rstrip()
    return f"{MARK}{joined}\n" if ISOLATE in joined else f"{joined}\n"


def _isolated(text: str) -> str:
    is_turning = any(unicodedata.bidirectional(character) in RIGHT_TO_LEFT for character in text)
    return f"{ISOLATE}{text}{POP}" if is_turning else text


def harmless(text: str) -> str:
    """The text as a cell of CSV that no spreadsheet runs as a formula."""
    begins = unicodedata.normalize("NFKC", text.lstrip()[:1])
    return f"'{text}" if begins in FORMULA or text[:1] in {"\t", "\r", "\n"} else text
