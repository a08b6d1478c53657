"""Which column of a file means what: the mapping of its header onto the fields of a layout."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches

from graphql_api.imports.layout import Field, Layout, normalise
from graphql_api.imports.layouts import SALES
from graphql_api.imports.rejects import FileProblem, FileProblemCode

MAX_LISTED = 10
UNNAMED = re.compile(r"\s*|unnamed:? ?\d+", re.IGNORECASE)
# What a file of rejected rows has beside the original columns; they are passed over when it is imported again.
REASON_HEADERS = ("reject_line", "reject_column", "reject_code", "reject_value", "reject_hint")


@dataclass(frozen=True)
class ColumnMap:
    """The header of one file and the position (from 0) of every field it has, in file order."""

    header: tuple[str, ...]
    positions: Mapping[Field, int]
    layout: Layout = SALES

    def __contains__(self, field: object) -> bool:
        return field in self.positions

    @property
    def read(self) -> Mapping[Field, int]:
        """The positions of the fields that an import makes use of."""
        columns = self.layout.by_field
        return {field: position for field, position in self.positions.items() if columns[field].is_read}

    def name_of(self, field: Field) -> str:
        """The header of the field as the file spells it, or the field's own name when the file lacks it."""
        position = self.positions.get(field)
        return field.value if position is None else self.header[position]


def map_columns(header: Sequence[str], mapping: Mapping[str, str] | None = None, layout: Layout = SALES) -> ColumnMap:
    """Find the field of every column.

    Args:
        header: the header fields as the file has them.
        mapping: overrides: header in the file → field name (any known spelling), or "" to ignore the column.
        layout: the columns that a file of this kind may have.

    Raises:
        FileProblem: BAD_MAPPING, UNKNOWN_HEADER, DUPLICATE_HEADER or MISSING_HEADER; every culprit is named.
    """
    names = tuple(name.strip() for name in header)
    chosen = _read_mapping(names, mapping or {}, layout)
    meanings = [_meaning(name, chosen, layout) for name in names]
    _refuse_unknown(names, meanings, layout)
    fields = [(position, field) for position, field in enumerate(meanings) if isinstance(field, Field)]
    _refuse_duplicates(names, fields)
    positions = {field: position for position, field in fields}
    _refuse_missing(positions, layout)
    return ColumnMap(names, positions, layout)


def suggest(name: str, layout: Layout = SALES) -> str | None:
    """The known spelling nearest to `name`, or None when nothing comes near."""
    nearest = get_close_matches(normalise(name), layout.by_spelling, n=1, cutoff=0.7)
    return layout.shown.get(nearest[0], layout.by_spelling[nearest[0]].value) if nearest else None


def _meaning(name: str, chosen: Mapping[str, Field | None], layout: Layout) -> Field | str | None:
    """A field, None for a column to ignore, or the name itself when it is unknown."""
    if name in chosen:
        return chosen[name]
    if UNNAMED.fullmatch(name) or name in REASON_HEADERS:
        return None
    return layout.by_spelling.get(normalise(name), name)


def _read_mapping(names: Sequence[str], mapping: Mapping[str, str], layout: Layout) -> dict[str, Field | None]:
    chosen: dict[str, Field | None] = {}
    for name, target in mapping.items():
        if name.strip() not in names:
            raise FileProblem(
                FileProblemCode.BAD_MAPPING,
                f'The mapping names the column "{name}", which the file does not have.',
                f"The columns of the file are: {_listed(names)}.",
                line=1,
                column=name,
            )
        chosen[name.strip()] = _read_target(name, target, layout)
    return chosen


def _read_target(name: str, target: str, layout: Layout) -> Field | None:
    if not target.strip():
        return None
    field = layout.by_spelling.get(normalise(target))
    if field is None:
        raise FileProblem(
            FileProblemCode.BAD_MAPPING,
            f'The mapping sends the column "{name}" to "{target}", which is no field of a {layout.name} file.',
            f'Use one of {", ".join(layout.by_field)}, or "" to ignore the column.',
            line=1,
            column=name,
        )
    return field


def _refuse_unknown(names: Sequence[str], meanings: Sequence[Field | str | None], layout: Layout) -> None:
    unknown = [
        position for position, meaning in enumerate(meanings) if meaning is not None and not isinstance(meaning, Field)
    ]
    if not unknown:
        return
    first = names[unknown[0]]
    hint = f'Rename the column, name its field in the mapping, or ignore it with the mapping {{"{first}": ""}}.'
    if not any(isinstance(meaning, Field) for meaning in meanings):
        hint = f"No column is known: is the first line of the file a header, and is this a {layout.name} file?"
    raise FileProblem(
        FileProblemCode.UNKNOWN_HEADER,
        f"Unknown columns: {_listed([_describe_unknown(names, position, layout) for position in unknown])}.",
        hint,
        line=1,
        column=first,
    )


def _describe_unknown(names: Sequence[str], position: int, layout: Layout) -> str:
    suggestion = suggest(names[position], layout)
    meant = f' (did you mean "{suggestion}"?)' if suggestion else ""
    return f'column {position + 1} "{names[position]}"{meant}'


def _refuse_duplicates(names: Sequence[str], fields: Sequence[tuple[int, Field]]) -> None:
    first_position: dict[Field, int] = {}
    for position, field in fields:
        first = first_position.setdefault(field, position)
        if first == position:
            continue
        raise FileProblem(
            FileProblemCode.DUPLICATE_HEADER,
            f'Columns {first + 1} "{names[first]}" and {position + 1} "{names[position]}" both mean {field}.',
            _duplicate_hint(names[first], names[position]),
            line=1,
            column=names[position],
        )


def _duplicate_hint(first: str, second: str) -> str:
    if first == second:
        return "Delete one of the two columns or give it another name."
    return f'Delete one of them, or ignore one with a mapping, for example {{"{second}": ""}}.'


def _refuse_missing(positions: Mapping[Field, int], layout: Layout) -> None:
    missing = [f'"{layout.title(field)}"' for field in layout.required if field not in positions]
    if layout.one_required and not any(field in positions for field in layout.one_required):
        missing.append(" or ".join(f'"{layout.title(field)}"' for field in layout.one_required))
    if missing:
        raise FileProblem(
            FileProblemCode.MISSING_HEADER,
            f"Missing columns: {', '.join(missing)}.",
            "Add the columns, or name the columns that hold these values in the mapping.",
            line=1,
        )


def _listed(items: Sequence[str]) -> str:
    """The first items of a list, so that a message about a wide file stays readable."""
    rest = len(items) - MAX_LISTED
    return ", ".join(items[:MAX_LISTED]) + (f" and {rest} more" if rest > 0 else "")
