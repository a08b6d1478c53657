"""A program on Node.js as a process, and what it has printed."""

import os
import subprocess
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from shutil import which
from typing import IO, cast

PATIENCE_SECONDS = 120
POLL_SECONDS = 0.01


class NodeProgram:
    """A process that runs until it is ended.

    Args:
        command: what to run.
        folder: where.
        environment: what it is told besides the environment of this process.
    """

    def __init__(self, command: Sequence[str | Path], folder: Path, environment: Mapping[str, str]) -> None:
        self.lines: list[str] = []
        self.complaints: list[str] = []
        self._process = subprocess.Popen(
            command,
            cwd=folder,
            env={**os.environ, **environment},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        self._readers = [
            threading.Thread(target=self._read, args=(self._process.stdout, self.lines)),
            threading.Thread(target=self._read, args=(self._process.stderr, self.complaints)),
        ]
        for reader in self._readers:
            reader.start()

    def wait_for(self, is_there: Callable[[], object]) -> None:
        """Wait until something is there.

        Raises:
            AssertionError: it is not, and the time is over or the program has ended; with what it printed last.
        """
        deadline = time.monotonic() + PATIENCE_SECONDS
        while not is_there():
            is_over = self._process.poll() is not None or time.monotonic() > deadline
            assert not is_over or is_there(), "".join([*self.lines[-5:], *self.complaints])
            time.sleep(POLL_SECONDS)

    def tell(self, line: str) -> None:
        """Write a line to its standard input."""
        stdin = cast("IO[str]", self._process.stdin)
        stdin.write(f"{line}\n")
        stdin.flush()

    def ended(self) -> int:
        """The status that it has ended with by itself."""
        status = self._process.wait(PATIENCE_SECONDS)
        for reader in self._readers:
            reader.join()
        return status

    def end(self) -> None:
        """End it."""
        self._process.kill()
        self._process.wait()
        for reader in self._readers:
            reader.join()
        for stream in (self._process.stdin, self._process.stdout, self._process.stderr):
            cast("IO[str]", stream).close()

    @staticmethod
    def _read(stream: IO[str], lines: list[str]) -> None:
        for line in stream:
            lines.append(line)  # noqa: PERF402 - each is to be seen as it comes


@contextmanager
def node_program(arguments: Sequence[str | Path], folder: Path, **environment: str) -> Iterator[NodeProgram]:
    """`node` with these arguments, until the block ends."""
    program = NodeProgram([which("node") or "node", *arguments], folder, environment)
    try:
        yield program
    finally:
        program.end()
