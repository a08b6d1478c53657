"""What the supervisor and the leases need to know of a server of any kind."""

import os
import secrets
from abc import ABC, abstractmethod
from pathlib import Path
from typing import ClassVar

from graphql_api.embedded.account import Account
from graphql_api.embedded.ports import LOOPBACK

LOG_LINES = 15


class Server(ABC):
    """One server of a data folder: its files, how to start and stop it, and how to tell that it answers."""

    name: ClassVar[str]
    stop_signals: ClassVar[tuple[str, ...]]
    pid_file_name: ClassVar[str]

    def __init__(self, folder: Path, account: Account | None, programs: Path) -> None:
        self.folder = folder
        self.account = account
        self.programs = programs
        self.data = folder / "data"
        self.lease_file = folder / "lease"
        self.starting_file = folder / "starting"
        self.alive_file = folder / "alive"
        self.port_file = folder / "port"
        self.log_file = folder / "log"

    @abstractmethod
    def prepare(self) -> None:
        """Create the data on the first start."""

    @abstractmethod
    def command(self, port: int) -> list[str]:
        """Return the command line; it holds no secret, because everybody can read it."""

    @abstractmethod
    def configuration(self, port: int) -> str:
        """Return what the server reads from its standard input."""

    @abstractmethod
    def answers(self, port: int) -> bool:
        """Tell whether the server answers on the port and takes work."""

    @abstractmethod
    def url(self, port: int) -> str:
        """Return the address for clients, with the password."""

    @property
    def environment(self) -> dict[str, str]:
        """The server's whole environment: nothing of ours leaks in, such as PGDATA or a locale."""
        return {"PATH": os.defpath, "LC_ALL": "C", "TZ": "UTC"}

    @property
    def password(self) -> str:
        """The random password, made when first asked for and kept in a file of ours."""
        file = self.folder / "password"
        try:
            return file.read_text()
        except FileNotFoundError:
            write_secret(file, secrets.token_urlsafe(32))
            return file.read_text()

    def last_log_lines(self) -> str:
        """Return the end of the server's log, for error messages."""
        if not self.log_file.exists():
            return ""
        return "\n".join(self.log_file.read_text(errors="replace").splitlines()[-LOG_LINES:])

    def address(self, port: int) -> str:
        """Return host and port as they stand in a URL."""
        return f"{LOOPBACK}:{port}"


def write_secret(file: Path, secret: str) -> None:
    """Write a file that only we can read; it appears complete or not at all."""
    unfinished = file.with_name(f"{file.name}.new")
    unfinished.unlink(missing_ok=True)
    descriptor = os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w") as output:
        output.write(secret)
    unfinished.rename(file)
