"""What the documentation says is so: links, commands, settings, codes, dependencies."""

import re
import tomllib
from pathlib import Path
from typing import Any

import pytest
import typer
import typer.core
import typer.main
from packaging.requirements import Requirement

from graphql_api.cli.main import create_program
from graphql_api.config import Settings
from graphql_api.imports.kinds import KINDS
from graphql_api.imports.layout import Layout
from graphql_api.imports.rejects import FileProblemCode, RejectCode
from graphql_api.schema import errors
from graphql_api.services.errors import ErrorCode
from tests.architecture.import_tables import codes_table, columns_table
from tests.architecture.repository import ROOT, markdown_files, shown
from tests.architecture.settings_table import settings_table

LINK = re.compile(r"\]\(([^)#]+)(#[^)]*)?\)")
CODE = re.compile(r"```\w*\n(.*?)```|`([^`\n]+)`", re.DOTALL)
MAKE = re.compile(r"^make ([a-z-]+)", re.MULTILINE)
PROGRAM = re.compile(r"(?:^|/|\s)graphql-api ([a-z-]+)((?: +\S+)*)")
TARGET = re.compile(r"^([a-z-]+):", re.MULTILINE)
LONGEST_RECORD = 20
DEPENDENCIES = "0007-dependencies.md"


def code_of(page: Path) -> str:
    return "\n".join(block or inline for block, inline in CODE.findall(page.read_text()))


def records() -> list[Path]:
    return sorted((ROOT / "docs/adr").glob("*.md"))


@pytest.mark.parametrize("page", markdown_files(), ids=shown)
def test_every_link_leads_somewhere(page: Path) -> None:
    targets = [target for target, _ in LINK.findall(page.read_text()) if "://" not in target]
    assert [target for target in targets if not (page.parent / target).exists()] == []


def test_every_make_target_in_the_pages_exists() -> None:
    targets = set(TARGET.findall((ROOT / "Makefile").read_text()))
    named = {target for page in markdown_files() for target in MAKE.findall(code_of(page))}
    assert {"run", "test", "check"} <= named
    assert named - targets == set()


def test_every_hook_is_a_make_target() -> None:
    targets = set(TARGET.findall((ROOT / "Makefile").read_text()))
    hooks = re.findall(r"entry: make ([a-z-]+)", (ROOT / ".pre-commit-config.yaml").read_text())
    assert hooks
    assert set(hooks) <= targets


def test_every_target_is_explained_and_not_a_file() -> None:
    makefile = (ROOT / "Makefile").read_text()
    targets = TARGET.findall(makefile)
    assert re.findall(r"^\.PHONY: ([a-z-]+)$", makefile, re.MULTILINE) == targets
    assert re.findall(r"^([a-z-]+):.* ## \S", makefile, re.MULTILINE) == targets


def test_every_command_in_the_pages_exists_with_its_options() -> None:
    commands = known_commands()
    used = [found for page in markdown_files() for found in PROGRAM.findall(code_of(page))]
    unknown = {
        f"{name} {option}"
        for name, arguments in used
        for option in ["", *re.findall(r"--[a-z-]+", arguments)]
        if name not in commands or (option and option not in options_of(commands[name]))
    }
    assert len(used) > 5
    assert unknown == set()


def known_commands() -> dict[str, typer.core.TyperCommand]:
    group: Any = typer.main.get_command(create_program([]))
    commands: dict[str, typer.core.TyperCommand] = group.commands
    return commands


def options_of(command: typer.core.TyperCommand) -> set[str]:
    return {option for parameter in command.params for option in (*parameter.opts, *parameter.secondary_opts)}


def test_the_readme_names_every_command() -> None:
    commands = known_commands()
    readme = (ROOT / "README.md").read_text()
    assert [name for name in commands if f"| `graphql-api {name}` |" not in readme] == []


def test_the_readme_lists_the_settings_as_they_are() -> None:
    lines = (ROOT / "README.md").read_text().splitlines()
    start = lines.index(settings_table()[0])
    assert lines[start : lines.index("", start)] == settings_table()


def test_the_example_of_an_environment_can_be_used(monkeypatch: pytest.MonkeyPatch) -> None:
    content = (ROOT / ".env.example").read_text()
    names = re.findall(r"^# ([A-Z_]+)=", content, re.MULTILINE)
    assert names == [name.upper() for name in Settings.model_fields]
    # when every line is uncommented, then all is as without the file
    for name, value in re.findall(r"^# ([A-Z_]+)=(.*)$", content, re.MULTILINE):
        monkeypatch.setenv(name, value)
    given = Settings(_env_file=None)
    for name in names:
        monkeypatch.delenv(name)
    assert given == Settings(_env_file=None)


def table_codes(page: str) -> list[str]:
    return re.findall(r"^\| `([A-Z_]+)`", page, re.MULTILINE)


def test_every_error_code_is_explained_once() -> None:
    page = (ROOT / "docs/errors.md").read_text()
    requests = {*ErrorCode, errors.PARSE_FAILED, errors.VALIDATION_FAILED, errors.INTERNAL}
    explained = table_codes(page.partition("## Rows of an import")[0])
    assert sorted(explained) == sorted(str(code) for code in requests)


def test_the_codes_that_mutations_return_are_marked() -> None:
    page = (ROOT / "docs/errors.md").read_text()
    assert set(re.findall(r"^\| `([A-Z_]+)` \*", page, re.MULTILINE)) == {str(code) for code in errors.EXPECTED}


@pytest.mark.parametrize("codes", [RejectCode, FileProblemCode])
def test_every_code_of_an_import_is_explained_in_its_words(codes: type[RejectCode] | type[FileProblemCode]) -> None:
    assert "\n".join(codes_table(codes)) in (ROOT / "docs/errors.md").read_text()


@pytest.mark.parametrize("layout", [kind.layout for kind in KINDS.values()], ids=lambda layout: layout.name)
def test_the_columns_of_a_file_are_listed_as_they_are(layout: Layout) -> None:
    assert "\n".join(columns_table(layout)) in (ROOT / "docs/imports.md").read_text()


def test_records_are_numbered_without_gaps_and_short() -> None:
    pages = records()
    assert [page.name[:4] for page in pages] == [f"{number:04d}" for number in range(1, len(pages) + 1)]
    lengths = {page.name: len(page.read_text().splitlines()) for page in pages if page.name != DEPENDENCIES}
    assert {name: length for name, length in lengths.items() if length > LONGEST_RECORD} == {}


def test_every_dependency_has_its_reason() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    wanted = {Requirement(line).name for line in [*project["dependencies"], *project["optional-dependencies"]["dev"]]}
    rows = re.findall(r"^\| ([a-z][\w, -]*) \| \w", (ROOT / "docs/adr" / DEPENDENCIES).read_text(), re.MULTILINE)
    assert {name.strip() for row in rows for name in row.split(",")} - {"to run", "to develop"} == wanted
