"""The rejected rows as a file."""

import csv
import io
from pathlib import Path

import httpx
import pytest

from graphql_api.database.engine import Database
from graphql_api.schema.node import global_id
from tests.sales_files import HEADER, sale, sales_csv
from tests.services.import_case import ImportCase


async def create_import_with_rejects(database: Database, folder: Path) -> int:
    rows = [sale("INV-00000100001"), sale("INV-00000100002", date="nonsense"), sale("INV-00000100003")]
    job = await ImportCase(database, folder).load(sales_csv(rows))
    return job.id


@pytest.mark.parametrize("is_global", [False, True])
async def test_the_rejected_rows_come_as_a_file(
    http: httpx.AsyncClient,
    database: Database,
    tmp_path: Path,
    is_global: bool,  # noqa: FBT001 - a parameter of the table
) -> None:
    import_id = await create_import_with_rejects(database, tmp_path)

    response = await http.get(f"/imports/{global_id('Import', import_id) if is_global else import_id}/rejects.csv")

    assert response.status_code == 200
    assert response.headers["content-type"] == "text/csv; charset=utf-8"
    assert response.headers["content-disposition"] == f'attachment; filename="import-{import_id}-rejects.csv"'
    header, *rows = csv.reader(io.StringIO(response.text))
    assert header[: len(HEADER)] == list(HEADER)
    (row,) = rows
    assert row[:2] == ["INV-00000100002", "nonsense"]
    assert "BAD_DATE" in row[len(HEADER) :]


@pytest.mark.parametrize(
    "import_id", ["1", "0", "99999999999999999999", "-1", "x", "²", global_id("Import", 1), global_id("Store", 1)]
)
async def test_an_unknown_import_is_not_found(http: httpx.AsyncClient, import_id: str) -> None:
    response = await http.get(f"/imports/{import_id}/rejects.csv")

    assert response.status_code == 404
    assert response.json()["errors"][0]["extensions"]["code"] == "NOT_FOUND"
