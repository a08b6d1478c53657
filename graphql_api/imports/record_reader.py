"""Single records, read with the csv module: exact about what is wrong with them."""

import csv
import re
from dataclasses import dataclass

from graphql_api.imports.columns import ColumnMap
from graphql_api.imports.records import MAX_RECORD_BYTES
from graphql_api.imports.rejects import Reject, RejectCode
from graphql_api.imports.source import RawBlock

UNREADABLE = re.compile(r"[\0\udc80-\udcff]")
RETURN = re.compile(r"\r")

HINT_QUOTES = "Close the quoted field before the next delimiter, and double the quotes inside of it."
HINT_ENCODING = "Save the file as UTF-8; this record holds bytes of another encoding."
HINT_NUL = "Remove the NUL characters from the text."
HINT_RETURN = "Put text with line breaks between quotes; a lone carriage return ends no line."

# The csv module's own limit is 128 KiB a field and holds for the whole process. Records are limited earlier.
csv.field_size_limit(MAX_RECORD_BYTES)


@dataclass(frozen=True)
class RecordReader:
    """Takes single records of one file apart, and says what is wrong with them."""

    columns: ColumnMap
    delimiter: str

    def read(self, block: RawBlock, index: int) -> list[str] | Reject:
        """The fields of a record, or why it cannot be read: BAD_QUOTES, BAD_TEXT or WRONG_FIELD_COUNT."""
        if block.bounds.is_broken[index]:
            return self.reject(block, index, RejectCode.BAD_QUOTES, HINT_QUOTES)
        try:
            text = block.bytes_of(index).decode()
        except UnicodeDecodeError:
            return self._refuse_text(block, index, UNREADABLE, HINT_ENCODING)
        if "\0" in text:
            return self._refuse_text(block, index, UNREADABLE, HINT_NUL)
        try:
            fields = self._split(text)
        except csv.Error:
            return self._refuse_text(block, index, RETURN, HINT_RETURN)
        if len(fields) != len(self.columns.header):
            return self.reject(block, index, RejectCode.WRONG_FIELD_COUNT, self._count_hint(fields))
        return fields

    def fields(self, block: RawBlock, index: int) -> list[str]:
        """The fields of a record as text that is safe to store: other bytes are written in hexadecimal."""
        return [
            UNREADABLE.sub(lambda match: f"\\x{ord(match[0]) & 0xFF:02x}", field)
            for field in self._raw_fields(block, index)
        ]

    def reject(
        self, block: RawBlock, index: int, code: RejectCode, hint: str, *, position: int | None = None
    ) -> Reject:
        """A reject of a record on account of the column at a position (from 0), or of all of it."""
        fields = self.fields(block, index)
        column, value = None, ""
        if position is not None and position < min(len(fields), len(self.columns.header)):
            column, value = self.columns.header[position], fields[position]
        return Reject(block.line_of(index), block.record_of(index), column, code, value, hint, fields)

    def _refuse_text(self, block: RawBlock, index: int, culprit: re.Pattern[str], hint: str) -> Reject:
        """A reject that names the first column in which the culprit stands."""
        fields = self._raw_fields(block, index)
        position = next((position for position, field in enumerate(fields) if culprit.search(field)), None)
        return self.reject(block, index, RejectCode.BAD_TEXT, hint, position=position)

    def _count_hint(self, fields: list[str]) -> str:
        width, count = len(self.columns.header), len(fields)
        advice = f'put fields with a "{self.delimiter}" between quotes'
        if not any(field.strip() for field in fields):
            advice = "it is empty, delete it"
        elif count < width:
            advice = "fill it up"
        elif not any(fields[width:]):
            # Dropping them would be a guess: a bare delimiter in a field looks the same when the last field is empty.
            advice += f'; if every line ends with "{self.delimiter}", let the header line end with it too'
        return f"The header has {width} columns, this record has {count} fields: {advice}."

    def _raw_fields(self, block: RawBlock, index: int) -> list[str]:
        """The fields of any record, as well as they can be told; surrogates stand for undecodable bytes."""
        text = block.bytes_of(index).decode(errors="surrogateescape").rstrip("\r\n")
        try:
            return self._split(text)
        except csv.Error:
            return text.split(self.delimiter)

    def _split(self, text: str) -> list[str]:
        """The fields of one record; `csv.Error` when a lone carriage return stands outside of quotes."""
        return next(csv.reader([text], delimiter=self.delimiter))
