"""docker-compose.yml, as far as it can be judged without starting it."""

import re
from typing import Any

import pytest
import yaml  # type: ignore[import-untyped]  # its stubs are not worth a dependency

from graphql_api.config import Settings
from tests.architecture.repository import ROOT

COMPOSE: dict[str, Any] = yaml.safe_load((ROOT / "docker-compose.yml").read_text())
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
OURS = sorted(name for name, service in SERVICES.items() if "build" in service)
ADMIN = {"ADMIN_EMAIL", "ADMIN_PASSWORD"}
VARIABLE = re.compile(r"(?<!\$)\$\{([A-Z_]+)(:-[^}]*)?\}")


def test_the_parts_are_the_ones_of_production() -> None:
    assert sorted(SERVICES) == ["api", "create-admin", "migrate", "postgres", "valkey", "worker"]
    assert OURS == ["api", "create-admin", "migrate", "worker"]


def test_only_the_command_for_it_gets_the_password_of_an_administrator_and_only_when_called() -> None:
    given = {name for name in OURS if ADMIN & set(SERVICES[name]["environment"])}
    assert given == {name for name in OURS if SERVICES[name].get("profiles")} == {"create-admin"}


@pytest.mark.parametrize("name", SERVICES)
def test_every_service_is_watched_or_says_why_not(name: str) -> None:
    check = SERVICES[name]["healthcheck"]
    assert check.get("test") or (check["disable"] and SERVICES[name]["x-no-healthcheck"])


@pytest.mark.parametrize("name", OURS)
def test_every_variable_is_a_setting(name: str) -> None:
    assert set(SERVICES[name]["environment"]) - ADMIN <= {field.upper() for field in Settings.model_fields}


@pytest.mark.parametrize("name", OURS)
def test_the_defaults_are_settings_that_can_be_used(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for variable, value in SERVICES[name]["environment"].items():
        monkeypatch.setenv(variable, VARIABLE.sub(lambda match: (match[2] or "")[2:], value))
    settings = Settings(_env_file=None)
    assert settings.database_url
    assert settings.redis_url
    assert not settings.worker_in_server


def test_only_the_api_can_be_reached_and_only_from_here() -> None:
    assert {name: service["ports"] for name, service in SERVICES.items() if "ports" in service} == {
        "api": ["127.0.0.1:${PORT:-8000}:8000"]
    }


@pytest.mark.parametrize("name", OURS)
def test_our_containers_have_no_rights_they_do_not_need(name: str) -> None:
    service = SERVICES[name]
    assert (service["read_only"], service["cap_drop"]) == (True, ["ALL"])
    assert service["security_opt"] == ["no-new-privileges:true"]


def test_every_volume_is_named() -> None:
    mounts = {mount.split(":")[0] for service in SERVICES.values() for mount in service.get("volumes", [])}
    assert mounts == set(COMPOSE["volumes"])


def test_every_variable_has_a_default() -> None:
    given = VARIABLE.findall((ROOT / "docker-compose.yml").read_text())
    assert given
    assert [name for name, default in given if not default] == []


def test_the_image_runs_without_rights_and_is_watched() -> None:
    lines = (ROOT / "Dockerfile").read_text().splitlines()
    last_stage = lines[max(index for index, line in enumerate(lines) if line.startswith("FROM ")) :]
    assert "USER api" in last_stage
    assert any(line.startswith("HEALTHCHECK ") for line in last_stage)
    assert not any("requirements-dev" in line for line in lines)


def test_the_image_gets_nothing_but_the_program() -> None:
    allowed = {line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")}
    copied = {
        source.split("/")[0]
        for line in (ROOT / "Dockerfile").read_text().replace("\\\n", " ").splitlines()
        if line.startswith("COPY ") and "--from" not in line
        for source in line.split()[1:-1]
    }
    assert copied == allowed
