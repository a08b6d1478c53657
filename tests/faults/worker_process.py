"""A worker in a process of its own, to be killed: `python -m tests.faults.worker_process URL FOLDER`."""

import asyncio
import sys
from datetime import timedelta

from graphql_api.database.engine import Database
from graphql_api.services.import_run import ImportRunner
from graphql_api.services.storage import FileStorage
from graphql_api.worker import Worker

# Small blocks give many points to be killed at; a short heartbeat lets the next worker take over soon.
BLOCK_BYTES = 16_384
HEARTBEAT = timedelta(seconds=1)


async def main(url: str, folder: str) -> None:
    """Serve jobs until the process is killed."""
    runner = ImportRunner(Database(url), FileStorage(folder), unpacked_limit=1 << 30, block_bytes=BLOCK_BYTES)
    await Worker(url, runner, heartbeat=HEARTBEAT, poll=HEARTBEAT / 2).run()


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
