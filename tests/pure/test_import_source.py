import gzip
import io
import lzma
import tracemalloc

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from graphql_api.imports.rejects import FileProblem, FileProblemCode
from graphql_api.imports.source import Checkpoint, TextSource

HEADER = b"first,second\n"


class Pipe(io.RawIOBase):
    """A file that cannot seek and hands out a few bytes at a time."""

    def __init__(self, content: bytes) -> None:
        super().__init__()
        self._content = io.BytesIO(content)

    def readable(self) -> bool:
        return True

    def read(self, size: int = -1) -> bytes:
        return self._content.read(min(size, 3))


def read_all(content: bytes, limit: int = 1 << 30) -> bytes:
    source = TextSource(io.BytesIO(content), unpacked_limit=limit)
    return b"".join(block.data for block in source.blocks())


def problem_of(content: bytes, limit: int = 1 << 30) -> FileProblem:
    with pytest.raises(FileProblem) as problem:
        read_all(content, limit)
    assert problem.value.hint
    return problem.value


ROWS = b"".join(b"%d,%d\n" % (number, number * number) for number in range(2000))
PLAIN = HEADER + ROWS


@pytest.mark.parametrize(
    "content",
    [
        PLAIN,
        gzip.compress(PLAIN, mtime=0),
        lzma.compress(PLAIN),
        gzip.compress(PLAIN[:50], mtime=0) + gzip.compress(PLAIN[50:], mtime=0),
        lzma.compress(PLAIN[:50]) + lzma.compress(PLAIN[50:]),
        gzip.compress(PLAIN, mtime=0) + bytes(512),
        lzma.compress(PLAIN) + bytes(4),
    ],
    ids=["plain", "gzip", "xz", "two gzip members", "two xz streams", "padded gzip", "padded xz"],
)
def test_plain_and_packed_files_read_alike(content: bytes) -> None:
    assert read_all(content) == ROWS


@pytest.mark.parametrize(
    "content", [PLAIN, gzip.compress(PLAIN, mtime=0), lzma.compress(PLAIN)], ids=["plain", "gzip", "xz"]
)
def test_a_pipe_is_enough(content: bytes) -> None:
    source = TextSource(Pipe(content))  # type: ignore[arg-type]  # a raw stream reads like a BinaryIO

    assert b"".join(block.data for block in source.blocks()) == ROWS
    assert source.bytes_read == len(content)


@pytest.mark.parametrize("pack", [gzip.compress, lzma.compress])
@pytest.mark.parametrize("share", [0.1, 0.5, 0.99])
def test_a_cut_archive_is_broken(pack: "type[bytes]", share: float) -> None:
    packed = pack(PLAIN)

    assert problem_of(packed[: int(len(packed) * share)]).code is FileProblemCode.BROKEN_ARCHIVE


