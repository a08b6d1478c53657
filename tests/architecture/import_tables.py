"""The tables of docs/imports.md and docs/errors.md, made from the code."""

from collections.abc import Iterable

from graphql_api.imports.columns import ONE_REQUIRED, REQUIRED, SPELLINGS, Field
from graphql_api.imports.rejects import DocumentedCode


def columns_table() -> list[str]:
    """Every column a file may have; the first spelling is the one messages show."""
    rows = [
        f"| {spellings[0]} | {_need(field)} | `{field.value}`{''.join(f', {other}' for other in spellings[1:])} |"
        for field, spellings in SPELLINGS.items()
    ]
    return ["| column | needed | also written |", "|---|---|---|", *rows]


def _need(field: Field) -> str:
    if field in REQUIRED:
        return "yes"
    return "one of the two" if field in ONE_REQUIRED else ""


def codes_table(codes: Iterable[DocumentedCode]) -> list[str]:
    """Codes and the sentence that explains each."""
    return ["| code | meaning |", "|---|---|", *(f"| `{code.value}` | {code.documentation} |" for code in codes)]
