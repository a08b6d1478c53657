"""Which column of a sales file means what: the known spellings, and the mapping of a header onto fields."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from enum import StrEnum

from graphql_api.imports.rejects import FileProblem, FileProblemCode

MAX_LISTED = 10
UNNAMED = re.compile(r"\s*|unnamed:? ?\d+", re.IGNORECASE)
# What a file of rejected rows has beside the original columns; they are passed over when it is imported again.
REASON_HEADERS = ("reject_line", "reject_column", "reject_code", "reject_value", "reject_hint")


class Field(StrEnum):
    """What a column of a sales file can mean."""

    LINE_ID = "line_id"
    DATE = "date"
    STORE_NUMBER = "store_number"
    STORE_NAME = "store_name"
    ADDRESS = "address"
    CITY = "city"
    ZIP_CODE = "zip_code"
    LOCATION = "location"
    COUNTY_NUMBER = "county_number"
    COUNTY_NAME = "county_name"
    CATEGORY_NUMBER = "category_number"
    CATEGORY_NAME = "category_name"
    VENDOR_NUMBER = "vendor_number"
    VENDOR_NAME = "vendor_name"
    SKU = "sku"
    PRODUCT_NAME = "product_name"
    PACK = "pack"
    BOTTLE_VOLUME_ML = "bottle_volume_ml"
    UNIT_COST = "unit_cost"
    UNIT_PRICE = "unit_price"
    QUANTITY = "quantity"
    SALE_AMOUNT = "sale_amount"
    VOLUME_LITERS = "volume_liters"
    VOLUME_GALLONS = "volume_gallons"


REQUIRED = (Field.DATE, Field.STORE_NUMBER, Field.SKU, Field.UNIT_COST, Field.QUANTITY)
NEVER_READ = (Field.VOLUME_LITERS, Field.VOLUME_GALLONS)  # bottles and their volume say it exactly
ONE_REQUIRED = (Field.UNIT_PRICE, Field.SALE_AMOUNT)

# The first spelling is the one shown in messages. Case, spaces, underscores and punctuation do not matter.
SPELLINGS: Mapping[Field, tuple[str, ...]] = {
    Field.LINE_ID: (
        "Invoice/Item Number",
        "Invoice and Item Number",
        "Invoice Line Number",
        "Invoice Line No",
        "Line ID",
    ),
    Field.DATE: ("Date", "Order Date", "Invoice Date", "Sale Date"),
    Field.STORE_NUMBER: ("Store Number", "Store No", "Store ID", "Store"),
    Field.STORE_NAME: ("Store Name", "Name"),
    Field.ADDRESS: ("Address", "Store Address"),
    Field.CITY: ("City", "Store City"),
    Field.ZIP_CODE: ("Zip Code", "Zip", "Store Zip Code", "Postal Code", "Postcode"),
    Field.LOCATION: ("Store Location", "Location"),
    Field.COUNTY_NUMBER: ("County Number", "County No", "County ID"),
    Field.COUNTY_NAME: ("County", "County Name", "Store County"),
    Field.CATEGORY_NUMBER: ("Category", "Category Number", "Category No", "Category ID"),
    Field.CATEGORY_NAME: ("Category Name",),
    Field.VENDOR_NUMBER: ("Vendor Number", "Vendor No", "Vendor ID", "Vendor"),
    Field.VENDOR_NAME: ("Vendor Name",),
    Field.SKU: ("Item Number", "Item No", "Item", "Item ID", "SKU", "Product Number"),
    Field.PRODUCT_NAME: (
        "Item Description",
        "Item Desc",
        "IM Desc",
        "Item Name",
        "Product Name",
        "Product Description",
    ),
    Field.PACK: ("Pack", "Pack Size"),
    Field.BOTTLE_VOLUME_ML: ("Bottle Volume (ml)", "Bottle Volume", "Volume ml"),
    Field.UNIT_COST: ("State Bottle Cost", "Bottle Cost", "Unit Cost"),
    Field.UNIT_PRICE: ("State Bottle Retail", "Bottle Retail", "Unit Price", "Retail Price"),
    Field.QUANTITY: ("Bottles Sold", "Sale Bottles", "Quantity", "Quantity Sold"),
    Field.SALE_AMOUNT: ("Sale (Dollars)", "Sale Amount", "Sales Dollars", "Sale", "Revenue"),
    Field.VOLUME_LITERS: ("Volume Sold (Liters)", "Sale Liters", "Volume Liters"),
    Field.VOLUME_GALLONS: ("Volume Sold (Gallons)", "Sale Gallons", "Volume Gallons"),
}


def normalise(text: str) -> str:
    """The letters and digits of a header, case-folded: what two spellings are compared by."""
    return "".join(character for character in text.casefold() if character.isalnum())


_FIELD_BY_SPELLING = {
    normalise(spelling): field for field, spellings in SPELLINGS.items() for spelling in (field, *spellings)
}
_SHOWN_BY_SPELLING = {normalise(spelling): spelling for spellings in SPELLINGS.values() for spelling in spellings}


@dataclass(frozen=True)
class ColumnMap:
    """The header of one file and the position (from 0) of every field it has, in file order."""

    header: tuple[str, ...]
    positions: Mapping[Field, int]

    def __contains__(self, field: object) -> bool:
        return field in self.positions

    @property
    def read(self) -> Mapping[Field, int]:
        """The positions of the fields that an import makes use of."""
        return {field: position for field, position in self.positions.items() if field not in NEVER_READ}

    def name_of(self, field: Field) -> str:
        """The header of the field as the file spells it, or the field's own name when the file lacks it."""
        position = self.positions.get(field)
        return field.value if position is None else self.header[position]


