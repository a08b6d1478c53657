"""A worker in a process of its own, to be killed."""

import asyncio
import sys
from datetime import timedelta
from pathlib import Path

from graphql_api.database.engine import Database
from graphql_api.services.import_run import ImportRunner
from graphql_api.services.mail.delivery import create_delivery
from graphql_api.services.mail.runner import MailRunner
from graphql_api.services.storage import FileStorage
from graphql_api.worker import Worker
from tests.client import TEST_KEYS
from tests.programs import Program

# Small blocks give many points to be killed at; a short heartbeat lets the next worker take over soon.
BLOCK_BYTES = 16_384
HEARTBEAT = timedelta(seconds=1)


def start_worker(url: str, folder: Path, *smtp_url: str) -> Program:
    """A process that works until it is killed."""
    return Program("tests.faults.worker_process:main", url, str(folder), *smtp_url)


def main() -> None:
    """What the process does."""
    asyncio.run(_work(*sys.argv[1:]))


async def _work(url: str, folder: str, smtp_url: str | None = None) -> None:
    database = Database(url)
    imports = ImportRunner(database, FileStorage(folder), unpacked_limit=1 << 30, block_bytes=BLOCK_BYTES)
    mails = MailRunner(database, create_delivery(smtp_url, Path(folder) / "mail", "shop@example.com"), TEST_KEYS)
    await Worker(url, imports, mails, heartbeat=HEARTBEAT, poll=HEARTBEAT / 2).run()
