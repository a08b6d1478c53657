"""The tables of docs/imports.md and docs/errors.md, made from the code."""

from collections.abc import Iterable

from graphql_api.imports.layout import Column, Layout
from graphql_api.imports.rejects import DocumentedCode


def columns_table(layout: Layout) -> list[str]:
    """Every column a file may have; the first spelling is the one messages show."""
    rows = [
        f"| {column.spellings[0]} | {_need(layout, column)} | "
        f"`{column.field.value}`{''.join(f', {other}' for other in column.spellings[1:])} |"
        for column in layout.columns
    ]
    return ["| column | needed | also written |", "|---|---|---|", *rows]


def _need(layout: Layout, column: Column) -> str:
    if column.is_required:
        return "yes"
    return "one of the two" if column.field in layout.one_required else ""


def codes_table(codes: Iterable[DocumentedCode]) -> list[str]:
    """Codes and the sentence that explains each."""
    return ["| code | meaning |", "|---|---|", *(f"| `{code.value}` | {code.documentation} |" for code in codes)]
