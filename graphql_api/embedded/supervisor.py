"""Keeps one server running for as long as anybody uses it, then stops it in good order.

This is a script of its own, run by path and with the standard library alone: it starts in 30 ms, and it does
not die with the program that started it. Each user of a server holds a shared lock on its `lease` file. The
supervisor tries to take that lock for itself; it gets it when the last user has left, by whatever death, and
holds it until the server has stopped, so whoever comes next finds the server either running or gone, never on
its way out. It also restarts a server that dies while it is in use.
"""

import contextlib
import ctypes
import fcntl
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import IO, Any, cast

POLL_SECONDS = 0.1
SETTLED_SECONDS = 10.0
PATIENCE_SECONDS = 120.0
SET_PARENT_DEATH_SIGNAL = 1  # PR_SET_PDEATHSIG of <sys/prctl.h>


def main() -> None:
    """Read the task from standard input, go to the background, and supervise."""
    task: dict[str, Any] = json.loads(sys.stdin.readline())
    alive = os.open(task["alive"], os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o600)
    fcntl.flock(alive, fcntl.LOCK_EX)
    # the starter waits for this parent: from then on the lock alone tells whether we live
    if os.fork():
        os._exit(0)
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        # A service manager signals all processes at once, while the users of the server still finish their
        # work. A handler, unlike SIG_IGN, is not inherited by the server.
        signal.signal(number, lambda *_: None)
    supervise(task)


def supervise(task: dict[str, Any]) -> None:
    """Run the server until the last user has left, or until it dies before anyone has seen it ready."""
    lease = os.open(task["lease"], os.O_RDWR | os.O_NOFOLLOW)
    server, started = launch(task), time.monotonic()
    while not take(lease):
        time.sleep(POLL_SECONDS)
        if server.poll() is None:
            continue
        if not Path(task["port_file"]).exists():
            return
        if time.monotonic() - started < SETTLED_SECONDS:
            time.sleep(1)  # it fails at once: do not fill the log
        server, started = launch(task), time.monotonic()
    stop(server, [getattr(signal, name) for name in task["stop_signals"]])


def launch(task: dict[str, Any]) -> subprocess.Popen[bytes]:
    """Start the server under its account, give it its configuration, and let the kernel end it with us."""
    server = subprocess.Popen(  # noqa: S603 - the task comes from our own starter
        task["command"],
        stdin=subprocess.PIPE,
        cwd=task["folder"],
        env=task["environment"],
        user=task["uid"],
        group=task["gid"],
        extra_groups=None if task["gid"] is None else [],
        preexec_fn=end_with_parent(task["stop_signals"][0]),  # noqa: PLW1509 - this process has one thread
    )
    with contextlib.suppress(BrokenPipeError), cast("IO[bytes]", server.stdin) as configuration:
        configuration.write(task["configuration"].encode())  # a broken pipe is a dead server: the loop will see
    return server


def end_with_parent(signal_name: str) -> Callable[[], None]:
    """Return what asks the kernel, on Linux, to send the signal when this supervisor is killed.

    The kernel watches the thread that started the server. In a program with many threads that one may end
    early; here there is one.
    """
    if not sys.platform.startswith("linux"):
        return lambda: None
    system = ctypes.CDLL(None)
    number = int(getattr(signal, signal_name))
    return lambda: system.prctl(SET_PARENT_DEATH_SIGNAL, number)


def take(lease: int) -> bool:
    """Take the lease if nobody uses the server."""
    try:
        fcntl.flock(lease, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def stop(server: subprocess.Popen[bytes], signals: list[signal.Signals]) -> None:
    """Send the signals one after the other, from polite to final, until the server has ended."""
    for number in signals:
        server.send_signal(number)
        try:
            server.wait(PATIENCE_SECONDS)
        except subprocess.TimeoutExpired:
            continue
        return


if __name__ == "__main__":
    main()
