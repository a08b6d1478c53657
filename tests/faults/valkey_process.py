"""A Valkey that a test can kill, freeze and start again."""

import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from redis import ConnectionError as NoConnection
from redis import Redis
from redis import TimeoutError as NoAnswer

from graphql_api.embedded.programs import find_valkey_programs
from tests.ports import kept_port

PASSWORD = "of a test"  # noqa: S105 - of a server that lives as long as a test
PATIENCE = 120.0


@dataclass
class ValkeyProcess:
    """One Valkey, which keeps nothing when it ends.

    Args:
        folder: of its socket.
        port: where it listens, each time that it is started.
        process: it, while it runs.
    """

    folder: Path
    port: int
    process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        """Over TCP, with a password and the number of a database."""
        return f"redis://:{PASSWORD.replace(' ', '%20')}@127.0.0.1:{self.port}/3"

    @property
    def socket_url(self) -> str:
        """Over its socket in the folder."""
        return f"unix://:{PASSWORD.replace(' ', '%20')}@{self.folder / 'valkey.sock'}?db=2"

    def start(self) -> None:
        """Start it, empty, and wait until it answers."""
        options = {
            "bind": "127.0.0.1",
            "port": str(self.port),
            "unixsocket": str(self.folder / "valkey.sock"),
            "requirepass": PASSWORD,
            "save": "",
        }
        command = [str(find_valkey_programs() / "valkey-server")]
        for name, value in options.items():
            command += [f"--{name}", value]
        self.process = subprocess.Popen(command, cwd=self.folder, stdout=subprocess.DEVNULL)
        until = time.monotonic() + PATIENCE
        while not self._answers():
            assert time.monotonic() < until, "Valkey does not answer"
            time.sleep(0.02)

    def kill(self) -> None:
        """End it as the kernel does."""
        if self.process is not None:
            self.process.kill()
            self.process.wait()
            self.process = None

    def freeze(self) -> None:
        """Have it do nothing; its connections stay."""
        self._signal(signal.SIGSTOP)

    def thaw(self) -> None:
        """Have it go on."""
        self._signal(signal.SIGCONT)

    def ask(self, *command: str | bytes) -> object:
        """The answer to one command, on a connection of its own."""
        with Redis.from_url(self.url) as redis:
            return redis.execute_command(*command)

    def _signal(self, number: signal.Signals) -> None:
        assert self.process is not None
        self.process.send_signal(number)

    def _answers(self) -> bool:
        with suppress(NoConnection, NoAnswer), Redis.from_url(self.url) as redis:
            return bool(redis.ping())
        return False


@contextmanager
def running_valkey(folder: Path) -> Iterator[ValkeyProcess]:
    """A Valkey that runs."""
    with kept_port() as port:
        valkey = ValkeyProcess(folder, port)
        try:
            valkey.start()
            yield valkey
        finally:
            valkey.kill()
