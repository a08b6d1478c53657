"""`verify-audit` as an operator runs it, on a record that was tampered with."""

import asyncio
import json
from pathlib import Path

import asyncpg
import pytest
from typer.testing import CliRunner, Result

from graphql_api.cli.failure import CommandError
from graphql_api.cli.main import create_program

INSERT = "INSERT INTO audit_entry (action, outcome, actor_id) VALUES ('updateProduct', 'DONE', 7)"
UNLOCK, LOCK = (f"ALTER TABLE audit_entry {state} TRIGGER USER" for state in ("DISABLE", "ENABLE"))
TAMPER = (UNLOCK, "UPDATE audit_entry SET actor_id = 8 WHERE position = 2", LOCK)
# The end of the chain is made to fit, which shows only against an earlier result.
CUT = (
    "ALTER TABLE audit_chain DISABLE TRIGGER USER",
    UNLOCK,
    "DELETE FROM audit_entry WHERE position > 1",
    """
    UPDATE audit_chain SET length = 1, hash = (SELECT e.hash FROM audit_entry e WHERE chain = audit_chain.id)
    WHERE length > 1
    """,
    LOCK,
    "ALTER TABLE audit_chain ENABLE TRIGGER USER",
)


@pytest.fixture
def record_url(database_url: str, redis_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A database with three entries in one chain, which the environment names."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("DATABASE_URL", database_url)
    monkeypatch.setenv("REDIS_URL", redis_url)
    execute(database_url, *[INSERT] * 3)
    return database_url


def execute(url: str, *statements: str) -> None:
    async def run() -> None:
        connection = await asyncpg.connect(url)
        try:
            for statement in statements:
                await connection.execute(statement)
        finally:
            await connection.close()

    asyncio.run(run())


def verify(*arguments: str) -> Result:
    return CliRunner().invoke(create_program(["verify-audit"]), ["verify-audit", *arguments])


@pytest.mark.usefixtures("record_url")
def test_an_untouched_record_is_well() -> None:
    result = verify()

    assert result.exit_code == 0, result.stderr
    assert "3 entries agree with their chains." in result.stdout
    assert "verify-audit --json > FILE" in result.stdout


def test_a_changed_entry_is_named(record_url: str) -> None:
    execute(record_url, *TAMPER)

    result = verify()
    report = json.loads(verify("--json").stdout)

    assert result.exit_code == 1
    (line,) = [line for line in result.stdout.splitlines() if line.startswith("FAIL")]
    assert "CHANGED: entry 2 of 20" in line
    assert "UTC, `updateProduct`" in line
    assert "does not say what it said" in line
    assert (report["intact"], report["checked"]) == (False, 3)
    assert [(fault["kind"], fault["entry"]["id"]) for fault in report["faults"]] == [("CHANGED", 2)]


def test_an_earlier_result_finds_what_was_cut_off(record_url: str, tmp_path: Path) -> None:
    note = tmp_path / "note.json"
    note.write_text(verify("--json").stdout)
    execute(record_url, INSERT)
    assert verify("--against", str(note)).exit_code == 0

    execute(record_url, *CUT)
    report = json.loads(verify("--json", "--against", str(note)).stdout)

    assert verify().exit_code == 0
    assert [fault["kind"] for fault in report["faults"]] == ["CUT_OFF"]
    assert "1 entries and had 3" in report["faults"][0]["detail"]


@pytest.mark.usefixtures("record_url")
@pytest.mark.parametrize(
    "content", ["", "nonsense", "[]", '{"ends": 1}', '{"ends": {"1": [2]}}', '{"ends": {"1": [2, "x"]}}']
)
def test_a_file_that_is_no_earlier_result_is_refused(tmp_path: Path, content: str) -> None:
    note = tmp_path / "note.json"
    note.write_text(content)

    result = verify("--against", str(note))

    assert isinstance(result.exception, CommandError)
    assert "verify-audit --json" in str(result.exception)
