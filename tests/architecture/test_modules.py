"""What keeps modules small, named and honest."""

import ast
import io
import re
import tokenize
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.architecture.repository import ROOT, python_files, shown

SHIPPED = ("graphql_api", "benchmarks", "client_examples")
LONGEST_MODULE = 400
LONGEST_TEST_MODULE = 600
LONGEST_FUNCTION = 50
VAGUE = re.compile(r"(^|_)(utils?|helpers?|common|misc|shared|stuff)(_|$)")
# A code in brackets or behind a colon, and then why.
SILENCED = re.compile(r"#\s*(noqa|type:\s*ignore)")
REASONED = re.compile(r"#\s*(noqa: [A-Z]+\d+(, ?[A-Z]+\d+)* - \S.+|type: ignore\[[\w, -]+\]\s+# \S.+)")

Function = ast.FunctionDef | ast.AsyncFunctionDef


def functions(path: Path) -> Iterator[Function]:
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, Function):
            yield node


def line_count(function: Function) -> int:
    """Lines of the body: the arguments of a GraphQL field are a declaration with a description each."""
    last, first = function.body[-1], function.body[0]
    return (last.end_lineno or last.lineno) - first.lineno + 1


@pytest.mark.parametrize(("folders", "longest"), [(SHIPPED, LONGEST_MODULE), (("tests",), LONGEST_TEST_MODULE)])
def test_no_module_is_too_long(folders: tuple[str, ...], longest: int) -> None:
    lengths = {shown(path): len(path.read_text().splitlines()) for path in python_files(*folders)}
    assert lengths
    assert {path: length for path, length in lengths.items() if length > longest} == {}


def test_no_function_is_too_long() -> None:
    lengths = {
        f"{shown(path)}:{function.name}": line_count(function)
        for path in python_files(*SHIPPED, "tests")
        for function in functions(path)
    }
    assert len(lengths) > 100
    assert {name: length for name, length in lengths.items() if length > LONGEST_FUNCTION} == {}


def test_no_module_is_named_for_nothing() -> None:
    names = {shown(path): [*path.parent.parts, path.stem] for path in python_files()}
    assert [path for path, parts in names.items() if any(VAGUE.search(part) for part in parts)] == []


def comments(path: Path) -> Iterator[tuple[int, str]]:
    for token in tokenize.generate_tokens(io.StringIO(path.read_text()).readline):
        if token.type == tokenize.COMMENT:
            yield token.start[0], token.string


def test_every_silenced_rule_has_a_reason() -> None:
    silent = [
        f"{shown(path)}:{line}"
        for path in python_files()
        for line, comment in comments(path)
        if SILENCED.search(comment) and not REASONED.search(comment)
    ]
    assert silent == []


@pytest.mark.parametrize(
    ("comment", "is_reasoned"),
    [
        ("# noqa: S608 - a constant", True),
        ("# noqa: S608, PLR2004 - a constant", True),
        ("# noqa: S608", False),
        ("# noqa", False),
        ("# type: ignore[misc]  # bound at once", True),
        ("# type: ignore[misc]", False),
        ("# type: ignore  # why", False),
    ],
)
def test_what_counts_as_a_reason(comment: str, is_reasoned: bool) -> None:  # noqa: FBT001 - an expected value
    assert bool(REASONED.search(comment)) is is_reasoned


def test_annotations_are_read_at_run_time() -> None:
    deferred = [shown(path) for path in python_files() if "from __future__ import annotations\n" in path.read_text()]
    assert deferred == []


def test_every_folder_of_tests_is_run() -> None:
    """They are listed one by one, for their order."""
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text())
    folders = {shown(path.parent) for path in python_files("tests") if path.name.startswith("test_")}
    assert folders == set(settings["tool"]["pytest"]["ini_options"]["testpaths"])
