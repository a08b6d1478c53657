"""Settings of the transaction that adds up; measured on 6 million lines."""

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

# A plan that does not know the filter's values took twice as long; hash tables that spill to disk half as long
# again; and compiling costs more than it saves, because the sums are cheap and the groups few.
SETTINGS = text(
    "SELECT set_config('plan_cache_mode', 'force_custom_plan', true), "
    "set_config('work_mem', '32MB', true), set_config('jit', 'off', true)"
)


async def prepare_to_add_up(session: AsyncSession) -> None:
    """Tune the rest of the transaction for few statements over many rows."""
    await session.execute(SETTINGS)
