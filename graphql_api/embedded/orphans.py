"""Servers whose supervisor was killed.

On Linux the kernel has told them to stop; elsewhere they run on. In both cases they must be gone before the
next start, and the file with their process id too: PostgreSQL believes a stale one when another process of
its account has that id by now.
"""

import os
import shutil
import signal
import subprocess
import time
from pathlib import Path

from graphql_api.embedded.errors import EmbeddedServerError
from graphql_api.embedded.server import Server

PROCESSES = Path("/proc")
POLL_SECONDS = 0.02
PATIENCE_SECONDS = 120.0


def end_orphan(server: Server) -> None:
    """Stop a server of this data folder that runs without a supervisor, and wait until it is gone."""
    pid_file = server.data / server.pid_file_name
    pid = _read_pid(pid_file)
    if pid is not None and _is_ours(pid, server):
        os.kill(pid, getattr(signal, server.stop_signals[0]))
        _wait_until_gone(pid, server)
    pid_file.unlink(missing_ok=True)


def _read_pid(pid_file: Path) -> int | None:
    try:
        words = pid_file.read_text().split()
    except FileNotFoundError:
        return None
    return int(words[0]) if words and words[0].isdecimal() else None


def _is_ours(pid: int, server: Server) -> bool:
    """Tell whether the process is a server of this folder; both kinds run in their data folder."""
    if PROCESSES.is_dir():
        try:
            return (PROCESSES / str(pid) / "cwd").readlink() == server.data.resolve()
        except OSError:
            return False
    ps = shutil.which("ps") or "/bin/ps"
    question = [ps, "-o", "command=", "-p", str(pid)]
    answer = subprocess.run(question, capture_output=True, text=True, check=False)  # noqa: S603 - only a number varies
    return str(server.programs) in answer.stdout


def _wait_until_gone(pid: int, server: Server) -> None:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while _is_ours(pid, server):
        if time.monotonic() > deadline:
            raise EmbeddedServerError(f"The {server.name} process {pid} does not stop. End it and start again.")
        time.sleep(POLL_SECONDS)
