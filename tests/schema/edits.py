"""What tests of editable nouns share."""

from typing import Any

from sqlalchemy import event, select
from sqlmodel import col

from graphql_api.database.audit import AuditEntryRow
from graphql_api.database.engine import Database
from tests.client import Client


def errors_of(payload: dict[str, Any]) -> list[tuple[str, list[str]]]:
    """Code and path of each error."""
    return [(error["code"], error["path"]) for error in payload["userErrors"]]


class Editor:
    """Creates, changes and archives rows of one noun."""

    def __init__(self, client: Client, noun: str, fields: str) -> None:
        self.client = client
        self.noun = noun
        self.field = noun[0].lower() + noun[1:]
        self.fields = fields

    async def create(self, **values: Any) -> dict[str, Any]:
        return await self.run("create", values)

    async def created(self, **values: Any) -> str:
        """The id of a new row."""
        answer = await self.create(**values)
        assert answer["userErrors"] == []
        return str(answer[self.field]["id"])

    async def update(self, node_id: str, version: int = 1, **patch: Any) -> dict[str, Any]:
        return await self.run("update", {"id": node_id, "expectedVersion": version, **patch})

    async def archive(self, node_id: str, version: int = 1) -> dict[str, Any]:
        return await self.run("archive", {"id": node_id, "expectedVersion": version})

    async def run(self, verb: str, values: dict[str, Any]) -> dict[str, Any]:
        name = f"{verb}{self.noun}"
        document = (
            f"mutation ($input: {name[0].upper()}{name[1:]}Input!) {{ {name}(input: $input) {{ "
            f"{self.field} {{ id {self.fields} }} userErrors {{ code path message }} }} }}"
        )
        answer: dict[str, Any] = (await self.client.execute(document, input=values))[name]
        return answer


async def audit_entries(database: Database) -> list[AuditEntryRow]:
    """The whole record, oldest first."""
    async with database.read() as session:
        return list(await session.scalars(select(AuditEntryRow).order_by(col(AuditEntryRow.id))))


class Statements:
    """Counts what is asked of the database from now on."""

    def __init__(self, database: Database) -> None:
        self.texts: list[str] = []
        event.listen(
            database.engine.sync_engine, "before_cursor_execute", lambda *found: self.texts.append(str(found[2]))
        )

    @property
    def selects(self) -> int:
        return sum(text.lstrip().startswith("SELECT") and " FROM " in text.replace("\n", " ") for text in self.texts)
