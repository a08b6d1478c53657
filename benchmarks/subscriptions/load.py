"""The client that all servers are measured with, in a process of its own."""

import json
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import IO, Any, cast


@dataclass(frozen=True)
class Arrivals:
    """When messages came, in nanoseconds of the machine's monotonic clock.

    Args:
        times: for each event those of all sockets.
        cpu: seconds of processor that the client needed.
    """

    times: Sequence[Sequence[int]]
    cpu: float

    @property
    def last(self) -> int:
        """When everything was there."""
        return max(max(of_event) for of_event in self.times)

    @property
    def count(self) -> int:
        """How many came."""
        return sum(map(len, self.times))


class Missing(RuntimeError):  # noqa: N818 - reads as what it is
    """Messages that did not come, or came twice."""


class Load:
    """Many sockets to one server."""

    def __init__(self, process: "subprocess.Popen[str]") -> None:
        self._process = process
        self.size = 0

    def open(self, port: int, sockets: int, documents: Sequence[str], token: str | None) -> None:
        """Connect, and subscribe with the documents in turns."""
        params = {"authorization": f"Bearer {token}"} if token else {}
        self._tell(do="open", port=port, sockets=sockets, documents=documents, params=params)
        self.size = int(self._answer()["open"])

    def expect(self, events: int, seconds: float) -> None:
        """Have each socket count from now on."""
        self._tell(do="expect", events=events, seconds=seconds)
        self._answer()

    def arrivals(self) -> Arrivals:
        """What has come since `expect`, once everything has.

        Raises:
            Missing: something did not come, or more than was expected.
        """
        answer = self._answer()
        if answer["missing"] or answer["unexpected"]:
            raise Missing(f"{answer['missing']:,} messages are missing, {answer['unexpected']:,} too many")
        return Arrivals(answer["arrivals"], answer["cpu"])

    def close(self) -> None:
        """Disconnect all."""
        self._tell(do="close")
        self._answer()

    def _tell(self, **command: Any) -> None:
        lines = cast("IO[str]", self._process.stdin)
        lines.write(f"{json.dumps(command)}\n")
        lines.flush()

    def _answer(self) -> dict[str, Any]:
        line = cast("IO[str]", self._process.stdout).readline()
        if not line:
            raise RuntimeError("The client has ended, see above.")
        return cast("dict[str, Any]", json.loads(line))


@contextmanager
def load() -> Iterator[Load]:
    """A client."""
    process = subprocess.Popen(
        [sys.executable, "-m", "benchmarks.subscriptions.load_client"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        yield Load(process)
    finally:
        process.kill()
        process.communicate()
