"""`import --kind`: every kind of file from the command line."""

import json
from pathlib import Path
from typing import Any

import pytest

from tests.cli.test_commands import environment, run
from tests.import_files import csv_of, products_file, purchases_file, stores_file
from tests.sales_files import sale, sales_csv

__all__ = ["environment"]
SALE = sale("INV-00000100001", store_number="10", item_number="a", bottles_sold="4")


@pytest.mark.usefixtures("environment")
def test_every_kind_is_imported(tmp_path: Path) -> None:
    path = tmp_path / "file.csv"

    def load(content: bytes, *options: str) -> dict[str, Any]:
        path.write_bytes(content)
        result = run("import", str(path), "--json", *options)
        assert result.exit_code == 0, result.stderr
        report: dict[str, Any] = json.loads(result.stdout)
        return report

    assert load(stores_file(10), "--kind", "stores")["rowsInserted"] == 1
    assert load(products_file("a"), "--kind", "products")["kind"] == "PRODUCTS"
    prices = csv_of("SKU,Unit Price", [("a", 12)])
    assert load(prices, "--kind", "products", "--mode", "upsert")["rowsUpdated"] == 1
    bought = purchases_file(("P", "2019-01-02", 10, "a", 5, "5.00", ""))
    assert load(bought, "--kind", "purchases")["rowsInserted"] == 1
    counted = csv_of("Store,SKU,Counted", [(10, "a", 3)])
    assert load(counted, "--kind", "stock-count")["rowsInserted"] == 1
    assert load(sales_csv([SALE]), "--stock-effect", "deduct")["rejectsByCode"] == {"INSUFFICIENT_STOCK": 1}


@pytest.mark.usefixtures("environment")
@pytest.mark.parametrize(
    "options",
    [
        ["--kind", "purchases", "--mode", "upsert"],
        ["--kind", "stores", "--stock-effect", "deduct"],
        ["--stock-effect", "deduct", "--mode", "upsert"],
    ],
)
def test_what_does_not_go_together_is_refused_and_nothing_is_kept(tmp_path: Path, options: list[str]) -> None:
    path = tmp_path / "file.csv"
    path.write_bytes(sales_csv([SALE]))

    result = run("import", str(path), *options)

    assert result.exit_code != 0
    assert [found for found in (tmp_path / "var").rglob("*") if "imports" in found.parts and found.is_file()] == []
