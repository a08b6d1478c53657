import io
from pathlib import Path
from typing import Any

import pytest

from graphql_api.database.engine import Database
from graphql_api.schema.upload import UploadedFile
from tests.client import Client
from tests.sales_files import many_sales, sale, sales_csv
from tests.services.import_case import ImportCase

START = """
mutation ($input: StartImportInput!) {
  startImport(input: $input) {
    import { id status fileName dryRun mode onError kind sha256 fileSize }
    userErrors { code message path }
  }
}
"""
CHANGE = """
mutation ($id: ID!) { %s(input: {id: $id}) { import { id status dryRun } userErrors { code message path } } }
"""
STATE = """
query ($id: ID!) {
  import(id: $id) {
    status rowsRead rowsInserted rowsUpdated rowsUnchanged rowsRejected startedAt finishedAt rejectsUrl
    failure { code message hint line column }
    progress { share rowsPerSecond secondsLeft }
    rejectCounts { code count }
    rejects(first: 2) {
      totalCount
      nodes { line record column code value hint fields }
      pageInfo { hasNextPage endCursor }
    }
  }
}
"""


def upload(content: bytes, name: str = "sales.csv") -> UploadedFile:
    return UploadedFile(name, io.BytesIO(content))


@pytest.fixture
def case(database: Database, tmp_path: Path) -> ImportCase:
    """The worker's side of the same database and storage."""
    return ImportCase(database, tmp_path)


async def start(client: Client, content: bytes, **options: Any) -> dict[str, Any]:
    payload = (await client.execute(START, input={"file": upload(content), **options}))["startImport"]
    assert payload["userErrors"] == []
    started: dict[str, Any] = payload["import"]
    return started


async def run(case: ImportCase) -> None:
    (import_id,) = (await case.query("SELECT max(id) FROM import_job"))[0]
    await case.runner.run(import_id)


async def change(client: Client, mutation: str, node_id: str) -> dict[str, Any]:
    answer: dict[str, Any] = (await client.execute(CHANGE % mutation, id=node_id))[mutation]
    return answer


async def test_a_file_is_imported_and_its_rejects_are_explained(client: Client, case: ImportCase) -> None:
    rows = [*many_sales(20), *(sale(f"bad{n}", bottles_sold="x") for n in range(3)), sale("worse", date="")]
    started = await start(client, sales_csv(rows))
    assert (started["status"], started["fileName"], started["mode"]) == ("QUEUED", "sales.csv", "INSERT")
    await run(case)
    state = (await client.execute(STATE, id=started["id"]))["import"]
    assert (state["status"], state["rowsInserted"], state["rowsRejected"]) == ("COMPLETED", 20, 4)
    assert state["rejectCounts"] == [{"code": "BAD_NUMBER", "count": 3}, {"code": "MISSING_VALUE", "count": 1}]
    assert state["rejects"]["totalCount"] == 4
    assert state["rejects"]["pageInfo"]["hasNextPage"]
    reject = state["rejects"]["nodes"][0]
    assert (reject["line"], reject["record"], reject["column"], reject["value"]) == (22, 21, "Bottles Sold", "x")
    assert reject["fields"][0] == "bad0"
    assert state["rejectsUrl"].startswith(f"/imports/{started['id']}/rejects.csv?ticket=")
    assert (state["progress"]["share"], state["progress"]["secondsLeft"]) == (1, 0)


async def test_a_file_that_cannot_be_read_says_why(client: Client, case: ImportCase) -> None:
    started = await start(client, b"Date,Colour\n2019-01-01,red\n")
    await run(case)
    state = (await client.execute(STATE, id=started["id"]))["import"]
    assert (state["status"], state["failure"]["code"], state["failure"]["line"]) == ("FAILED", "UNKNOWN_HEADER", 1)
    assert "Colour" in state["failure"]["message"]


async def test_columns_with_other_names_are_mapped(client: Client, case: ImportCase) -> None:
    content = sales_csv([sale("a")]).replace(b"Store Number", b"Shop", 1).replace(b"Pack", b"Colour", 1)
    mapping = [{"header": "Shop", "field": "Store Number"}, {"header": "Colour", "field": ""}]
    started = await start(client, content, mapping=mapping)
    await run(case)
    state = (await client.execute(STATE, id=started["id"]))["import"]
    assert (state["status"], state["rowsInserted"]) == ("COMPLETED", 1)


async def test_a_mapping_that_contradicts_itself_is_refused(client: Client, case: ImportCase) -> None:
    twice = [{"header": "Shop", "field": "Store Number"}, {"header": "Shop", "field": ""}]
    answer = await client.execute(START, input={"file": upload(b"x"), "mapping": twice})
    (error,) = answer["startImport"]["userErrors"]
    assert (error["code"], error["path"]) == ("BAD_USER_INPUT", ["input", "mapping"])
    assert await case.query("SELECT count(*) FROM import_job") == [(0,)]


async def test_a_file_over_the_limit_is_refused_and_leaves_nothing(client: Client, case: ImportCase) -> None:
    answer = await client.execute(START, input={"file": upload(bytes(10_000_001))})
    assert [error["code"] for error in answer["startImport"]["userErrors"]] == ["PAYLOAD_TOO_LARGE"]
    assert [path for path in (case.folder / "storage").rglob("*") if path.is_file()] == []


async def test_a_dry_run_is_confirmed_and_taken_back(client: Client, case: ImportCase) -> None:
    dry = await start(client, sales_csv(many_sales(30)), dryRun=True)
    early = await change(client, "confirmImport", dry["id"])
    assert [error["code"] for error in early["userErrors"]] == ["CONFLICT"]
    await run(case)
    assert await case.books() == []
    confirmed = (await change(client, "confirmImport", dry["id"]))["import"]
    assert not confirmed["dryRun"]
    await run(case)
    assert len(await case.books()) == 30
    assert (await change(client, "revertImport", confirmed["id"]))["import"]["status"] == "REVERTING"
    await run(case)
    assert await case.books() == []


async def test_a_queued_import_is_cancelled(client: Client, case: ImportCase) -> None:
    started = await start(client, sales_csv(many_sales(3)))
    assert (await change(client, "cancelImport", started["id"]))["import"]["status"] == "CANCELLED"
    await run(case)
    assert await case.books() == []


@pytest.mark.parametrize("mutation", ["confirmImport", "cancelImport", "revertImport"])
async def test_an_import_that_is_not_there_is_not_found(client: Client, mutation: str) -> None:
    answer = await change(client, mutation, "SW1wb3J0Ojk5OQ==")
    assert [(error["code"], error["path"]) for error in answer["userErrors"]] == [("NOT_FOUND", ["input", "id"])]
    garbled = await change(client, mutation, "nonsense")
    assert [error["code"] for error in garbled["userErrors"]] == ["BAD_USER_INPUT"]


async def test_imports_are_listed_newest_first(client: Client, case: ImportCase) -> None:
    for name in ("april.csv", "may.csv"):
        await client.execute(START, input={"file": upload(sales_csv([sale(name)]), name)})
    await run(case)
    document = "query ($where: ImportWhere) { imports(where: $where) { totalCount nodes { fileName } } }"
    assert (await client.execute(document))["imports"] == {
        "totalCount": 2,
        "nodes": [{"fileName": "may.csv"}, {"fileName": "april.csv"}],
    }
    found = await client.execute(document, where={"fileName": {"startsWith": "apr"}})
    assert found["imports"]["totalCount"] == 1
