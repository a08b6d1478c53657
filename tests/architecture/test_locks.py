"""The lock files pin everything that pyproject.toml asks for, and name no package index."""

import re
import tomllib

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from tests.architecture.repository import ROOT

LOCKS = ("requirements.lock", "requirements-dev.lock")
PIN = re.compile(r"^([\w.-]+)==([^ ;\\]+)", re.MULTILINE)
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


def test_the_page_locks_its_packages_without_addresses() -> None:
    text = (ROOT / "graphql_api/transport/graphiql/package-lock.json").read_text()
    assert '"resolved": "http' not in text
    assert '"integrity": "sha512-' in text
