"""The lock files pin everything that pyproject.toml asks for, and name no package index."""

import ast
import re
import tomllib
from importlib.metadata import packages_distributions

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from tests.architecture.repository import ROOT, python_files

LOCKS = ("requirements.lock", "requirements-dev.lock")
PIN = re.compile(r"^([\w.-]+)==([^ ;\\]+)", re.MULTILINE)
# Parts of what is asked for by name: of pydantic-settings, and of pandas.
BROUGHT_ALONG = {"numpy", "pydantic", "pydantic-core", "python-dotenv"}
ADDRESS = re.compile(r"://|--(extra-)?index-url|--find-links|--trusted-host")


def read_pins(lock: str) -> dict[str, str]:
    return {canonicalize_name(name): version for name, version in PIN.findall((ROOT / lock).read_text())}


def direct_requirements(lock: str) -> list[Requirement]:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    extra = project["optional-dependencies"]["dev"] if lock == "requirements-dev.lock" else []
    return [Requirement(line) for line in [*project["dependencies"], *extra]]


@pytest.mark.parametrize("lock", LOCKS)
def test_a_lock_file_names_no_index(lock: str) -> None:
    assert ADDRESS.findall((ROOT / lock).read_text()) == []


@pytest.mark.parametrize("lock", LOCKS)
def test_a_lock_file_pins_all_that_is_asked_for(lock: str) -> None:
    pins = read_pins(lock)
    wanted = direct_requirements(lock)
    assert [str(need) for need in wanted if canonicalize_name(need.name) not in pins] == []
    assert [str(need) for need in wanted if pins[canonicalize_name(need.name)] not in need.specifier] == []


@pytest.mark.parametrize("lock", LOCKS)
def test_every_pin_has_hashes(lock: str) -> None:
    entries = re.split(r"\n(?=[\w.-]+==)", (ROOT / lock).read_text())
    assert [entry.splitlines()[0] for entry in entries if "--hash=sha256:" not in entry] == []


def test_both_lock_files_pin_the_same_versions() -> None:
    runtime, development = (read_pins(lock) for lock in LOCKS)
    assert {name: development.get(name) for name in runtime} == runtime


@pytest.mark.parametrize("folder", ["graphql_api/transport/graphiql", "tests/clients", "benchmarks/subscriptions"])
def test_npm_packages_are_locked_without_addresses(folder: str) -> None:
    text = (ROOT / folder / "package-lock.json").read_text()
    assert '"resolved": "http' not in text
    assert '"integrity": "sha512-' in text


def imported_packages() -> set[str]:
    """Third-party distributions that the program imports."""
    modules = {
        name.partition(".")[0]
        for path in python_files("graphql_api")
        for node in ast.walk(ast.parse(path.read_text()))
        for name in imported_names(node)
    }
    distributions = packages_distributions()
    return {canonicalize_name(distributions[module][0]) for module in modules if module in distributions}


def imported_names(node: ast.AST) -> list[str]:
    if isinstance(node, ast.Import):
        return [alias.name for alias in node.names]
    return [node.module] if isinstance(node, ast.ImportFrom) and node.module else []


def test_what_the_program_imports_is_asked_for() -> None:
    direct = {canonicalize_name(need.name) for need in direct_requirements("requirements.lock")}
    imported = imported_packages() - {"graphql-api"}
    assert len(imported) > 10
    assert imported - direct - BROUGHT_ALONG == set()


def test_what_the_server_loads_by_name_is_installed_to_run() -> None:
    assert {"httptools", "uvloop"} <= set(read_pins("requirements.lock"))
