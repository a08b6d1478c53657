"""The company's settings."""

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from graphql_api.database.settings import SettingsRow


async def read_settings(session: AsyncSession) -> SettingsRow:
    """The settings as they are now."""
    return (await session.execute(select(SettingsRow))).scalar_one()
