"""The program as users start it: a process with its own folder, environment and standard streams."""

import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any, TypeAlias, cast

import httpx
import pytest

from graphql_api import embedded
from tests.programs import GRAPHQL_API, PIPE, Program

PROGRAM = [sys.executable, "-c", "from graphql_api.cli import main; main()"]
TIMEOUT_SECONDS = 120
Running: TypeAlias = "subprocess.Popen[str] | Program"
ADMIN = {"ADMIN_EMAIL": "Boss@Shop.example", "ADMIN_PASSWORD": "violet harbour lantern"}
LOGIN = "mutation ($input: LoginInput!) { login(input: $input) { accessToken userErrors { message } } }"


@dataclass(frozen=True)
class Installation:
    """A folder in which the program is started, without settings of the person who runs the tests."""

    folder: Path
    started: list["Running"] = field(default_factory=list)

    def environment(self, **settings: str) -> dict[str, str]:
        outer = {name: os.environ[name] for name in ("PATH", "HOME", "TMPDIR", "VIRTUAL_ENV") if name in os.environ}
        return {**outer, "COLUMNS": "200", **settings}

    def run(self, *arguments: str, **settings: str) -> subprocess.CompletedProcess[str]:
        """Run a command to its end."""
        process = self._program(*arguments, **settings)
        output, errors = process.communicate(TIMEOUT_SECONDS)
        return subprocess.CompletedProcess(arguments, process.wait(), output, errors)

    def run_from_nothing(self, *arguments: str, **settings: str) -> subprocess.CompletedProcess[str]:
        """Run a command to its end in a Python of its own, which takes a second or two more."""
        return subprocess.run(
            [*PROGRAM, *arguments],
            cwd=self.folder,
            env=self.environment(**settings),
            capture_output=True,
            text=True,
            timeout=TIMEOUT_SECONDS,
            check=False,
        )

    def start(self, *arguments: str, **settings: str) -> Program:
        """Start a command and leave it running."""
        process = self._program(*arguments, **settings)
        self.started.append(process)
        return process

    def start_from_nothing(self, *arguments: str, **settings: str) -> "subprocess.Popen[str]":
        """Start a command in a Python of its own and leave it running."""
        process = subprocess.Popen(
            [*PROGRAM, *arguments],
            cwd=self.folder,
            env=self.environment(**settings),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        self.started.append(process)
        return process

    def _program(self, *arguments: str, **settings: str) -> Program:
        environment = self.environment(**settings)
        return Program(GRAPHQL_API, *arguments, environment=environment, folder=self.folder, stdout=PIPE, stderr=PIPE)

    def stop_all(self) -> None:
        """End what a test that failed has left running."""
        for process in self.started:
            if process.poll() is None:
                process.terminate()
            process.communicate(timeout=TIMEOUT_SECONDS)


@pytest.fixture
def installation(tmp_path: Path) -> Iterator[Installation]:
    """A fresh installation; its embedded servers end with the commands."""
    installation = Installation(tmp_path)
    yield installation
    installation.stop_all()
    if (tmp_path / "var").exists():
        embedded.remove(tmp_path / "var")


@dataclass(frozen=True)
class Operator:
    """Somebody who runs commands of an installation on a given database."""

    installation: Installation
    servers: dict[str, str]

    def run(self, *arguments: str, **settings: str) -> subprocess.CompletedProcess[str]:
        """Run a command to its end."""
        return self.installation.run(*arguments, **self.servers, **settings)

    def start(self, *arguments: str, **settings: str) -> Program:
        """Start a command and leave it running."""
        return self.installation.start(*arguments, **self.servers, **settings)


@pytest.fixture
def operator(installation: Installation, database_url: str, redis_url: str) -> Operator:
    """Somebody who runs commands on this test's own database."""
    return Operator(installation, {"DATABASE_URL": database_url, "REDIS_URL": redis_url})


def sign_in(url: str) -> dict[str, str]:
    """The header of an access token for the account that `create-admin` makes of `ADMIN`."""
    credentials = {"email": ADMIN["ADMIN_EMAIL"], "password": ADMIN["ADMIN_PASSWORD"]}
    answer = httpx.post(url, json={"query": LOGIN, "variables": {"input": credentials}}, timeout=TIMEOUT_SECONDS)
    payload = answer.json()["data"]["login"]
    assert payload["userErrors"] == []
    return {"authorization": f"Bearer {payload['accessToken']}"}


def served_url(process: "Running") -> str:
    """The endpoint's address, once the server has printed it."""
    return greeting(process)[-1].split()[1]


def greeting(process: "Running") -> list[str]:
    """What the server prints before it serves, up to its endpoint."""
    lines: list[str] = []
    for line in cast("IO[str]", process.stdout):
        lines.append(line)
        if re.match(r"Endpoint\s+\S+", line):
            return lines
    raise AssertionError(f"The server ended early: {cast('IO[str]', process.stderr).read()}")


def stop(process: "Running", number: int = signal.SIGTERM) -> tuple[int, str]:
    """Send the signal; exit code and error output of a process that must end then."""
    process.send_signal(number)
    _, errors = process.communicate(timeout=TIMEOUT_SECONDS)
    return process.wait(), errors


def last_json(output: str) -> dict[str, Any]:
    """The one JSON object a command printed."""
    (line,) = output.splitlines()
    result: dict[str, Any] = json.loads(line)
    return result
