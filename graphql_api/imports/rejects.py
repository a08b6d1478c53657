"""What an import refuses: rows (`Reject`) and whole files (`FileProblem`), each with a code and advice."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Self

MAX_VALUE_LENGTH = 200


class DocumentedCode(StrEnum):
    """A code that carries the sentence which explains it to users."""

    documentation: str

    def __new__(cls, value: str, documentation: str) -> Self:
        """Keep the sentence beside the code."""
        member = str.__new__(cls, value)
        member._value_ = value
        member.documentation = documentation
        return member


class RejectCode(DocumentedCode):
    """Why one record was not imported."""

    WRONG_FIELD_COUNT = (
        "WRONG_FIELD_COUNT",
        "The record has more or fewer fields than the header has columns.",
    )
    REPEATED_HEADER = "REPEATED_HEADER", "The record is the header line once more."
    BAD_QUOTES = "BAD_QUOTES", "A quoted field is never closed, or text follows its closing quote."
    MISSING_VALUE = "MISSING_VALUE", "A field that this row needs is empty."
    BAD_DATE = "BAD_DATE", "The text is no date, or the day does not exist."
    BAD_NUMBER = "BAD_NUMBER", "The text is no number of the kind this column holds."
    OUT_OF_RANGE = "OUT_OF_RANGE", "The value is readable but outside of the limits of its column."
    BAD_TEXT = "BAD_TEXT", "The text is no UTF-8, holds control characters or is too long."
    ID_REPEATED = "ID_REPEATED", "An earlier line of the file has the same id and other content."
    LINE_CONFLICT = "LINE_CONFLICT", "A line with this id was imported before with other content."
    INVOICE_CONFLICT = "INVOICE_CONFLICT", "The invoice exists with another store or date."
    INVOICE_NOT_IMPORTED = "INVOICE_NOT_IMPORTED", "The invoice was written by hand; imports do not touch it."
    LINE_LOCKED = "LINE_LOCKED", "The line took bottles from stock or was credited, so it cannot be replaced."
    INSUFFICIENT_STOCK = "INSUFFICIENT_STOCK", "The store has not enough bottles for this sale."
    UNKNOWN_STORE = "UNKNOWN_STORE", "No store has this number."
    UNKNOWN_PRODUCT = "UNKNOWN_PRODUCT", "No product has this item number."
    PRODUCT_CONFLICT = "PRODUCT_CONFLICT", "The product exists with other content."
    STORE_CONFLICT = "STORE_CONFLICT", "The store exists with other content."
    PURCHASE_CONFLICT = "PURCHASE_CONFLICT", "The purchase is known with another store, date or vendor."
    PURCHASE_NOT_IMPORTED = "PURCHASE_NOT_IMPORTED", "The purchase was written by hand; imports do not touch it."
    STOCK_CHANGED = "STOCK_CHANGED", "The store has another number of bottles than the row expects."


class FileProblemCode(DocumentedCode):
    """Why a whole file was refused."""

    NOT_A_CSV = "NOT_A_CSV", "The content is no delimited text, for example a picture or a workbook."
    EMPTY_FILE = "EMPTY_FILE", "The file has no content."
    NO_ROWS = "NO_ROWS", "The file has a header and nothing below it."
    UNKNOWN_HEADER = "UNKNOWN_HEADER", "A column has a name that means nothing to this import."
    MISSING_HEADER = "MISSING_HEADER", "A column that every file of this kind needs is absent."
    DUPLICATE_HEADER = "DUPLICATE_HEADER", "Two columns mean the same field."
    TOO_MANY_COLUMNS = "TOO_MANY_COLUMNS", "The header is too wide or too long."
    WRONG_ENCODING = "WRONG_ENCODING", "The text is not UTF-8."
    TOO_LARGE = "TOO_LARGE", "The unpacked content exceeds the limit."
    BROKEN_ARCHIVE = "BROKEN_ARCHIVE", "The gzip or xz archive is cut off or damaged."
    LINE_TOO_LONG = "LINE_TOO_LONG", "A line goes on for more than a mebibyte."
    BAD_MAPPING = "BAD_MAPPING", "The column mapping names a header or a field that does not exist."
    FILE_CHANGED = "FILE_CHANGED", "The file is shorter than the place where its import is to go on."
    FILE_MISSING = "FILE_MISSING", "The stored file is gone."
    REVERT_BLOCKED = "REVERT_BLOCKED", "What the import wrote has been used or changed since, so it stays."
    INTERNAL_ERROR = "INTERNAL_ERROR", "The import failed again and again for a reason that is not in the file."


@dataclass(frozen=True, slots=True)
class Reject:
    """One record that was not imported, with everything needed to correct it.

    `line` is the physical line (from 1) of the unpacked file on which the record starts, `record` its number
    among the data records (from 1), `column` the header of the offending column as the file spells it (None
    when the whole record is at fault), `value` the offending text cut to 200 characters, `fields` the
    original fields.
    """

    line: int
    record: int
    column: str | None
    code: RejectCode
    value: str
    hint: str
    fields: list[str]

    def __post_init__(self) -> None:
        """Keep only the start of a long value."""
        object.__setattr__(self, "value", self.value[:MAX_VALUE_LENGTH])


class FileProblem(Exception):  # noqa: N818 - a finding about the file, not a fault of the program
    """The file as a whole cannot be read; `hint` says what to do about it."""

    def __init__(
        self,
        code: FileProblemCode,
        message: str,
        hint: str,
        *,
        line: int | None = None,
        column: str | None = None,
    ) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.hint = hint
        self.line = line
        self.column = column
