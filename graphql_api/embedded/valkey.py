"""Valkey: a cache and a bus, so it keeps nothing on disk.

What it carries is either made again from PostgreSQL or is the fast path of an event that PostgreSQL holds.
Without snapshots and an append-only file it never waits for the disk, never forks, and starts at once.
"""

from typing import ClassVar

from graphql_api.embedded.account import hand_over
from graphql_api.embedded.memory import MEBIBYTE, available_memory
from graphql_api.embedded.ports import LOOPBACK, ask
from graphql_api.embedded.server import Server


class Valkey(Server):
    """The Valkey server of a data folder."""

    name = "valkey"
    stop_signals: ClassVar[tuple[str, ...]] = ("SIGTERM", "SIGKILL")
    pid_file_name = "valkey.pid"

    def prepare(self) -> None:
        """Make the folder that it runs in."""
        self.data.mkdir(mode=0o700, exist_ok=True)
        hand_over(self.data, self.account)

    def command(self, port: int) -> list[str]:
        """Return the command line: the configuration, which holds the password, comes from standard input."""
        del port
        return [str(self.programs / "valkey-server"), "-"]

    def configuration(self, port: int) -> str:
        """Return the configuration; relative paths start at the data folder."""
        limit = max(64 * MEBIBYTE, min(available_memory() // 20, 512 * MEBIBYTE))
        lines = (
            f"bind {LOOPBACK}",
            f"port {port}",
            f"requirepass {self.password}",
            f"pidfile {self.pid_file_name}",
            'save ""',
            "appendonly no",
            f"maxmemory {limit}",
            "maxmemory-policy allkeys-lru",
            "loglevel notice",
        )
        return "\n".join((*lines, ""))

    def answers(self, port: int) -> bool:
        """Tell whether it takes our password and returns a ping."""
        expected = b"+OK\r\n+PONG\r\n"
        return ask(port, f"AUTH {self.password}\r\nPING\r\n".encode(), len(expected)) == expected

    def url(self, port: int) -> str:
        """Return `redis://:password@host:port/0`."""
        return f"redis://:{self.password}@{self.address(port)}/0"
