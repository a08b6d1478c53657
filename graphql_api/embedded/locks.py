"""Advisory file locks: the kernel drops them with their holder, however it dies."""

import os
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from enum import IntEnum
from pathlib import Path

from graphql_api.embedded.errors import EmbeddedServerError

if sys.platform != "win32":  # no wheels exist there: `start` refuses before it locks
    import fcntl

POLL_SECONDS = 0.02


class Lock(IntEnum):
    """How a lock is held: by many at once, or by one alone."""

    SHARED = 1
    EXCLUSIVE = 2


def open_lock(path: Path) -> int:
    """Open the lock file, which nobody holds yet, and return its descriptor."""
    try:
        return os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o600)
    except PermissionError as error:
        raise EmbeddedServerError(
            f"{path.parent} belongs to another account. Run as that one, or set DATA_DIR to your folder."
        ) from error


def try_lock(descriptor: int, kind: Lock) -> bool:
    """Take the lock if that is possible now."""
    operation = fcntl.LOCK_EX if kind is Lock.EXCLUSIVE else fcntl.LOCK_SH
    try:
        fcntl.flock(descriptor, operation | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def acquire(path: Path, kind: Lock, seconds: float) -> int:
    """Wait for the lock and return the descriptor that holds it until it is closed."""
    descriptor = open_lock(path)
    deadline = time.monotonic() + seconds
    while not try_lock(descriptor, kind):
        if time.monotonic() > deadline:
            os.close(descriptor)
            raise EmbeddedServerError(
                f"Another process kept {path} locked for {seconds:.0f} seconds. End it and start again."
            )
        time.sleep(POLL_SECONDS)
    return descriptor


@contextmanager
def held(path: Path, kind: Lock, seconds: float) -> Iterator[None]:
    """Hold the lock while the block runs."""
    descriptor = acquire(path, kind, seconds)
    try:
        yield
    finally:
        os.close(descriptor)


def is_available(path: Path, kind: Lock) -> bool:
    """Tell whether the lock could be taken now."""
    descriptor = open_lock(path)
    try:
        return try_lock(descriptor, kind)
    finally:
        os.close(descriptor)