def map_columns(header: Sequence[str], mapping: Mapping[str, str] | None = None) -> ColumnMap:
    """Find the field of every column.

    Args:
        header: the header fields as the file has them.
        mapping: overrides: header in the file → field name (any known spelling), or "" to ignore the column.

    Raises:
        FileProblem: BAD_MAPPING, UNKNOWN_HEADER, DUPLICATE_HEADER or MISSING_HEADER; every culprit is named.
    """
    names = tuple(name.strip() for name in header)
    chosen = _read_mapping(names, mapping or {})
    meanings = [_meaning(name, chosen) for name in names]
    _refuse_unknown(names, meanings)
    fields = [(position, field) for position, field in enumerate(meanings) if isinstance(field, Field)]
    _refuse_duplicates(names, fields)
    positions = {field: position for position, field in fields}
    _refuse_missing(positions)
    return ColumnMap(names, positions)


def suggest(name: str) -> str | None:
    """The known spelling nearest to `name`, or None when nothing comes near."""
    nearest = get_close_matches(normalise(name), _FIELD_BY_SPELLING, n=1, cutoff=0.7)
    return _SHOWN_BY_SPELLING.get(nearest[0], _FIELD_BY_SPELLING[nearest[0]].value) if nearest else None


def _meaning(name: str, chosen: Mapping[str, Field | None]) -> Field | str | None:
    """A field, None for a column to ignore, or the name itself when it is unknown."""
    if name in chosen:
        return chosen[name]
    if UNNAMED.fullmatch(name) or name in REASON_HEADERS:
        return None
    return _FIELD_BY_SPELLING.get(normalise(name), name)


def _read_mapping(names: Sequence[str], mapping: Mapping[str, str]) -> dict[str, Field | None]:
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
        chosen[name.strip()] = _read_target(name, target)
    return chosen


def _read_target(name: str, target: str) -> Field | None:
    if not target.strip():
        return None
    field = _FIELD_BY_SPELLING.get(normalise(target))
    if field is None:
        raise FileProblem(
            FileProblemCode.BAD_MAPPING,
            f'The mapping sends the column "{name}" to "{target}", which is no field of a sales file.',
            f'Use one of {", ".join(Field)}, or "" to ignore the column.',
            line=1,
            column=name,
        )
    return field


def _refuse_unknown(names: Sequence[str], meanings: Sequence[Field | str | None]) -> None:
    unknown = [
        position for position, meaning in enumerate(meanings) if meaning is not None and not isinstance(meaning, Field)
    ]
    if not unknown:
        return
    first = names[unknown[0]]
    hint = f'Rename the column, name its field in the mapping, or ignore it with the mapping {{"{first}": ""}}.'
    if not any(isinstance(meaning, Field) for meaning in meanings):
        hint = "No column is known: is the first line of the file a header, and is this a sales file?"
    raise FileProblem(
        FileProblemCode.UNKNOWN_HEADER,
        f"Unknown columns: {_listed([_describe_unknown(names, position) for position in unknown])}.",
        hint,
        line=1,
        column=first,
    )


def _describe_unknown(names: Sequence[str], position: int) -> str:
    suggestion = suggest(names[position])
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


def _refuse_missing(positions: Mapping[Field, int]) -> None:
    missing = [f'"{SPELLINGS[field][0]}"' for field in REQUIRED if field not in positions]
    if not any(field in positions for field in ONE_REQUIRED):
        missing.append(" or ".join(f'"{SPELLINGS[field][0]}"' for field in ONE_REQUIRED))
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
