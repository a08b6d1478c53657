r"""Import speed and memory beside `psql \copy` of the same raw file into one flat table with a unique index.

    python -m benchmarks.import_speed [FILE.csv|.gz|.xz] [--lines N] [--times T]

Without a file one is made up. Both run against the same fresh embedded PostgreSQL, one after the other. The flat
table stands for the least that a database can do with the file: no types, no checks, no other tables.
"""

import argparse
import asyncio
import gzip
import lzma
import multiprocessing
import resource
import shutil
import tempfile
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO, cast

import asyncpg

from benchmarks.sales_data import write_sales_file
from graphql_api import embedded
from graphql_api.database import migrate
from graphql_api.database.engine import Database
from graphql_api.services import import_job
from graphql_api.services.import_job import ImportRequest
from graphql_api.services.import_run import ImportRunner
from graphql_api.services.storage import FileStorage
from graphql_api.services.unit_of_work import unit_of_work

UNPACKED_LIMIT = 1 << 40
CHUNK = 1 << 20


def open_plain(path: Path) -> BinaryIO:
    """The unpacked text of a file."""
    if path.suffix == ".gz":
        return cast("BinaryIO", gzip.open(path, "rb"))
    return cast("BinaryIO", lzma.open(path, "rb")) if path.suffix == ".xz" else path.open("rb")


def unpack(path: Path, target: Path) -> int:
    """Write the unpacked text, and return its number of records (lines outside of quotes, less the header)."""
    quotes = records = 0
    with open_plain(path) as source, target.open("wb") as out:
        for line in source:
            out.write(line)
            quotes += line.count(b'"')
            records += quotes % 2 == 0
    return records - 1


async def copy_flat(url: str, path: Path) -> float:
    """Seconds that COPY takes for the raw file; a last record that is cut off is left out of the copy."""
    connection = await asyncpg.connect(url)
    with path.open("rb") as file:
        width = len(file.readline().split(b","))
        file.seek(0)
        columns = ", ".join(f"c{n} text{' UNIQUE' if n == (width == 25) else ''}" for n in range(width))  # noqa: PLR2004 - one layout has an unnamed column first
        await connection.execute(f"DROP TABLE IF EXISTS flat; CREATE TABLE flat ({columns})")
        begin = time.perf_counter()
        await connection.copy_to_table("flat", source=file, format="csv", header=True)
        seconds = time.perf_counter() - begin
    await connection.execute("DROP TABLE flat")
    await connection.close()
    return seconds


def drop_cut_line(path: Path) -> None:
    """COPY refuses a file whose last record is cut off; the import reports it instead."""
    with path.open("rb+") as file:
        lines = file.readlines()
        if lines[-1].count(b",") < lines[0].count(b","):
            file.truncate(file.tell() - len(lines[-1]))


async def _chunks(path: Path) -> AsyncIterator[bytes]:
    with path.open("rb") as file:
        while chunk := file.read(CHUNK):
            yield chunk


async def run_import(url: str, folder: str, path: Path) -> tuple[float, int]:
    """Seconds from the first byte received to the job's end, and the rows it inserted."""
    database, storage = Database(url), FileStorage(folder)
    begin = time.perf_counter()
    stored = await import_job.receive_file(storage, _chunks(path), limit=UNPACKED_LIMIT)
    async with unit_of_work(database) as work:
        import_id = (await import_job.start_import(work, stored, ImportRequest(path.name))).id
    await ImportRunner(database, storage, UNPACKED_LIMIT).run(import_id)
    seconds = time.perf_counter() - begin
    async with database.read() as session:
        job = await import_job.import_by_id(session, import_id)
    await database.close()
    return seconds, job.rows_inserted if job else 0


def _measured(url: str, folder: str, path: Path, results: "multiprocessing.Queue[tuple[float, int, float]]") -> None:
    seconds, rows = asyncio.run(run_import(url, folder, path))
    results.put((seconds, rows, peak_memory()))


def peak_memory() -> float:
    """MiB that this process has held at most. On Linux `ru_maxrss` would count the parent before exec as well."""
    status = Path("/proc/self/status")
    if not status.exists():
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    (peak,) = (line.split()[1] for line in status.read_text(encoding="ascii").splitlines() if line.startswith("VmHWM"))
    return int(peak) / 1024


def import_in_own_process(url: str, folder: str, path: Path) -> tuple[float, int, float]:
    """Seconds, rows and peak memory (MiB) of an import in a process of its own."""
    context = multiprocessing.get_context("spawn")
    results = context.Queue()
    process = context.Process(target=_measured, args=(url, folder, path, results))
    process.start()
    answer = results.get(timeout=3_600)
    process.join()
    return cast("tuple[float, int, float]", answer)


async def fresh_database(url: str) -> None:
    """Empty the database and build it by the migrations."""
    connection = await asyncpg.connect(url)
    await connection.execute("DROP SCHEMA IF EXISTS jobs CASCADE; DROP SCHEMA public CASCADE; CREATE SCHEMA public")
    await connection.close()
    database = Database(url)
    await migrate.upgrade(database)
    await database.close()


def compare(url: str, folder: Path, path: Path) -> None:
    """One round: the reference, then the import into an empty database, which stays loaded."""
    plain = folder / "plain.csv"
    records = unpack(path, plain)
    drop_cut_line(plain)
    asyncio.run(fresh_database(url))
    flat = asyncio.run(copy_flat(url, plain))
    seconds, rows, memory = import_in_own_process(url, str(folder / "storage"), path)
    print(f"{path.name}: {records:,} records, {rows:,} lines inserted")
    print(f"  \\copy into one flat table {flat:7.2f} s {records / flat:10,.0f} lines/s")
    print(f"  import                    {seconds:7.2f} s {records / seconds:10,.0f} lines/s, peak {memory:.0f} MiB")
    print(f"  ratio                     {flat / seconds:7.2f}")


@contextmanager
def bench_servers() -> Iterator[tuple[str, Path]]:
    """A fresh PostgreSQL and a folder, both gone afterwards."""
    folder = Path(tempfile.mkdtemp(prefix="benchmark-"))
    try:
        with embedded.start(folder / "servers", valkey=False) as servers:
            yield servers.database_url, folder
    finally:
        with suppress(embedded.EmbeddedServerError):
            embedded.remove(folder / "servers")
        shutil.rmtree(folder)


def main() -> None:
    """Print seconds, lines a second and the ratio."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("file", nargs="?", type=Path)
    parser.add_argument("--lines", type=int, default=625_000)
    parser.add_argument("--times", type=int, default=2)
    arguments = parser.parse_args()
    with bench_servers() as (url, folder):
        path = arguments.file or folder / "made-up.csv"
        if arguments.file is None:
            write_sales_file(path, arguments.lines)
        for _ in range(arguments.times):
            compare(url, folder, path)


if __name__ == "__main__":
    main()
