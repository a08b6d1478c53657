"""`low-stock`: the report at the command line."""

import csv
import io

from graphql_api.database.engine import Database
from tests.cli.conftest import Operator
from tests.factories import create_product, create_stock, create_store
from tests.services.low_stock_case import TODAY


async def test_the_report_is_printed_in_columns_and_as_csv(operator: Operator, database: Database) -> None:
    async with database.transaction() as session:
        store, product = await create_store(session, number=7), await create_product(session, name="日本酒 =1")
        await create_stock(session, store, product, 3, expires_on=TODAY)

    # an environment in which Python would write ASCII
    shown = operator.installation.run_from_nothing(
        "low-stock", **operator.servers, LC_ALL="C", PYTHONUTF8="0", PYTHONIOENCODING="ascii"
    )
    table = operator.run("low-stock", "--csv", "--within-days", "0")

    assert (shown.returncode, shown.stderr) == (0, "")
    assert "Store 7:" in shown.stdout
    assert "日本酒 =1" in shown.stdout
    assert "Lots that have expired: 1" in shown.stdout
    low, expired = csv.DictReader(io.StringIO(table.stdout))
    assert (low["section"], low["bottles"], low["product"]) == ("LOW_STOCK", "3", "日本酒 =1")
    assert (expired["section"], expired["expires_on"]) == ("EXPIRED", f"{TODAY}")


def test_days_that_are_none_are_refused(operator: Operator) -> None:
    result = operator.run("low-stock", "--within-days", "-1")

    assert result.returncode == 2
    assert "--within-days" in result.stderr