@pytest.mark.parametrize("pack", [gzip.compress, lzma.compress])
def test_a_damaged_archive_is_broken(pack: "type[bytes]") -> None:
    packed = bytearray(pack(PLAIN))
    packed[len(packed) // 2] ^= 0xFF

    assert problem_of(bytes(packed)).code is FileProblemCode.BROKEN_ARCHIVE


@pytest.mark.parametrize("pack", [gzip.compress, lzma.compress])
def test_garbage_behind_an_archive_is_broken(pack: "type[bytes]") -> None:
    assert problem_of(pack(PLAIN) + b"garbage").code is FileProblemCode.BROKEN_ARCHIVE


@pytest.mark.parametrize("pack", [gzip.compress, lzma.compress])
def test_an_archive_bomb_stops_at_the_limit_and_costs_no_memory(pack: "type[bytes]") -> None:
    bomb = pack(HEADER + b"1,2\n" * (8 << 20))
    tracemalloc.start()

    problem = problem_of(bomb, limit=1 << 20)

    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert problem.code is FileProblemCode.TOO_LARGE
    assert peak < 16 << 20


def test_a_file_as_large_as_the_limit_is_read() -> None:
    assert read_all(PLAIN, limit=len(PLAIN)) == ROWS
    assert problem_of(PLAIN, limit=len(PLAIN) - 1).code is FileProblemCode.TOO_LARGE


@pytest.mark.parametrize(
    ("content", "code"),
    [
        (b"", FileProblemCode.EMPTY_FILE),
        (b"\n\r\n", FileProblemCode.EMPTY_FILE),
        (b"\xef\xbb\xbf", FileProblemCode.EMPTY_FILE),
        (gzip.compress(b"", mtime=0), FileProblemCode.EMPTY_FILE),
        (HEADER, FileProblemCode.NO_ROWS),
        (HEADER.rstrip(), FileProblemCode.NO_ROWS),
        (HEADER + b"\n\r\n\n", FileProblemCode.NO_ROWS),
        ("first,second\n1,2\n".encode("utf-16"), FileProblemCode.WRONG_ENCODING),
        ("first,second\n1,2\n".encode("utf-16-le"), FileProblemCode.WRONG_ENCODING),
        ("first,second\n1,2\n".encode("utf-16-be"), FileProblemCode.WRONG_ENCODING),
        ("first,second\n1,2\n".encode("utf-32"), FileProblemCode.WRONG_ENCODING),
        ("stra\u00dfe,ort\n1,2\n".encode("latin-1"), FileProblemCode.WRONG_ENCODING),
        (b"\x89PNG\r\n\x1a\n" + bytes(range(256)), FileProblemCode.NOT_A_CSV),
        (b"PK\x03\x04" + bytes(100), FileProblemCode.NOT_A_CSV),
        (b"%PDF-1.7\n1,2\n", FileProblemCode.NOT_A_CSV),
        (b"<!DOCTYPE html>\n<p>a,b</p>", FileProblemCode.NOT_A_CSV),
        (b'[{"a": 1, "b": 2}]\n', FileProblemCode.NOT_A_CSV),
        (b"a,b\x07\n1,2\n", FileProblemCode.NOT_A_CSV),
        (b"a\x00,b\n1,2\n", FileProblemCode.NOT_A_CSV),
        (b"first,second\r1,2\r", FileProblemCode.NOT_A_CSV),
        (b"first,second\r" + b"1,2\r" * 20_000, FileProblemCode.NOT_A_CSV),
        (b"just one column\n1\n", FileProblemCode.NOT_A_CSV),
        (gzip.compress(gzip.compress(PLAIN, mtime=0), mtime=0), FileProblemCode.NOT_A_CSV),
        (b"," * 500 + b"\n", FileProblemCode.TOO_MANY_COLUMNS),
        (b"," * 300_000 + b"\n", FileProblemCode.TOO_MANY_COLUMNS),
        (b"a" * 70_000 + b",b\n1,2\n", FileProblemCode.TOO_MANY_COLUMNS),
    ],
)
def test_what_is_no_table_of_text_is_named_for_what_it_is(content: bytes, code: FileProblemCode) -> None:
    assert problem_of(content).code is code


@pytest.mark.parametrize(
    ("header", "delimiter"),
    [
        (b"a,b;c,d", ","),
        (b"a;b;c,d", ";"),
        (b"a\tb", "\t"),
        (b"a|b", "|"),
        (b'"a;b;c;d","e"', ","),
        (b'"a, b";"c, d, e"', ";"),
    ],
)
def test_the_delimiter_is_found_outside_of_quotes(header: bytes, delimiter: str) -> None:
    assert TextSource(io.BytesIO(header + b"\n")).delimiter == delimiter


def test_blank_lines_and_a_mark_before_the_header_count_as_lines() -> None:
    source = TextSource(io.BytesIO(b"\xef\xbb\xbf\r\n\nfirst,second\r\n1,2\r\n"))

    [block] = source.blocks()

    assert source.header == ["first", "second"]
    assert (block.line_of(0), block.record_of(0)) == (4, 1)


def test_blank_lines_between_rows_are_lines_but_no_records() -> None:
    [block] = TextSource(io.BytesIO(HEADER + b"1,2\n\n\r\n3,4\n")).blocks()

    assert [(block.line_of(index), block.record_of(index)) for index in range(len(block))] == [(2, 1), (5, 2)]


def test_an_unclosed_quote_costs_one_line() -> None:
    rows = b'1,"open\n2,3\n4,"5"\n6,7\n'

    [block] = TextSource(io.BytesIO(HEADER + rows)).blocks()

    assert [block.bytes_of(index) for index in range(len(block))] == rows.splitlines(keepends=True)
    assert block.bounds.is_broken.tolist() == [True, False, False, False]


def test_an_unclosed_quote_does_not_swallow_a_large_file() -> None:
    rows = b"1,2\n" * 600_000
    source = TextSource(io.BytesIO(HEADER + b'1,"open\n' + rows), block_bytes=1 << 16)

    broken = lines = 0
    for block in source.blocks():
        broken += int(block.bounds.is_broken.sum())
        lines += len(block)

    assert (broken, lines) == (1, 600_001)


def test_a_line_without_end_is_named_and_the_rows_before_it_are_read() -> None:
    source = TextSource(io.BytesIO(HEADER + b"1,2\n3,4\n" + b"x" * (2 << 20)))
    blocks = source.blocks()

    assert next(blocks).data == b"1,2\n3,4\n"
    with pytest.raises(FileProblem) as problem:
        next(blocks)
    assert problem.value.code is FileProblemCode.LINE_TOO_LONG
    assert problem.value.line == 4


def test_a_quoted_field_of_many_lines_is_one_record() -> None:
    field = b'"' + b"line\n" * 10_000 + b'"'

    blocks = list(TextSource(io.BytesIO(HEADER + b"1," + field + b"\n2,3\n"), block_bytes=100).blocks())

    assert sum(len(block) for block in blocks) == 2
    assert blocks[-1].line_of(len(blocks[-1]) - 1) == 2 + 10_000 + 1


def test_a_checkpoint_behind_the_end_means_another_file() -> None:
    source = TextSource(io.BytesIO(HEADER + b"1,2\n"))

    with pytest.raises(FileProblem) as problem:
        list(source.blocks(Checkpoint(1000, 100, 100)))
    assert problem.value.code is FileProblemCode.FILE_CHANGED


def test_a_checkpoint_at_the_end_is_followed_by_nothing() -> None:
    content = HEADER + b"1,2\n"
    [block] = TextSource(io.BytesIO(content)).blocks()

    assert list(TextSource(io.BytesIO(content)).blocks(block.next)) == []


TEXT = st.lists(st.sampled_from([b"a", b",", b'"', b"\n", b"\r", b'""', b"\r\n", b'","', b"\n\n"]), max_size=40).map(
    b"".join
)


def records_of(content: bytes, block_bytes: int, start: Checkpoint | None = None) -> list[tuple[int, int, bytes, bool]]:
    source = TextSource(io.BytesIO(content), block_bytes=block_bytes)
    return [
        (block.line_of(index), block.record_of(index), block.bytes_of(index), bool(block.bounds.is_broken[index]))
        for block in source.blocks(start)
        for index in range(len(block))
    ]


@given(TEXT, st.integers(1, 60))
@settings(deadline=None)
def test_records_do_not_depend_on_the_size_of_blocks(rows: bytes, block_bytes: int) -> None:
    content = HEADER + b"1,2\n" + rows

    assert records_of(content, block_bytes) == records_of(content, 1 << 20)


@given(TEXT, st.integers(1, 60), st.integers(1, 60))
@settings(deadline=None)
def test_records_go_on_from_any_block(rows: bytes, block_bytes: int, other_block_bytes: int) -> None:
    content = HEADER + b"1,2\n" + rows
    whole = records_of(content, 1 << 20)

    for block in TextSource(io.BytesIO(content), block_bytes=block_bytes).blocks():
        rest = records_of(content, other_block_bytes, block.next)
        assert rest == whole[block.next.record - 1 :]


@given(TEXT)
@settings(deadline=None)
def test_every_byte_belongs_to_a_record_or_a_blank_line(rows: bytes) -> None:
    content = HEADER + b"1,2\n" + rows

    records = records_of(content, 1 << 20)

    assert sum(len(text) for _, _, text, _ in records) <= len(content) - len(HEADER) + 1
    assert b"".join(text for _, _, text, _ in records).replace(b"\n", b"").replace(b"\r", b"") == (
        b"1,2" + rows
    ).replace(b"\n", b"").replace(b"\r", b"")
