"""A relay in a process of its own."""

import asyncio
import sys

from graphql_api.events.bus import Bus
from graphql_api.events.relay import Relay


def main() -> None:
    """What the process does."""
    asyncio.run(Relay(sys.argv[1], Bus(None, "log")).run())
