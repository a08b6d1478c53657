"""PostgreSQL: its data, its options for this machine, and how to tell that it answers."""

import shutil
import struct
import subprocess
from pathlib import Path
from typing import ClassVar

from graphql_api.embedded.account import hand_over
from graphql_api.embedded.errors import EmbeddedServerError
from graphql_api.embedded.memory import GIBIBYTE, MEBIBYTE, available_memory, has_small_shared_memory
from graphql_api.embedded.ports import LOOPBACK, ask
from graphql_api.embedded.server import Server, write_secret

USER = "graphql_api"
DATABASE = "graphql_api"
PROTOCOL_VERSION = 3 << 16
PASSWORD_REQUEST = b"R" + struct.pack("!II", 23, 10) + b"SCRAM-SHA-256\0\0"
INITDB_OPTIONS = (
    f"--username={USER}",
    "--auth=scram-sha-256",
    "--encoding=UTF8",
    # PostgreSQL's own collation: by code point, folds case in all scripts, the same on every system
    "--locale=C",
    "--locale-provider=builtin",
    "--builtin-locale=C.UTF-8",
    "--no-instructions",
    # stretching protects guessable passwords; ours is 256 random bits, and each new connection pays for it
    "--set=scram_iterations=64",
)


class Postgres(Server):
    """The PostgreSQL server of a data folder."""

    name = "postgres"
    stop_signals: ClassVar[tuple[str, ...]] = ("SIGINT", "SIGQUIT", "SIGKILL")  # fast, immediate, final
    pid_file_name = "postmaster.pid"

    def prepare(self) -> None:
        """Run `initdb` on the first start; a run that was cut off leaves nothing that counts."""
        if self.data.exists():
            return
        unfinished = self._make_data_folder("data.new")
        password_file = self.folder / "password.initdb"
        write_secret(password_file, self.password)
        hand_over(password_file, self.account)
        try:
            self._run("initdb", *INITDB_OPTIONS, f"--pwfile={password_file}", f"--pgdata={unfinished}")
        finally:
            password_file.unlink()
        self._run("postgres", "--single", "-D", str(unfinished), "postgres", text=f"CREATE DATABASE {DATABASE};\n")
        unfinished.rename(self.data)

    def command(self, port: int) -> list[str]:
        """Return the command line with options that fit the memory of today."""
        options = {**network_options(port), **tuned_options(available_memory()), **DURABLE_OPTIONS}
        if has_small_shared_memory():
            options["dynamic_shared_memory_type"] = "mmap"
        settings = [argument for name, value in options.items() for argument in ("-c", f"{name}={value}")]
        return [str(self.programs / "postgres"), "-D", str(self.data), *settings]

    def configuration(self, port: int) -> str:
        """Return nothing: all options are on the command line."""
        del port
        return ""

    def answers(self, port: int) -> bool:
        """Tell whether a new connection is asked for its password; too early, it gets an error instead."""
        parameters = b"".join(word.encode() + b"\0" for word in ("user", USER, "database", DATABASE, ""))
        body = struct.pack("!I", PROTOCOL_VERSION) + parameters
        answer = ask(port, struct.pack("!I", len(body) + 4) + body, len(PASSWORD_REQUEST))
        return answer == PASSWORD_REQUEST

    def url(self, port: int) -> str:
        """Return `postgresql://user:password@host:port/database`."""
        return f"postgresql://{USER}:{self.password}@{self.address(port)}/{DATABASE}"

    def _make_data_folder(self, name: str) -> Path:
        folder = self.folder / name
        if folder.exists():
            shutil.rmtree(folder)
        folder.mkdir(mode=0o700)
        hand_over(folder, self.account)
        return folder

    def _run(self, program: str, *arguments: str, text: str = "") -> None:
        uid, gid = self.account or (None, None)
        result = subprocess.run(  # noqa: S603 - a program of the wheel with arguments of our own
            [str(self.programs / program), *arguments],
            input=text,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
            cwd=self.folder,
            env=self.environment,
            user=uid,
            group=gid,
            extra_groups=None if gid is None else [],
        )
        # single-user mode reports a failed statement in its output alone
        if result.returncode != 0 or "ERROR:" in result.stdout:
            raise EmbeddedServerError(
                f"PostgreSQL could not create its data in {self.folder}. `{program}` said:\n"
                f"{result.stdout.strip()}\n"
                "Space or rights may be missing there: set DATA_DIR to another folder, or set DATABASE_URL "
                "to a PostgreSQL of yours."
            )


DURABLE_OPTIONS = {
    "fsync": "on",
    "synchronous_commit": "on",
    "wal_compression": "on",
    "max_wal_size": "4GB",  # imports write much at once: fewer forced checkpoints
    "min_wal_size": "256MB",
    "checkpoint_timeout": "15min",
    "random_page_cost": "1.1",  # solid state disks
    "jit": "off",  # compiling costs more than short queries take
    "max_connections": "200",
    "timezone": "UTC",
    "log_timezone": "UTC",
    "log_checkpoints": "off",
}


def network_options(port: int) -> dict[str, str]:
    """Return where the server listens: on this machine's own address alone."""
    return {
        "listen_addresses": LOOPBACK,
        "port": str(port),
        "unix_socket_directories": "",
        "cluster_name": "graphql-api",
    }


def tuned_options(memory: int) -> dict[str, str]:
    """Return the memory options for a machine with so many bytes, which the program and Valkey share."""
    return {
        "shared_buffers": _megabytes(memory // 4, 64 * MEBIBYTE, 4 * GIBIBYTE),
        "effective_cache_size": _megabytes(memory * 6 // 10, 128 * MEBIBYTE, memory),
        "work_mem": _megabytes(memory // 400, 4 * MEBIBYTE, 64 * MEBIBYTE),
        "maintenance_work_mem": _megabytes(memory // 16, 32 * MEBIBYTE, GIBIBYTE),
    }


def _megabytes(wanted: int, least: int, most: int) -> str:
    return f"{max(least, min(wanted, most)) // MEBIBYTE}MB"
