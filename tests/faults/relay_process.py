"""A relay in a process of its own: `python -m tests.faults.relay_process URL`."""

import asyncio
import sys

from graphql_api.events.bus import Bus
from graphql_api.events.relay import Relay

if __name__ == "__main__":
    asyncio.run(Relay(sys.argv[1], Bus(None, "log")).run())
