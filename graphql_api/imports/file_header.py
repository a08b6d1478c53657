"""The first line of a delimited text file: is it text at all, in which encoding, with which delimiter."""

import csv
import re
from dataclasses import dataclass

from graphql_api.imports.archive import UnpackedFile
from graphql_api.imports.records import EndlessLineError, find_records
from graphql_api.imports.rejects import FileProblem, FileProblemCode

MAX_HEADER_BYTES = 64 << 10
MAX_COLUMNS = 500
DELIMITERS = ",;\t|"
SEPARATOR_LINE = re.compile(rb'"?sep=([,;\t|])"?\r?\n', re.IGNORECASE)  # Excel's way to name the delimiter
UTF8_MARK = b"\xef\xbb\xbf"
WIDE_MARKS = (b"\xff\xfe", b"\xfe\xff", b"\x00\x00\xfe\xff")
WIDE_SAMPLE = 1000

FORMATS = {
    b"\x89PNG": "a PNG picture",
    b"\xff\xd8\xff": "a JPEG picture",
    b"GIF8": "a GIF picture",
    b"%PDF": "a PDF document",
    b"PK\x03\x04": "a ZIP archive or an Excel workbook",
    b"\xd0\xcf\x11\xe0": "an old Excel workbook",
    b"\x28\xb5\x2f\xfd": "a Zstandard archive",
    b"BZh": "a bzip2 archive",
    b"7z\xbc\xaf": "a 7z archive",
    b"Rar!": "a RAR archive",
    b"PAR1": "a Parquet file",
    b"SQLite format 3": "an SQLite database",
    b"\x1f\x8b": "an archive inside of an archive",
    b"\xfd7zXZ": "an archive inside of an archive",
}
LONE_RETURNS = "The lines end with a lone carriage return, as old Macintosh programs wrote them."
CSV_HINT = "Send delimited text (CSV), plain or packed with gzip or xz."
RETURNS_HINT = "Save it with line feeds: as CSV in a program of today, or tr '\\r' '\\n' on the command line."
NO_HEADER_HINT = "The first line must hold the names of the columns; delete titles above it."
MARKUP = {b"<": "a web page or XML", b"{": "JSON", b"[": "JSON"}


@dataclass(frozen=True, slots=True)
class FileHeader:
    """The header's fields, the delimiter between them, and the bytes and lines up to the first record."""

    fields: list[str]
    delimiter: str
    length: int
    line_count: int


def read_header(file: UnpackedFile) -> FileHeader:
    """Read the header and leave the file at the first byte behind it.

    Raises:
        FileProblem: EMPTY_FILE, NOT_A_CSV, WRONG_ENCODING or TOO_MANY_COLUMNS.
    """
    head = file.read(MAX_HEADER_BYTES)
    _refuse_other_formats(head)
    mark = len(UTF8_MARK) if head.startswith(UTF8_MARK) else 0
    text = head[mark:].lstrip(b"\r\n")
    delimiters = DELIMITERS
    if separator := SEPARATOR_LINE.match(text):
        delimiters, text = separator[1].decode(), text[separator.end() :].lstrip(b"\r\n")
    if not text.strip():
        raise FileProblem(FileProblemCode.EMPTY_FILE, "The file has no content.", "Send a file with a header and rows.")
    before = len(head) - len(text)
    delimiter, length = _find_delimiter(text, delimiters, at_end=len(head) < MAX_HEADER_BYTES)
    fields = _split_header(text[:length], delimiter)
    end = min(before + length, len(head))
    file.push_back(head[end:])
    return FileHeader(fields, delimiter, end, head.count(b"\n", 0, end))


