"""How a command ends when it cannot do what was asked: one clear line, and a code for scripts."""

from enum import IntEnum
from urllib.parse import urlsplit


class ExitCode(IntEnum):
    """What scripts may rely on."""

    OK = 0
    FAILED = 1
    USAGE = 2
    CANCELLED = 130


class CommandError(Exception):
    """A command that cannot go on; the message says what to do."""


def shown_address(url: str) -> str:
    """Where a URL leads, without user and password."""
    parts = urlsplit(url)
    place = parts.hostname or parts.path
    return f"{place}:{parts.port}" if parts.port else place
