"""The commands in this process, on a given database and Redis."""

import asyncio
import json
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from graphql_api.cli import main as main_function
from graphql_api.cli.failure import CommandError
from graphql_api.cli.import_file import ImportWork
from graphql_api.cli.import_report import ProgressView
from graphql_api.cli.main import COMMANDS, create_program
from graphql_api.database.engine import Database
from graphql_api.services.import_run import ImportRunner
from graphql_api.services.storage import FileStorage
from tests.factories import create_user
from tests.sales_files import sale, sales_csv


@pytest.fixture
def environment(
    database_url: str, redis_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> pytest.MonkeyPatch:
    """The settings of this test in the environment, and its folder as the current one."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("DATABASE_URL", database_url)
    monkeypatch.setenv("REDIS_URL", redis_url)
    return monkeypatch


def run(*arguments: str) -> Result:
    return CliRunner().invoke(create_program(list(arguments)), list(arguments))


@pytest.mark.usefixtures("environment")
def test_an_import_reports_counts_and_reasons(tmp_path: Path) -> None:
    path = tmp_path / "sales.csv"
    path.write_bytes(sales_csv([sale("INV-00000100001"), sale("INV-00000100002", date="nonsense")]))

    result = run("import", str(path), "--json")

    assert result.exit_code == 0, result.stderr
    report = json.loads(result.stdout)
    assert report["rejectsByCode"] == {"BAD_DATE": 1}
    assert (report["rowsRead"], report["rowsInserted"], report["rowsRejected"]) == (2, 1, 1)
    assert report["failure"] is None


@pytest.mark.usefixtures("environment")
@pytest.mark.parametrize(
    ("arguments", "status", "code", "inserted"),
    [
        (["--on-error", "all"], "REFUSED", 1, 0),
        (["--dry-run"], "COMPLETED", 0, 1),
        (["--map", "Date="], "FAILED", 1, 0),
        (["--map", "Nothing=Date"], "FAILED", 1, 0),
        (["--mode", "upsert"], "COMPLETED", 0, 1),
    ],
)
def test_options_decide_what_an_import_does(
    tmp_path: Path, arguments: list[str], status: str, code: int, inserted: int
) -> None:
    path = tmp_path / "sales.csv"
    path.write_bytes(sales_csv([sale("INV-00000100001"), sale("INV-00000100002", date="nonsense")]))

    result = run("import", str(path), "--json", *arguments)

    report = json.loads(result.stdout)
    assert (result.exit_code, report["status"]) == (code, status)
    assert (report["failure"] is not None) is (status == "FAILED")
    if status == "COMPLETED":
        assert report["rowsInserted"] == inserted


@pytest.mark.usefixtures("environment")
def test_a_file_that_is_no_table_is_refused_with_the_reason(tmp_path: Path) -> None:
    path = tmp_path / "picture.csv"
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + bytes(100))

    result = run("import", str(path))

    assert result.exit_code == 1
    assert "Failed, nothing was written" in result.stdout
    assert "CSV" in result.stdout


@pytest.mark.usefixtures("environment")
def test_the_rejected_rows_are_shown_and_written(tmp_path: Path) -> None:
    path, rejects = tmp_path / "sales.csv", tmp_path / "rejects.csv"
    path.write_bytes(sales_csv([sale("INV-00000100001"), sale("INV-00000100002", date="nonsense")]))

    result = run("import", str(path), "--rejects", str(rejects))

    assert result.exit_code == 0
    assert "1 inserted" in result.stdout
    assert "BAD_DATE" in result.stdout
    assert "nonsense" in rejects.read_text()


async def test_an_interruption_while_the_file_is_copied_leaves_nothing(database: Database, tmp_path: Path) -> None:
    path, folder = tmp_path / "sales.csv", tmp_path / "storage"
    path.write_bytes(sales_csv([sale("INV-00000100001")]))
    storage = FileStorage(str(folder))
    work = ImportWork(database, storage, ImportRunner(database, storage, 1 << 30), ProgressView())
    work.interrupted.set()

    stored = await work.store(path, 1 << 30)

    assert stored is None
    assert [found for found in folder.rglob("*") if found.is_file()] == []


@pytest.mark.parametrize(
    "arguments",
    [
        ["import"],
        ["import", "missing.csv"],
        ["import", "."],
        ["import", __file__, "--map", "x"],
        ["import", __file__, "--mode", "replace"],
        ["import", __file__, "--nothing"],
        ["nothing"],
    ],
)
def test_wrong_usage_ends_with_2(arguments: list[str]) -> None:
    assert run(*arguments).exit_code == 2


@pytest.mark.usefixtures("environment", "page")
async def test_the_doctor_finds_nothing_wrong(database: Database) -> None:
    async with database.transaction() as session:
        await create_user(session)

    result = await asyncio.to_thread(run, "doctor")

    assert result.exit_code == 0, result.stdout
    assert [line.split()[0] for line in result.stdout.splitlines()] == ["OK"] * 10


@pytest.fixture
def page(environment: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A page of GraphiQL that is built."""
    (tmp_path / "index.html").touch()
    environment.setattr("graphql_api.cli.doctor.DIST", tmp_path)


def doctor_lines() -> dict[str, str]:
    """What the doctor says, by what it is about."""
    return {line.split()[1]: line for line in run("doctor").stdout.splitlines()}


@pytest.mark.usefixtures("page")
def test_the_doctor_misses_an_administrator() -> None:
    line = doctor_lines()["Administrator"]

    assert line.startswith("FAIL")
    assert "graphql-api create-admin" in line


@pytest.mark.usefixtures("page")
def test_the_doctor_finds_keys_that_others_can_read(tmp_path: Path) -> None:
    assert doctor_lines()["Keys"].startswith("OK")
    (tmp_path / "var" / "keys.json").chmod(0o644)

    line = doctor_lines()["Keys"]

    assert line.startswith("FAIL")
    assert "chmod 600" in line


@pytest.mark.usefixtures("page")
def test_the_doctor_tells_where_mails_go(environment: pytest.MonkeyPatch) -> None:
    assert "var/mail" in doctor_lines()["Mail"]

    environment.setenv("SMTP_URL", "smtp://user:hidden@127.0.0.1:1")
    line = doctor_lines()["Mail"]

    assert line.startswith("FAIL")
    assert "127.0.0.1:1" in line
    assert "hidden" not in line


def test_the_doctor_says_what_to_do_about_every_fault(
    environment: pytest.MonkeyPatch, database_url: str, tmp_path: Path
) -> None:
    # given a database without the schema, a Redis that does not answer, and no build
    environment.setenv("DATABASE_URL", f"{database_url.rsplit('/', 1)[0]}/postgres")
    environment.setenv("REDIS_URL", "redis://:secret@127.0.0.1:1/0")
    environment.setattr("graphql_api.cli.doctor.DIST", tmp_path / "dist")

    result = run("doctor")

    assert result.exit_code == 1
    lines = {line.split()[1]: line for line in result.stdout.splitlines()}
    assert "graphql-api migrate" in lines["Migrations"]
    assert lines["Redis"].startswith("FAIL")
    assert "npm ci" in lines["GraphiQL"]
    assert "secret" not in result.stdout


def test_the_schema_is_written_and_compared(tmp_path: Path) -> None:
    path = tmp_path / "schema.graphql"

    assert run("export-schema", str(path)).exit_code == 0
    assert "type Query" in path.read_text()
    assert run("export-schema", str(path), "--check").exit_code == 0

    path.write_text(path.read_text().replace("type Query", "type Question"))
    outdated = run("export-schema", str(path), "--check")
    assert isinstance(outdated.exception, CommandError)
    assert "type Question" in outdated.stderr


def test_help_names_every_command() -> None:
    result = run("--help")

    assert result.exit_code == 0
    assert all(name in result.stdout for name in COMMANDS)


def test_the_version_is_printed(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.argv", ["graphql-api", "--version"])

    with pytest.raises(SystemExit) as ending:
        main_function()

    assert ending.value.code == 0
    assert capsys.readouterr().out.count(".") == 2
