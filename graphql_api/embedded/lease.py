"""A use of a running server: the first user starts it, the last one to leave has it stopped."""

import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import BinaryIO

from graphql_api.embedded import supervisor
from graphql_api.embedded.errors import EmbeddedServerError
from graphql_api.embedded.locks import POLL_SECONDS, Lock, acquire, held, is_available
from graphql_api.embedded.orphans import end_orphan
from graphql_api.embedded.ports import choose_port, is_free
from graphql_api.embedded.server import Server, write_secret

PATIENCE_SECONDS = 300.0  # recovery after a crash in the middle of an import takes its time
ATTEMPTS = 3
LARGE_LOG_BYTES = 10_000_000


class Lease:
    """The right to use a server until it is released, or until this process dies."""

    def __init__(self, server: Server, descriptor: int, port: int) -> None:
        self._server = server
        self._descriptor: int | None = descriptor
        self.url = server.url(port)

    def release(self) -> None:
        """Stop using the server; return when it has stopped, or at once when others use it."""
        if self._descriptor is None:
            return
        with held(self._server.starting_file, Lock.EXCLUSIVE, PATIENCE_SECONDS):
            os.close(self._descriptor)
            self._descriptor = None
            _wait_until_stopped(self._server)


def use(server: Server) -> Lease:
    """Start the server, or join those who use it already."""
    with held(server.starting_file, Lock.EXCLUSIVE, PATIENCE_SECONDS):
        if _last_port(server) is None:
            _wait_until_stopped(server)  # a start that was cut off before anyone saw the server ready
        descriptor = acquire(server.lease_file, Lock.SHARED, PATIENCE_SECONDS)
        try:
            return Lease(server, descriptor, _find_running(server) or _start(server))
        except BaseException:
            os.close(descriptor)
            raise


def is_in_use(home: Path) -> bool:
    """Tell whether any server of this home has a user or a supervisor."""
    files = [*home.glob("*/lease"), *home.glob("*/alive")]
    return not all(is_available(file, Lock.EXCLUSIVE) for file in files)


def _find_running(server: Server) -> int | None:
    """Return the port of the running server; wait if its supervisor is just restarting it."""
    port = _last_port(server)
    if port is None or not _is_supervised(server):
        return None
    return port if _wait_until_ready(server, port) else None


def _start(server: Server) -> int:
    """Start the server and return its port: the same as last time when it is free."""
    end_orphan(server)
    server.prepare()
    preferred = _last_port(server)
    server.port_file.unlink(missing_ok=True)
    for _ in range(ATTEMPTS):
        port = choose_port(preferred)
        _launch_supervisor(server, port)
        if _wait_until_ready(server, port):
            write_secret(server.port_file, str(port))
            return port
        if is_free(port):
            break  # not the port's fault: another one would not help
    raise EmbeddedServerError(
        f"{server.name} in {server.data} did not start. The end of {server.log_file}:\n"
        f"{server.last_log_lines()}\n"
        "Mend what it names, set DATA_DIR to another folder, or set DATABASE_URL and REDIS_URL."
    )


def _launch_supervisor(server: Server, port: int) -> None:
    with _open_log(server) as log:
        subprocess.run(  # noqa: S603 - our own script, run by our own interpreter
            [sys.executable, "-I", "-S", str(Path(supervisor.__file__))],
            input=json.dumps(_task(server, port)).encode() + b"\n",
            stdout=log,
            stderr=log,
            cwd="/",
            start_new_session=True,  # Ctrl-C in a terminal is for the program, not for its servers
            check=False,
        )


def _task(server: Server, port: int) -> dict[str, object]:
    uid, gid = server.account or (None, None)
    return {
        "command": server.command(port),
        "configuration": server.configuration(port),
        "environment": server.environment,
        "folder": str(server.data),
        "uid": uid,
        "gid": gid,
        "stop_signals": server.stop_signals,
        "lease": str(server.lease_file),
        "alive": str(server.alive_file),
        "port_file": str(server.port_file),
    }


def _wait_until_ready(server: Server, port: int) -> bool:
    """Wait until the server answers; return False when its supervisor has given up."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not server.answers(port):
        if not _is_supervised(server):
            return False
        if time.monotonic() > deadline:
            raise EmbeddedServerError(
                f"{server.name} does not answer on {server.address(port)}. See {server.log_file}."
            )
        time.sleep(POLL_SECONDS)
    return True


def _wait_until_stopped(server: Server) -> None:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while _is_supervised(server) and not _has_other_users(server) and time.monotonic() < deadline:
        time.sleep(POLL_SECONDS)


def _has_other_users(server: Server) -> bool:
    """Tell others, who share the lease, from a supervisor that holds it alone while it stops the server."""
    lease = server.lease_file
    return not is_available(lease, Lock.EXCLUSIVE) and is_available(lease, Lock.SHARED)


def _is_supervised(server: Server) -> bool:
    return not is_available(server.alive_file, Lock.SHARED)


def _last_port(server: Server) -> int | None:
    try:
        return int(server.port_file.read_text())
    except (FileNotFoundError, ValueError):
        return None


def _open_log(server: Server) -> BinaryIO:
    flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW
    log = os.fdopen(os.open(server.log_file, flags, 0o600), "ab")
    if log.tell() > LARGE_LOG_BYTES:
        log.truncate(0)
    return log
