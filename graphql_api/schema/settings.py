"""The company's settings."""

import datetime as dt
from decimal import Decimal
from typing import Annotated, Any

import strawberry
from strawberry import UNSET

from graphql_api.database.settings import SettingsRow
from graphql_api.schema.audit import audit_trail_field
from graphql_api.schema.context import Info
from graphql_api.schema.errors import UserError
from graphql_api.schema.mutation import attempt
from graphql_api.schema.node import Node, global_id
from graphql_api.services import settings
from graphql_api.services.settings import SETTINGS, SETTINGS_ID
from graphql_api.services.unit_of_work import UnitOfWork

COMPANY_NAME = "The company's name as it stands on invoices: 1 to 200 characters."
COMPANY_ADDRESS = "The company's address as it stands on invoices, at most 500 characters; may have several lines."
TAX_NUMBER = "The number the tax office knows the company by, at most 50 characters."
CURRENCY = 'What all amounts are in: an ISO 4217 code of a currency with two digits, such as "USD".'
TAX_RATE = 'Tax on sales in percent, 0 to 100 with at most three digits after the point, such as "6.5".'
THRESHOLD = "Bottles in stock from which on a product without a threshold of its own counts as low, 0 to 1,000,000."
SELLS_EXPIRED = "Whether bottles whose lot has expired may be sold; otherwise they count as if they were not there."
ACCESS_MINUTES = "How long access tokens last, 1 to 15 minutes. Those already given keep their time."
REFRESH_DAYS = "How long a session lasts without being used, 1 to 90 days, from the next sign-in or refresh on."


@strawberry.type(description="The company's settings. There is one such object.")
class Settings(Node):
    """The company's settings."""

    company_name: str = strawberry.field(description=COMPANY_NAME)
    company_address: str | None = strawberry.field(description=COMPANY_ADDRESS)
    tax_number: str | None = strawberry.field(description=TAX_NUMBER)
    currency: str = strawberry.field(description=CURRENCY)
    tax_rate: Decimal = strawberry.field(description=TAX_RATE)
    low_stock_threshold: int = strawberry.field(description=THRESHOLD)
    sells_expired: bool = strawberry.field(description=SELLS_EXPIRED)
    access_token_minutes: int = strawberry.field(description=ACCESS_MINUTES)
    refresh_token_days: int = strawberry.field(description=REFRESH_DAYS)
    version: int = strawberry.field(description="Grows with each change; `updateSettings` asks for it.")
    updated_at: dt.datetime = strawberry.field(description="When they were last changed.")
    audit_trail = audit_trail_field()

    @classmethod
    def from_row(cls, row: SettingsRow) -> "Settings":
        """The settings as clients see them."""
        return cls(
            id=global_id("Settings", row.id),
            version=row.version,
            updated_at=row.updated_at,
            **{setting.column: getattr(row, setting.column) for setting in SETTINGS.values()},
        )


@strawberry.input(description="What to change; whatever is left out stays as it is.")
class UpdateSettingsInput:
    """What to change."""

    expected_version: int = strawberry.field(
        description="The `version` you have read. If it is not the present one, the answer is CONFLICT."
    )
    company_name: str | None = strawberry.field(default=UNSET, description=COMPANY_NAME)
    company_address: str | None = strawberry.field(default=UNSET, description=f"{COMPANY_ADDRESS} null removes it.")
    tax_number: str | None = strawberry.field(default=UNSET, description=f"{TAX_NUMBER} null removes it.")
    currency: str | None = strawberry.field(default=UNSET, description=CURRENCY)
    tax_rate: Decimal | None = strawberry.field(default=UNSET, description=TAX_RATE)
    low_stock_threshold: int | None = strawberry.field(default=UNSET, description=THRESHOLD)
    sells_expired: bool | None = strawberry.field(default=UNSET, description=SELLS_EXPIRED)
    access_token_minutes: int | None = strawberry.field(default=UNSET, description=ACCESS_MINUTES)
    refresh_token_days: int | None = strawberry.field(default=UNSET, description=REFRESH_DAYS)


@strawberry.type(description="What came of it: the settings, or why not.")
class UpdateSettingsPayload:
    """What came of it."""

    settings: Settings | None = strawberry.field(
        default=None, description="The settings as they are now; null when there are `userErrors`."
    )
    user_errors: list[UserError] = strawberry.field(
        default_factory=list, description="Why nothing was changed; empty when it was done."
    )


UpdateArgument = Annotated[UpdateSettingsInput, strawberry.argument(description="What to change.")]


def _given(wish: UpdateSettingsInput) -> dict[str, Any]:
    """What the input names, by the names of the service."""
    values = {name: getattr(wish, setting.column) for name, setting in SETTINGS.items()}
    return {name: value for name, value in values.items() if value is not UNSET}


async def load_settings(info: Info) -> SettingsRow:
    """The settings, read once in an operation."""
    row = await info.context.loaders.settings.load(SETTINGS_ID)
    if row is None:
        raise LookupError("The settings are gone; the migrations make them.")
    return row


@strawberry.type
class SettingsQuery:
    """Root field of the settings."""

    @strawberry.field(description="The company's settings.")
    async def settings(self, info: Info) -> Settings:
        """The company's settings."""
        return Settings.from_row(await load_settings(info))


@strawberry.type
class SettingsMutation:
    """Mutation of the settings."""

    @strawberry.mutation(
        description=(
            "Change some of the company's settings. They count at once and in every process; two administrators "
            "cannot overwrite each other."
        )
    )
    async def update_settings(self, info: Info, input: UpdateArgument) -> UpdateSettingsPayload:  # noqa: A002 - the GraphQL name
        """Change some of the settings."""

        async def run(work: UnitOfWork) -> UpdateSettingsPayload:
            row = await settings.update_settings(work, input.expected_version, _given(input))
            return UpdateSettingsPayload(settings=Settings.from_row(row))

        return await attempt(info, lambda errors: UpdateSettingsPayload(user_errors=errors), run)
