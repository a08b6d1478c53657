import os
import subprocess
import sys
from collections.abc import Mapping

import pytest

from tests.pure.test_import_samples import create_file, create_row, read_block

HASHED = [
    "Date",
    "Store Number",
    "City",
    "Zip Code",
    "County Number",
    "Item Number",
    "Bottles Sold",
    "State Bottle Retail",
    "Sale (Dollars)",
    "State Bottle Cost",
]
NOT_HASHED = {
    "County": "LYNN",
    "Store Name": "OTHER",
    "Item Description": "OTHER",
    "Pack": "6",
    "City": "Cedar Rapids",
    "Date": "4/24/2019",
}


def hash_of(changes: Mapping[str, str]) -> int:
    return int(read_block(create_file([create_row(changes)])).lines.content_hash()[0])


@pytest.mark.parametrize("column", HASHED)
def test_a_change_of_content_changes_the_hash(column: str) -> None:
    value = "2019-04-25" if column == "Date" else "7"

    assert hash_of({column: value}) != hash_of({})


@pytest.mark.parametrize("change", NOT_HASHED.items(), ids=NOT_HASHED)
def test_another_way_to_say_the_same_keeps_the_hash(change: tuple[str, str]) -> None:
    assert hash_of(dict([change])) == hash_of({})


def test_the_hash_is_the_same_in_every_process() -> None:
    program = "from tests.pure.test_import_content_hash import hash_of; print(hash_of({}))"
    environment = os.environ | {"PYTHONHASHSEED": "1"}

    found = subprocess.run([sys.executable, "-c", program], capture_output=True, check=True, env=environment, text=True)

    assert int(found.stdout) == hash_of({}) == 3209336920775836824  # stored hashes stay valid
