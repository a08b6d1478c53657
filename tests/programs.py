"""Programs of this project, each in a process of its own, that start at once.

To load the program takes three seconds of a processor, which hundreds of starts cannot spend. So one process loads it,
and each start is a fork of that: with arguments, environment, folder and streams of its own, and free to be killed.
That the command starts from nothing is the business of the tests that run it as installed.
"""

import atexit
import json
import os
import select
import signal
import socket
import subprocess
import sys
import threading
import traceback
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import IO, NoReturn

ROOT = Path(__file__).parents[1]
GRAPHQL_API = "graphql_api.cli:main"
# What the program, its commands, and the programs of tests need.
LOADED = ("graphql_api.cli.service", "graphql_api.cli.description", "graphql_api.cli.main", "tests.client")
PIPE = subprocess.PIPE


class Program:
    """A process that was started, with what tests use of `subprocess.Popen`.

    Args:
        function: what it runs, as `module:function`, with `arguments` in `sys.argv`.
        arguments: of the command line.
        environment: the whole of it; that of this process by default.
        folder: where it runs; that of this process by default.
        stdout: PIPE, a file, or None for that of this process.
        stderr: as `stdout`.
    """

    def __init__(
        self,
        function: str,
        *arguments: str,
        environment: Mapping[str, str] | None = None,
        folder: Path | None = None,
        stdout: IO[str] | int | None = None,
        stderr: IO[str] | int | None = None,
    ) -> None:
        self.returncode: int | None = None
        self._heard = b""
        self._talk, talk = socket.socketpair()
        self.stdout, output = _stream(stdout, 1)
        self.stderr, errors = _stream(stderr, 2)
        orders = {
            "function": function,
            "arguments": arguments,
            "environment": dict(os.environ if environment is None else environment),
            "folder": str(folder or Path.cwd()),
        }
        with talk:
            _nursery().fork(talk.fileno(), output, errors)
        os.close(output)
        os.close(errors)
        self._talk.sendall(json.dumps(orders).encode() + b"\n")
        while b"\n" not in self._heard:
            self._listen(None)
        number, _, self._heard = self._heard.partition(b"\n")
        self.pid = int(number)

    def poll(self) -> int | None:
        """Its exit code; None while it runs."""
        with suppress(subprocess.TimeoutExpired):
            self.wait(0)
        return self.returncode

    def wait(self, timeout: float | None = None) -> int:
        """Wait for its end; its exit code, negative for a signal.

        Raises:
            subprocess.TimeoutExpired: it still runs after so many seconds.
        """
        while self.returncode is None:
            # of one that ended at once this may have come together with its number
            if b"\n" not in self._heard:
                self._listen(timeout)
                continue
            self.returncode = int(self._heard)
            self._talk.close()
        return self.returncode

    def communicate(self, timeout: float | None = None) -> tuple[str, str]:
        """Wait for its end; what it has written to its streams, "" for one that is no pipe."""
        streams = [stream for stream in (self.stdout, self.stderr) if stream]
        with ThreadPoolExecutor(2) as pool:
            contents = {stream: pool.submit(stream.read) for stream in streams if not stream.closed}
            try:
                self.wait(timeout)
            except subprocess.TimeoutExpired:
                self.kill()
                raise
            read = {stream: content.result() for stream, content in contents.items()}
        self.close()
        return tuple(read.get(stream, "") if stream else "" for stream in (self.stdout, self.stderr))  # type: ignore[return-value]  # two

    def close(self) -> None:
        """Read no more of what it writes."""
        for stream in (self.stdout, self.stderr):
            if stream:
                stream.close()

    def send_signal(self, number: int) -> None:
        """Send a signal, unless it has ended."""
        if self.poll() is None:
            with suppress(ProcessLookupError):
                os.kill(self.pid, number)

    def terminate(self) -> None:
        """Ask it to stop."""
        self.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        """End it as the kernel does, at once and without a last word; it has ended afterwards."""
        self.send_signal(signal.SIGKILL)
        self.wait()

    def _listen(self, timeout: float | None) -> None:
        if not select.select([self._talk], [], [], timeout)[0]:
            raise subprocess.TimeoutExpired(str(self), timeout or 0)
        content = self._talk.recv(64)
        assert content, "whoever starts programs has ended"
        self._heard += content


