"""The examples for clients do what they say, against a server as a user starts it."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.architecture.repository import ROOT
from tests.examples.conftest import DemoServer
from tests.sales_files import many_sales, sale, sales_csv

EXAMPLES = ROOT / "client_examples"
SHELL_BLOCK = re.compile(r"```sh\n(.*?)```", re.DOTALL)
LONGEST_EXAMPLE = 100
STAFF = "staff@demo.example"
SECONDS = 60


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with a file of 300 good lines and a bad one."""
    (tmp_path / "sales.csv").write_bytes(sales_csv([*many_sales(300), sale("S1", date="2019-02-30")]))
    return tmp_path


@pytest.fixture
def account(demo_server: DemoServer) -> dict[str, str]:
    """What the Python client signs in with."""
    return {**os.environ, "API_EMAIL": STAFF, "API_PASSWORD": demo_server.passwords[STAFF]}


def run(*command: str | Path, folder: Path, environment: dict[str, str] | None = None) -> str:
    done = subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, text=True, timeout=SECONDS, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_every_command_of_the_curl_page_works(demo_server: DemoServer, folder: Path) -> None:
    # given the commands of the page, for the server of this test
    blocks = SHELL_BLOCK.findall((EXAMPLES / "curl.md").read_text())
    script = "\n".join(["set -eu", *blocks])
    script = script.replace("http://127.0.0.1:8000", demo_server.address)
    script = script.replace("as-printed", demo_server.passwords[STAFF])
    # when they are run one after another
    output = run("bash", "-c", script, folder=folder)
    # then none failed, the reports have rows, and the import is told of
    assert '"errors"' not in output
    assert output.count('"revenue"') > 10
    counts = re.search(r'"rowsRead": ?(\d+), ?"rowsInserted": ?(\d+).*"rowsRejected": ?(\d+)', output)
    assert counts
    assert (counts[1], counts[3]) == ("301", "1")
    rejects = (folder / "rejects.csv").read_text().splitlines()
    assert rejects[0].endswith("reject_line,reject_column,reject_code,reject_value,reject_hint")
    assert "BAD_DATE" in rejects[1]


def test_the_page_shows_what_the_server_says(server_address: str, folder: Path) -> None:
    shown = re.findall(r"```json\n(.*?)\n```", (EXAMPLES / "curl.md").read_text(), re.DOTALL)
    assert [run("curl", "-sf", f"{server_address}/health/ready", folder=folder)] == shown


def test_the_python_client_imports_and_reports(server_address: str, account: dict[str, str], folder: Path) -> None:
    script = EXAMPLES / "import_and_report.py"
    url = f"{server_address}/graphql"
    output = run(sys.executable, script, url, "sales.csv", folder=folder, environment=account)
    assert "COMPLETED" in output
    assert "'rowsRead': 301" in output
    assert "'rowsRejected': 1" in output
    assert re.search(r"^\s*KINGSMEAD +\d+\.\d\d +\d+\.\d\d +\d+ +0\.\d+", output, re.MULTILINE)
    assert re.search(r"^\s*total +\d+\.\d\d +\d+\.\d\d +\d+", output, re.MULTILINE)


def failure(server_address: str, folder: Path, environment: dict[str, str]) -> tuple[str, str]:
    """What the Python client prints, and on which standard error it ends."""
    command = [sys.executable, str(EXAMPLES / "import_and_report.py"), f"{server_address}/graphql", "sales.csv"]
    done = subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, text=True, timeout=SECONDS, check=False
    )
    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    return done.stdout, done.stderr


def test_the_python_client_says_why_a_file_is_refused(
    server_address: str, account: dict[str, str], folder: Path
) -> None:
    (folder / "sales.csv").write_text("Date,Colour\n2024-01-01,red\n")

    output, errors = failure(server_address, folder, account)

    assert "FAILED" in output
    assert "Colour" in errors


def test_the_python_client_says_why_it_cannot_sign_in(
    server_address: str, account: dict[str, str], folder: Path
) -> None:
    _, errors = failure(server_address, folder, {**account, "API_PASSWORD": "something else"})

    assert "password" in errors


def test_the_python_client_is_short() -> None:
    assert len((EXAMPLES / "import_and_report.py").read_text().splitlines()) <= LONGEST_EXAMPLE
