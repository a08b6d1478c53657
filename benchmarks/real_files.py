"""Imports of real files checked to the cent: the control totals of a folder against the answers of the API.

    python -m benchmarks.real_files FOLDER [--only NAME]

FOLDER holds sales files and `expected.json`, a list of objects with the name of the `file`, its `lines`, `rejected`
rows, `quantity`, `revenue` and `profit`, and for county, city and zip the number of known values (`distinct_county`)
and the revenue of the largest (`revenue_by_county`). Whatever is absent is not checked. Each file is imported twice,
each time into a fresh data folder with servers of its own: by the command line and by the mutation. Every number is
then asked for over HTTP. The exit code is 1 when any differs.
"""

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any

import httpx
from rich.console import Console
from rich.table import Table

from graphql_api import embedded
from graphql_api.config import Settings

PROGRAM = (sys.executable, "-c", "from graphql_api.cli import main; main()")
PATIENCE_SECONDS = 600.0
PLACES = ("county", "city", "zip")
POLL_SECONDS = 0.2
ENDED = frozenset({"COMPLETED", "REFUSED", "FAILED", "CANCELLED"})
Answers = dict[str, Any]

TOTALS = "{ salesReport(groupBy: []) { grandTotal { lineCount quantity revenue profit } } }"
GROUPS = """
query Groups($key: GroupKey!, $unknown: SalesWhere!) {
  all: salesReport(groupBy: [$key], first: 1000) { totalGroups rows { label missing measures { revenue } } }
  unknown: salesReport(groupBy: [$key], where: $unknown) { totalGroups }
}
"""
START = (
    "mutation Start($input: StartImportInput!) { startImport(input: $input) { import { id } userErrors { message } } }"
)
STATUS = "query Status($id: ID!) { import(id: $id) { status rowsInserted rowsRejected } }"


@dataclass(frozen=True)
class Api:
    """A running server."""

    url: str

    def ask(self, document: str, **variables: Any) -> Any:
        """The data of an answer without errors."""
        body = {"query": document, "variables": variables}
        answer = httpx.post(self.url, json=body, timeout=PATIENCE_SECONDS).json()
        if "errors" in answer:
            raise RuntimeError(answer["errors"])
        return answer["data"]

    def upload(self, path: Path) -> str:
        """Start the import of a file by the mutation; its id."""
        operations = json.dumps({"query": START, "variables": {"input": {"file": None}}})
        fields = {"operations": operations, "map": json.dumps({"0": ["variables.input.file"]})}
        with path.open("rb") as file:
            answer = httpx.post(
                self.url,
                data=fields,
                files={"0": (path.name, file)},
                headers={"GraphQL-Require-Preflight": "1"},
                timeout=PATIENCE_SECONDS,
            ).json()
        return str(answer["data"]["startImport"]["import"]["id"])


def by_command(environment: dict[str, str], path: Path) -> Answers:
    """What the API says of a file that `graphql-api import` has read; rejected rows are no failure."""
    command = [*PROGRAM, "import", str(path), "--json"]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    with serving(environment) as api:
        return found_counts(json.loads(done.stdout)) | found_totals(api)


def by_mutation(environment: dict[str, str], path: Path) -> Answers:
    """What the API says of a file that was uploaded to it."""
    with serving(environment) as api:
        import_id = api.upload(path)
        while (job := api.ask(STATUS, id=import_id)["import"])["status"] not in ENDED:
            time.sleep(POLL_SECONDS)
        return found_counts(job) | found_totals(api)


def found_counts(job: dict[str, Any]) -> Answers:
    """The rejected rows, and that the job counts as inserted what the reports are about to show."""
    return {"status": job["status"], "inserted": job["rowsInserted"], "rejected": job["rowsRejected"]}


def found_totals(api: Api) -> Answers:
    """The grand total, and each place's known groups with their revenue, the largest first."""
    total = api.ask(TOTALS)["salesReport"]["grandTotal"]
    found: Answers = {"lines": total.pop("lineCount"), **total}
    for place in PLACES:
        unknown = {place: {"isNull": True}}
        groups = api.ask(GROUPS, key={"dimension": place.upper()}, unknown=unknown)
        known = [row for row in groups["all"]["rows"] if not row["missing"]]
        found[f"revenue_by_{place}"] = {row["label"]: row["measures"]["revenue"] for row in known}
        found[f"distinct_{place}"] = groups["all"]["totalGroups"] - groups["unknown"]["totalGroups"]
    return found


def differences(expected: Answers, found: Answers) -> list[str]:
    """Each number of `expected` that was not found, to the cent; of groups also the order."""
    wrong = [] if found["status"] == "COMPLETED" else [f"the import ended as {found['status']}"]
    wanted = {"inserted": expected["lines"], **expected}
    for name in wanted.keys() & found.keys():
        value, got = wanted[name], found[name]
        if isinstance(value, dict):
            got = dict(list(got.items())[: len(value)])
        if _numbers(value) != _numbers(got):
            wrong.append(f"{name}: expected {value}, found {got}")
    return sorted(wrong)


def _numbers(value: Any) -> list[tuple[str, Decimal]]:
    groups = value if isinstance(value, dict) else {"": value}
    return [(name, Decimal(number)) for name, number in groups.items()]


@contextmanager
def serving(environment: dict[str, str]) -> Iterator[Api]:
    """The program as a process on a free port."""
    command = [*PROGRAM, "serve", "--port", "0"]
    process = subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True)
    try:
        yield Api(next(line.split()[1] for line in process.stdout or () if line.startswith("Endpoint")))
    finally:
        process.terminate()
        process.communicate(timeout=PATIENCE_SECONDS)


WAYS: dict[str, Callable[[dict[str, str], Path], Answers]] = {"command": by_command, "mutation": by_mutation}


def check(way: str, path: Path, expected: Answers) -> tuple[list[str], float]:
    """Import one file one way into a fresh folder; the differences, and the seconds it took with all servers."""
    folder = Path(tempfile.mkdtemp(prefix="real-files-"))
    settings = {name.upper() for name in Settings.model_fields}
    environment = {name: value for name, value in os.environ.items() if name not in settings}
    began = time.perf_counter()
    try:
        found = WAYS[way]({**environment, "DATA_DIR": str(folder / "var"), "LOG_LEVEL": "warning"}, path)
        return differences(expected, found), time.perf_counter() - began
    finally:
        with suppress(embedded.EmbeddedServerError):
            embedded.remove(folder / "var")
        shutil.rmtree(folder, ignore_errors=True)


def main() -> int:
    """Print a line for each file and way, then every difference; 1 when there is one."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--only", default="", help="a part of the names of the files to check")
    arguments = parser.parse_args()
    controls = json.loads((arguments.folder / "expected.json").read_text(encoding="utf-8"))
    table = Table("file", "by", "lines", "revenue", "seconds", "result")
    wrong: list[str] = []
    for expected in (control for control in controls if arguments.only in control["file"]):
        for way in WAYS:
            found, seconds = check(way, arguments.folder / expected["file"], expected)
            result = f"{len(found)} differences" if found else "exact"
            sizes = (f"{expected['lines']:,}", expected["revenue"])
            table.add_row(expected["file"], way, *sizes, f"{seconds:.1f}", result)
            wrong += [f"{expected['file']} by {way}: {difference}" for difference in found]
    Console().print(table)
    print(*wrong, sep="\n", end="\n" if wrong else "")
    return 1 if wrong or not table.row_count else 0


if __name__ == "__main__":
    sys.exit(main())