def _stream(wanted: IO[str] | int | None, own: int) -> tuple[IO[str] | None, int]:
    """Our end, if it is a pipe, and the program's, which is to be closed."""
    if wanted == PIPE:
        ours, theirs = os.pipe()
        return os.fdopen(ours, encoding="utf-8"), theirs
    if wanted is None:
        return None, os.dup(own)
    return None, os.dup(wanted if isinstance(wanted, int) else wanted.fileno())


class _Nursery:
    """The process that has everything loaded."""

    def __init__(self) -> None:
        self._turn = threading.Lock()
        self._line, line = socket.socketpair()
        command = [sys.executable, "-m", "tests.programs", str(line.fileno())]
        # no threads, of which a fork would have none
        environment = {**os.environ, "OPENBLAS_NUM_THREADS": "1"}
        with line:
            self._process = subprocess.Popen(command, cwd=ROOT, env=environment, pass_fds=[line.fileno()])
        atexit.register(self.close)

    def fork(self, *descriptors: int) -> None:
        """Have a process begin that holds these."""
        with self._turn:
            socket.send_fds(self._line, [b"."], descriptors)

    def close(self) -> None:
        """End it; the programs that it has started go on."""
        self._line.close()
        self._process.wait()


_nursery = cache(_Nursery)


def main(line: socket.socket) -> Callable[[], None]:
    """Fork whenever a message comes; returns in each fork, with what it is to run."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    woken, waking = socket.socketpair()
    waking.settimeout(0)
    signal.set_wakeup_fd(waking.fileno())
    children: dict[int, socket.socket] = {}
    while True:
        ready, _, _ = select.select([line, woken], [], [])
        if woken in ready:
            woken.recv(4096)
            _tell_of_ends(children)
        if line not in ready:
            continue
        message, descriptors, _, _ = socket.recv_fds(line, 1, 3)
        if not message:
            os._exit(0)
        talk = socket.socket(fileno=descriptors[0])
        if not (number := os.fork()):
            signal.set_wakeup_fd(-1)
            for unneeded in (line, woken, waking, *children.values()):
                unneeded.close()
            return _follow(talk, *descriptors[1:])
        children[number] = talk
        talk.sendall(f"{number}\n".encode())
        for descriptor in descriptors[1:]:
            os.close(descriptor)


def _tell_of_ends(children: dict[int, socket.socket]) -> None:
    """Tell whoever waits for those that have ended, with their exit codes."""
    for number in list(children):
        ended, status = os.waitpid(number, os.WNOHANG)
        if ended:
            with children.pop(number) as talk, suppress(OSError):
                talk.sendall(f"{os.waitstatus_to_exitcode(status)}\n".encode())


def _follow(talk: socket.socket, output: int, errors: int) -> Callable[[], None]:
    """Become what the orders say."""
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    with Path(os.devnull).open() as nothing:
        os.dup2(nothing.fileno(), 0)
    os.dup2(output, 1)
    os.dup2(errors, 2)
    os.close(output)
    os.close(errors)
    with talk, talk.makefile() as lines:
        orders = json.loads(lines.readline())
    os.chdir(orders["folder"])
    os.environ.clear()
    os.environ.update(orders["environment"])
    module, _, function = orders["function"].partition(":")
    sys.argv = [module, *orders["arguments"]]
    run: Callable[[], None] = getattr(import_module(module), function)
    return run


def _leave(run: Callable[[], None]) -> NoReturn:
    """Run it and end as Python does, but for taking a million objects apart, which takes 0.2 seconds."""
    code: object = 0
    try:
        run()
    except SystemExit as ending:
        code = ending.code or 0
    except BaseException:  # noqa: BLE001 - whatever it is, the interpreter would show it
        traceback.print_exc()
        code = 1
    threading._shutdown()  # type: ignore[attr-defined]  # noqa: SLF001 - waits for threads
    atexit._run_exitfuncs()  # noqa: SLF001 - among them writes down what was covered
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code if isinstance(code, int) else 1)


def _load() -> None:
    from graphql_api.cli.loading import load  # noqa: PLC0415 - not in the processes that only ask
    from graphql_api.cli.main import COMMANDS  # noqa: PLC0415 - as above

    for name in (*LOADED, *(f"graphql_api.cli.{module}" for module, _ in COMMANDS.values())):
        load(name)


if __name__ == "__main__":
    _load()
    _leave(main(socket.socket(fileno=int(sys.argv[1]))))
