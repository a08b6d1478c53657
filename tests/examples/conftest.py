"""A server as a user starts it: the installed program, its own servers, demonstration data."""

import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest

from graphql_api.config import Settings

PROGRAM = Path(sys.executable).with_name("graphql-api")
ADDRESS = re.compile(r"Endpoint\s+(http://\S+)/graphql")
LOGIN = re.compile(r"  (?P<role>[A-Z]+) +(?P<email>\S+@demo\.example) +(?P<password>\w{12})$")
PATIENCE_SECONDS = 120
SIGN_IN = "mutation ($input: LoginInput!) { login(input: $input) { accessToken userErrors { message } } }"


@dataclass(frozen=True)
class DemoServer:
    """`graphql-api serve` with demonstration data: where it is, and the logins it has printed.

    Args:
        address: `http://…`, without a path.
        folder: its DATA_DIR.
        passwords: by e-mail address.
    """

    address: str
    folder: Path
    passwords: dict[str, str]

    def execute(self, query: str, variables: dict[str, Any] | None = None, **headers: str) -> Any:
        """The data of an answer that has no errors."""
        body = {"query": query, "variables": variables}
        content = httpx.post(f"{self.address}/graphql", json=body, headers=headers, timeout=PATIENCE_SECONDS).json()
        assert "errors" not in content, content
        return content["data"]

    def listen(self, subscription: str, variables: dict[str, Any] | None = None, **headers: str) -> None:
        """Begin to listen, and leave; fails unless the subscription was taken."""
        body = {"query": subscription, "variables": variables}
        headers |= {"accept": "text/event-stream"}
        address = f"{self.address}/graphql"
        with httpx.stream("POST", address, json=body, headers=headers, timeout=PATIENCE_SECONDS) as response:
            assert response.status_code == httpx.codes.OK, response.read()
            assert response.headers["content-type"].startswith("text/event-stream")

    def sign_in(self, email: str) -> str:
        """An access token for one of the logins."""
        payload = self.execute(SIGN_IN, {"input": {"email": email, "password": self.passwords[email]}})["login"]
        assert payload["userErrors"] == []
        return str(payload["accessToken"])


@pytest.fixture(scope="session")
def demo_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DemoServer]:
    """`graphql-api serve` on a free port, in an empty folder and without any setting but these."""
    folder = tmp_path_factory.mktemp("serve")
    settings = {name.upper() for name in Settings.model_fields}
    environment = {name: value for name, value in os.environ.items() if name not in settings}
    environment |= {"DEMO": "true", "PORT": "0"}
    log = folder / "log"
    with log.open("w") as errors:
        server = subprocess.Popen(
            [PROGRAM, "serve"], cwd=folder, env=environment, stdout=subprocess.PIPE, stderr=errors, text=True
        )
    try:
        yield read_greeting(server, folder, log)
    finally:
        server.send_signal(signal.SIGTERM)
        output, _ = server.communicate(timeout=PATIENCE_SECONDS)
        assert server.returncode == 0, output + log.read_text()


@pytest.fixture(scope="session")
def server_address(demo_server: DemoServer) -> str:
    """The address of the server."""
    return demo_server.address


@pytest.fixture(scope="session")
def staff_token(demo_server: DemoServer) -> str:
    """An access token of the staff's login."""
    return demo_server.sign_in("staff@demo.example")


def read_greeting(server: "subprocess.Popen[str]", folder: Path, log: Path) -> DemoServer:
    """What it prints when it is ready."""
    passwords: dict[str, str] = {}
    for line in server.stdout or ():
        if login := LOGIN.match(line):
            passwords[login["email"]] = login["password"]
        if found := ADDRESS.search(line):
            return DemoServer(found[1], folder / "var", passwords)
    raise AssertionError(f"The server did not start: {log.read_text()}")
