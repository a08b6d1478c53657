"""The safety net of low stock: what no transaction has opened or resolved is put right by the clock."""

from graphql_api.database.engine import Database
from graphql_api.services.low_stock import START, correct, wrong_levels
from graphql_api.services.unit_of_work import unit_of_work

# Levels are held until the end of a transaction, so that few of them wait.
PART = 500


async def sweep_low_stock(database: Database) -> int:
    """Open and resolve all episodes that were missed; answers how many.

    It adds nothing twice, however often it runs and how many run at once: each level is judged while nobody else can
    move it. A threshold that changes while bottles move in another transaction is what can be missed.
    """
    corrected, after = 0, START
    while True:
        async with unit_of_work(database) as work:
            connection = await work.driver()
            keys = await wrong_levels(connection, after, PART)
            corrected += await correct(work, connection, keys)
        if len(keys) < PART:
            return corrected
        after = keys[-1]
