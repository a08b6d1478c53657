"""Start the servers of a data folder, or join the processes that use them already."""

from pathlib import Path
from types import TracebackType
from typing import Self

from graphql_api.embedded.account import Account, server_account
from graphql_api.embedded.errors import EmbeddedServerError
from graphql_api.embedded.home import find_home, make_home, make_server_folder, remove_home
from graphql_api.embedded.lease import Lease, is_in_use, use
from graphql_api.embedded.postgres import Postgres
from graphql_api.embedded.programs import find_postgres_programs, find_valkey_programs, reachable_programs
from graphql_api.embedded.server import Server
from graphql_api.embedded.valkey import Valkey


class Embedded:
    """The servers of a data folder, in use by this process until `stop` or the end of the `with` block."""

    def __init__(self) -> None:
        self._leases: dict[str, Lease] = {}

    @property
    def database_url(self) -> str:
        """`postgresql://…`, with user and password; the user may create databases and extensions."""
        return self._url(Postgres)

    @property
    def redis_url(self) -> str:
        """`redis://…`, with the password."""
        return self._url(Valkey)

    def use(self, server: Server) -> None:
        """Start the server or join its users."""
        self._leases[server.name] = use(server)

    def stop(self) -> None:
        """Stop using the servers, and wait for those to stop that nobody else uses. May be called again."""
        for lease in reversed(self._leases.values()):
            lease.release()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.stop()

    def _url(self, kind: type[Server]) -> str:
        if kind.name not in self._leases:
            raise EmbeddedServerError(f"{kind.name} was not started: ask `start` for it.")
        return self._leases[kind.name].url


def start(data_dir: Path, *, postgres: bool = True, valkey: bool = True) -> Embedded:
    """Start the wanted servers with their data under `data_dir`, or join the processes that use them already.

    The servers live as long as any process uses them. When the last one leaves, stopped or killed, they stop
    in good order. PostgreSQL's data survives all that; Valkey starts empty.

    Raises:
        EmbeddedServerError: No wheel for this platform, or a server that does not start; with what to do.
    """
    wanted = _wanted_kinds(postgres=postgres, valkey=valkey)
    embedded = Embedded()
    try:
        _use_all(embedded, data_dir.absolute(), wanted)
    except OSError as error:
        embedded.stop()
        raise EmbeddedServerError(
            f"The servers cannot keep their data in {data_dir}: {error}. Set DATA_DIR to another folder."
        ) from error
    except BaseException:
        embedded.stop()
        raise
    return embedded


def remove(data_dir: Path) -> None:
    """Delete everything the servers keep for `data_dir`, wherever that is.

    Raises:
        EmbeddedServerError: A process uses the servers still.
    """
    data_dir = data_dir.absolute()
    home = find_home(data_dir)
    if home is not None and is_in_use(home):
        raise EmbeddedServerError(f"A process uses the servers of {data_dir}. Stop it first.")
    remove_home(data_dir)


def _use_all(embedded: Embedded, data_dir: Path, wanted: dict[type[Server], Path]) -> None:
    account = server_account(_database_folder(data_dir))
    home = make_home(data_dir, account)
    for kind, programs in wanted.items():
        embedded.use(_make_server(kind, home, account, programs))


def _wanted_kinds(*, postgres: bool, valkey: bool) -> dict[type[Server], Path]:
    wanted: dict[type[Server], Path] = {}
    if postgres:
        wanted[Postgres] = find_postgres_programs()
    if valkey:
        wanted[Valkey] = find_valkey_programs()
    return wanted


def _database_folder(data_dir: Path) -> Path | None:
    home = find_home(data_dir)
    return None if home is None else home / Postgres.name / "data"


def _make_server(kind: type[Server], home: Path, account: Account | None, programs: Path) -> Server:
    folder = make_server_folder(home, kind.name, account)
    return kind(folder, account, reachable_programs(programs, account, folder))
