"""`graphql-api serve` as a process that can be stopped and started again at the same address."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from graphql_api.services.key import GivenKeys
from tests.programs import GRAPHQL_API, PIPE, Program

SECRET_KEY = "a-secret-key-of-the-tests-0123456789"  # noqa: S105 - of servers that live as long as a test
KEYS = GivenKeys(SECRET_KEY)
STOP_SECONDS = 60


@dataclass
class RealServer:
    """One server.

    Args:
        database_url: of a migrated database.
        redis_url: of a Valkey.
        folder: its DATA_DIR.
        port: where it listens, kept for it.
    """

    database_url: str
    redis_url: str
    folder: Path
    port: int
    _process: Program | None = None

    @property
    def url(self) -> str:
        """The endpoint."""
        return f"http://127.0.0.1:{self.port}/graphql"

    def start(self) -> None:
        """Start it and wait until it answers."""
        environment = {
            **os.environ,
            "DATABASE_URL": self.database_url,
            "REDIS_URL": self.redis_url,
            "DATA_DIR": str(self.folder),
            "SECRET_KEY": SECRET_KEY,
            "WORKER_IN_SERVER": "false",
        }
        arguments = ("serve", "--port", str(self.port))
        self._process = Program(GRAPHQL_API, *arguments, environment=environment, stdout=PIPE)
        lines = self._process.stdout or ()
        assert any(line.startswith("Endpoint") for line in lines), "the server did not start"

    def stop(self) -> None:
        """Have it end as an operator does; its clients are told to come again."""
        if self._process is None:
            return
        self._process.terminate()
        self._process.communicate(timeout=STOP_SECONDS)
        self._process = None


@contextmanager
def running(server: RealServer) -> Iterator[None]:
    """The server runs, at least when the block begins."""
    server.start()
    try:
        yield
    finally:
        server.stop()
