"""What a row of a report is about: its keys as objects, in sales and in stock alike."""

import base64
import datetime as dt
import json
from collections.abc import Mapping, Sequence
from typing import Any

import strawberry

from graphql_api.reports.dimensions import GroupKey, GroupValue
from graphql_api.reports.period import bucket_label
from graphql_api.schema.category import Category, load_category
from graphql_api.schema.context import Info
from graphql_api.schema.place import City, County, load_county
from graphql_api.schema.product import Product, load_product
from graphql_api.schema.report_enums import Dimension, TimeBucket
from graphql_api.schema.scalars import Cursor
from graphql_api.schema.store import Store, load_store
from graphql_api.schema.vendor import Vendor, load_vendor


@strawberry.type
class ReportGroup:
    """The keys of a row. `groups` holds the value of each key that the report groups by."""

    label: str = strawberry.field(
        description='The names of the group in the order of `groupBy`, as in "POLK · 2019-04" or "(no county)".'
    )
    missing: list[Dimension] = strawberry.field(
        description="Keys this group has no value for, such as COUNTY for places without a county."
    )
    cursor: Cursor = strawberry.field(description="Its place in the report, for `after`.")
    groups: strawberry.Private[Mapping[GroupKey, GroupValue]]

    @strawberry.field(
        description="Names the group: the same in every answer by the same `groupBy`, whatever its numbers and place."
    )
    def key(self) -> strawberry.ID:
        """Names the group."""
        return group_key(list(self.groups.values()))

    def _value(self, dimension: Dimension) -> Any:
        """The group's value, None when the report does not group by it or there is none."""
        return self.groups.get(dimension)

    @strawberry.field(description="The city.")
    def city(self) -> City | None:
        """The city."""
        name = self._value(Dimension.CITY)
        return None if name is None else City(name=name)

    @strawberry.field(description="The zip.")
    def zip(self) -> str | None:
        """The zip."""
        zip_code: str | None = self._value(Dimension.ZIP)
        return zip_code

    @strawberry.field(description="The county.")
    async def county(self, info: Info) -> County | None:
        """The county."""
        return await load_county(info, self._value(Dimension.COUNTY))

    @strawberry.field(description="The store.")
    async def store(self, info: Info) -> Store | None:
        """The store."""
        key = self._value(Dimension.STORE)
        return None if key is None else await load_store(info, key)

    @strawberry.field(description="The product.")
    async def product(self, info: Info) -> Product | None:
        """The product."""
        key = self._value(Dimension.PRODUCT)
        return None if key is None else await load_product(info, key)

    @strawberry.field(description="The category.")
    async def category(self, info: Info) -> Category | None:
        """The category."""
        return await load_category(info, self._value(Dimension.CATEGORY))

    @strawberry.field(description="The vendor.")
    async def vendor(self, info: Info) -> Vendor | None:
        """The vendor."""
        return await load_vendor(info, self._value(Dimension.VENDOR))


def group_key(values: Sequence[GroupValue]) -> strawberry.ID:
    """What names the group of these values."""
    content = json.dumps([str(value) if isinstance(value, dt.date) else value for value in values])
    return strawberry.ID(base64.urlsafe_b64encode(content.encode()).decode().rstrip("="))


def missing_keys(groups: Mapping[GroupKey, GroupValue]) -> list[Dimension]:
    """The keys without a value."""
    return [key for key, value in groups.items() if value is None and isinstance(key, Dimension)]


def group_label(groups: Sequence[GroupKey], names: Sequence[str | dt.date | None]) -> str:
    """The group as people read it."""
    return " · ".join(_name(group, name) for group, name in zip(groups, names, strict=True)) or "Total"


def _name(group: GroupKey, name: str | dt.date | None) -> str:
    if isinstance(group, TimeBucket) and isinstance(name, dt.date):
        return bucket_label(name, group)
    return f"(no {group.lower()})" if name is None else str(name)
