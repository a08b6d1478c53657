"""A server as a user starts it: the installed program, its own servers, demonstration data."""

import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from graphql_api.config import Settings

PROGRAM = Path(sys.executable).with_name("graphql-api")
ADDRESS = re.compile(r"Endpoint\s+(http://\S+)/graphql")
PATIENCE_SECONDS = 30


@pytest.fixture(scope="session")
def server_address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Address of `graphql-api serve` on a free port, in an empty folder and without any setting but these."""
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
        yield read_address(server, log)
    finally:
        server.send_signal(signal.SIGTERM)
        output, _ = server.communicate(timeout=PATIENCE_SECONDS)
        assert server.returncode == 0, output + log.read_text()


def read_address(server: "subprocess.Popen[str]", log: Path) -> str:
    """The address it prints when it is ready."""
    for line in server.stdout or ():
        if found := ADDRESS.search(line):
            return found[1]
    raise AssertionError(f"The server did not start: {log.read_text()}")
