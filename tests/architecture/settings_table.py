"""The table of settings as README.md shows it."""

from typing import Any

from pydantic import ByteSize

from graphql_api.config import Settings


def settings_table() -> list[str]:
    """The lines of the table, made from the settings themselves."""
    rows = [
        f"| `{name.upper()}` | {_shown(field.default)} | {field.description} |"
        for name, field in Settings.model_fields.items()
    ]
    return ["| variable | default | meaning |", "|---|---|---|", *rows]


def _shown(default: Any) -> str:
    if default is None or default == ():
        return ""
    if isinstance(default, ByteSize):
        return f"`{default.human_readable(separator=' ')}`".replace(".0 ", " ")
    return f"`{str(default).lower() if isinstance(default, bool) else default}`"