def _refuse_other_formats(head: bytes) -> None:
    for magic, name in FORMATS.items():
        if head.startswith(magic):
            raise _not_a_csv(f"The file is {name}.")
    if head.startswith(WIDE_MARKS) or _looks_wide(head[:WIDE_SAMPLE]):
        raise _wrong_encoding("The text is UTF-16 or UTF-32.")
    for start, name in MARKUP.items():
        if head.removeprefix(UTF8_MARK).lstrip().startswith(start):
            raise _not_a_csv(f"The file looks like {name}.")


def _looks_wide(sample: bytes) -> bool:
    """Latin text in UTF-16 without a mark has a NUL in every other byte."""
    halves = sample[0::2], sample[1::2]
    return any(len(half) > 1 and half.count(0) > len(half) * 0.9 for half in halves) and sample.strip(b"\0") != b""


def _find_delimiter(text: bytes, delimiters: str, *, at_end: bool) -> tuple[str, int]:
    """The delimiter that cuts the header into the most fields, and where the header ends."""
    counts = {delimiter: _header_length(text, delimiter, at_end=at_end) for delimiter in delimiters}
    found = {delimiter: length for delimiter, length in counts.items() if length}
    if not found:
        raise _endless_header(text)
    best = max(found, key=lambda delimiter: _count_outside_quotes(text[: found[delimiter]], delimiter))
    if _count_outside_quotes(text[: found[best]], best) == 0:
        raise _not_a_csv("The first line has no comma, semicolon, tab or bar between columns.", NO_HEADER_HINT)
    return best, found[best]


def _header_length(text: bytes, delimiter: str, *, at_end: bool) -> int:
    """Length of the first record, 0 when it does not end within the text."""
    first_end = text.find(b"\n") + 1
    if not first_end and not at_end:
        return 0
    try:
        bounds = find_records(text if text.endswith(b"\n") else text + b"\n", delimiter, at_end=True)
    except EndlessLineError:
        return 0
    return int(bounds.ends[0])


def _count_outside_quotes(header: bytes, delimiter: str) -> int:
    """Delimiters in a header, counted without building its fields."""
    return sum(part.count(delimiter.encode()) for part in header.split(b'"')[0::2])


def _endless_header(text: bytes) -> FileProblem:
    if b"\r" in text:
        return _not_a_csv(LONE_RETURNS, RETURNS_HINT)
    if b"\0" in text:
        return _not_a_csv("The file holds binary data.")
    return _too_many_columns(f"The header is longer than {MAX_HEADER_BYTES:,} bytes.")


def _split_header(header: bytes, delimiter: str) -> list[str]:
    columns = _count_outside_quotes(header, delimiter) + 1
    if columns > MAX_COLUMNS:
        raise _too_many_columns(f"The header has {columns:,} columns; at most {MAX_COLUMNS} are read.")
    if any(byte < ord(" ") and byte not in b"\t\r\n" for byte in header):
        raise _not_a_csv("The file holds binary data.")
    if b"\r" in header.replace(b"\r\n", b""):
        raise _not_a_csv(LONE_RETURNS, RETURNS_HINT)
    try:
        text = header.decode()
    except UnicodeDecodeError as error:
        raise _wrong_encoding("The header is not UTF-8.") from error
    try:
        return next(csv.reader([text.rstrip("\r\n")], delimiter=delimiter))
    except csv.Error as error:
        raise _not_a_csv(f"The header cannot be read: {error}.") from error


def _not_a_csv(message: str, hint: str = CSV_HINT) -> FileProblem:
    return FileProblem(FileProblemCode.NOT_A_CSV, message, hint, line=1)


def _wrong_encoding(message: str) -> FileProblem:
    return FileProblem(
        FileProblemCode.WRONG_ENCODING,
        message,
        'Save it as UTF-8: "CSV UTF-8" in Excel, or iconv -f FROM -t UTF-8 on the command line.',
        line=1,
    )


def _too_many_columns(message: str) -> FileProblem:
    return FileProblem(
        FileProblemCode.TOO_MANY_COLUMNS, message, "Keep only the columns of the sale, one per field.", line=1
    )
