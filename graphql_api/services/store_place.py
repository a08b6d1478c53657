"""Where a store stands: city, zip and county in the one form that imports give them, found or made."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from graphql_api.database.place import CountyRow, PlaceRow
from graphql_api.imports.names import CUT_LENGTH, placeholder
from graphql_api.services.checks import MAX_INTEGER, Check, whole
from graphql_api.services.editing import Consequence, Property
from graphql_api.services.errors import BadInput, Conflict, NotFound
from graphql_api.services.place import canonical_name, canonical_zip
from graphql_api.services.plain_text import has_control, is_blank


def _seen(clean: Callable[[str], str]) -> Check:
    """`clean`, for a text of one line that shows what it holds; one of which nothing can be seen is none."""

    def check(text: str) -> str | None:
        if has_control(text.strip()):
            raise BadInput("Leave out line breaks and control characters.")
        cleaned = clean(text)
        return None if is_blank(cleaned) else cleaned

    return check


_city, _zip = _seen(canonical_name), _seen(canonical_zip)


PLACE_PROPERTIES: Mapping[str, Property] = {
    "city": Property("city", _city),
    "zip": Property("zip_code", _zip),
    "county": Property("county", _city),
    "countyNumber": Property("county_number", whole(0, MAX_INTEGER)),
}
# A county is named as a whole: by its name, its number or both.
COUNTY = frozenset({"county", "countyNumber"})


@dataclass(frozen=True)
class Place:
    """A place as clients name it; each part may be unknown."""

    city: str | None = None
    zip_code: str | None = None
    county: str | None = None
    county_number: int | None = None

    def patched(self, patch: Mapping[str, Any]) -> "Place":
        """The place with the parts in `patch`, whose county is the one that `patch` names if it names any.

        Raises:
            BadInput: a part cannot be used, with the path to it.
        """
        parts = dict(self.__dict__)
        if COUNTY & patch.keys():
            parts |= {"county": None, "county_number": None}
        for name, value in patch.items():
            rule = PLACE_PROPERTIES[name]
            try:
                parts[rule.column] = None if value is None else rule.stored(value)
            except BadInput as error:
                raise error.below(name) from None
        return Place(**parts)

    @property
    def facts(self) -> dict[str, Any]:
        """The parts by the names clients know, for the audit record."""
        return {name: getattr(self, rule.column) for name, rule in PLACE_PROPERTIES.items()}


async def move_to(session: AsyncSession, place_id: int | None, patch: Mapping[str, Any]) -> Consequence:
    """What becomes of a store at a place (None: a new store) when parts of its place are patched.

    Raises:
        BadInput: a part cannot be used.
        NotFound: there is no county of this number, and no name to make one.
        Conflict: the county of this number has another name.
    """
    if place_id is not None and not patch:
        return Consequence()
    before = Place() if place_id is None else await _place(session, place_id)
    wanted = before.patched(patch)
    if wanted == before and place_id is not None:
        return Consequence()
    county = await _county(session, wanted)
    found = await _place_id(session, wanted, county.id if county else None)
    after = await _place(session, found)
    return Consequence({"place_id": found}, {} if place_id is None else before.facts, after.facts)


async def _place(session: AsyncSession, place_id: int) -> Place:
    statement = (
        select(col(PlaceRow.city), col(PlaceRow.zip_code), col(CountyRow.name), col(CountyRow.number))
        .outerjoin(CountyRow, col(CountyRow.id) == col(PlaceRow.county_id))
        .where(col(PlaceRow.id) == place_id)
    )
    return Place(*(await session.execute(statement)).one())


async def _place_id(session: AsyncSession, place: Place, county_id: int | None) -> int:
    parts = {"city": place.city, "zip_code": place.zip_code, "county_id": county_id}
    same = [col(getattr(PlaceRow, name)).is_not_distinct_from(value) for name, value in parts.items()]
    find = select(col(PlaceRow.id)).where(*same)
    found = await session.scalar(find)
    if found is None:
        # waits for whoever makes the same one at this moment
        await session.execute(insert(PlaceRow).values(**parts).on_conflict_do_nothing())
        found = (await session.execute(find)).scalar_one()
    return found


async def _county(session: AsyncSession, place: Place) -> CountyRow | None:
    """The county, made when it is new; its number says which it is, where there is one."""
    name, number = place.county, place.county_number
    if number is None:
        return None if name is None else await _county_named(session, name)
    row = await _county_numbered(session, number)
    if row is None and name is None:
        raise NotFound(
            "There is no county {number} yet. Give its name too, to make it.", path=("countyNumber",), number=number
        )
    if row is None:
        row = await _adopted(session, name or "", number) or await _made(session, name or "", number)
    return row if name is None else await _renamed(session, row, name)


async def _county_named(session: AsyncSession, name: str) -> CountyRow:
    """The county of this name with the lowest number, else the one without."""
    find = select(CountyRow).where(col(CountyRow.name) == name).order_by(col(CountyRow.number).nulls_last()).limit(1)
    return await session.scalar(find) or await _made(session, name, None)


async def _county_numbered(session: AsyncSession, number: int) -> CountyRow | None:
    return await session.scalar(select(CountyRow).where(col(CountyRow.number) == number))


async def _made(session: AsyncSession, name: str, number: int | None) -> CountyRow:
    await session.execute(insert(CountyRow).values(name=name, number=number).on_conflict_do_nothing())
    same = col(CountyRow.number) == number if number is not None else col(CountyRow.number).is_(None)
    named = col(CountyRow.name) == name if number is None else same
    return (await session.scalars(select(CountyRow).where(same, named))).one()


async def _adopted(session: AsyncSession, name: str, number: int) -> CountyRow | None:
    """A county that was known by its name alone turns out to be the one with the number."""
    unnumbered = col(CountyRow.name) == name, col(CountyRow.number).is_(None)
    try:
        return await session.scalar(update(CountyRow).where(*unnumbered).values(number=number).returning(CountyRow))
    except IntegrityError:
        raise Conflict("This county was made at this moment. Try again.", path=("countyNumber",)) from None


async def _renamed(session: AsyncSession, row: CountyRow, name: str) -> CountyRow:
    """The county by this name, when that is the better spelling of its own.

    Raises:
        Conflict: it is another name.
    """
    is_longer = len(row.name) == CUT_LENGTH and len(name) > CUT_LENGTH and name.startswith(row.name)
    if row.number is not None and (is_longer or row.name == placeholder(row.number)):
        row.name = name
        await session.flush()
    if row.name != name:
        raise Conflict(
            "County {number} is called {name}. Leave out the name, or give the right number.",
            path=("county",),
            number=row.number,
            name=row.name,
        )
    return row
