"""How `serve` serves: room for thousands of connections, an end for those that have vanished, no secret in its log."""

import base64
import gc
import logging
import pickle
import resource
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest
import uvicorn
from websockets.exceptions import InvalidStatus
from websockets.sync.client import connect
from websockets.typing import Subprotocol

from graphql_api.app import YOUNG_OBJECTS
from graphql_api.cli.service import HEALTH_SECONDS, LOGGERS_OF_ADDRESSES, _without_queries, run_server, server_config
from graphql_api.config import load_settings
from graphql_api.transport import graphql_ws_messages
from tests.cli.conftest import Operator, served_url, stop

PATIENCE = 60.0
PROTOCOL = Subprotocol(graphql_ws_messages.PROTOCOL)
SECRET = "eyJhbGciOiJIUzI1NiJ9.c2VjcmV0.c2lnbmF0dXJl"  # noqa: S105 - opens nothing
LOGGING = {"version": 1, "disable_existing_loggers": False, "loggers": {name: {} for name in LOGGERS_OF_ADDRESSES}}
FEW = 1_024


def eventually(condition: Callable[[], object]) -> None:
    deadline = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < deadline, "it did not happen"
        time.sleep(0.01)


@pytest.fixture
def few_open_files() -> Iterator[int]:
    """This process may open few files, though the system would let it open more: how many."""
    before, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (FEW, most))
    yield most
    resource.setrlimit(resource.RLIMIT_NOFILE, (before, most))


@pytest.fixture
def _collecting_as_before() -> Iterator[None]:
    """When it is looked for garbage is this process's business, not the server's."""
    before = gc.get_threshold()
    yield
    gc.set_threshold(*before)


@contextmanager
def run(database_url: str, redis_url: str, folder: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[uvicorn.Server]:
    """What `serve` runs once it is prepared, in a thread; it ends with the block."""
    servers: list[uvicorn.Server] = []

    class KnownServer(uvicorn.Server):
        def __init__(self, config: uvicorn.Config) -> None:
            super().__init__(config)
            servers.append(self)

    monkeypatch.setattr(uvicorn, "Server", KnownServer)
    settings = load_settings(
        folder / "no.env", database_url=database_url, redis_url=redis_url, data_dir=folder, worker_in_server=False
    )
    with socket.create_server(("127.0.0.1", 0)) as listener:
        arguments = (settings, listener, LOGGING)
        thread = threading.Thread(target=run_server, args=arguments, kwargs={"is_logging_access": False}, daemon=True)
        thread.start()
        try:
            eventually(lambda: servers and servers[0].started)
            yield servers[0]
        finally:
            if servers:
                servers[0].should_exit = True
            thread.join(PATIENCE)
            for name in LOGGERS_OF_ADDRESSES:  # loggers are this process's, not the server's
                logging.getLogger(name).filters.clear()


@pytest.mark.usefixtures("_collecting_as_before")
def test_connections_have_room_and_vanished_clients_are_noticed(
    database_url: str, redis_url: str, tmp_path: Path, few_open_files: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    with run(database_url, redis_url, tmp_path, monkeypatch) as server:
        # as many as the system allows
        assert resource.getrlimit(resource.RLIMIT_NOFILE) == (few_open_files, few_open_files)
        # and of each that is accepted, what was sent must have arrived within a minute
        port = server.servers[0].sockets[0].getsockname()[1]
        with socket.create_connection(("127.0.0.1", port)):
            # it is counted, in another thread, a moment before it knows its transport
            eventually(lambda: any(known.transport for known in list(server.server_state.connections)))
            (connection,) = server.server_state.connections
            accepted = connection.transport.get_extra_info("socket")
            assert accepted.getsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT) == 60_000


@pytest.mark.usefixtures("_collecting_as_before")
def test_what_lives_as_long_as_the_server_is_not_looked_at_as_garbage(
    database_url: str, redis_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    frozen = gc.get_freeze_count()
    with run(database_url, redis_url, tmp_path, monkeypatch):
        assert gc.get_freeze_count() > frozen
        assert gc.get_threshold()[0] == YOUNG_OBJECTS


def test_the_access_log_holds_paths_and_nobodys_secrets(operator: Operator) -> None:
    # given a server that logs all it can
    process = operator.start("serve", "--port", "0", "--access-log", LOG_LEVEL="debug")
    url = served_url(process)
    base = url.removesuffix("/graphql")
    sockets = base.replace("http", "ws")
    # when tokens stand in addresses of any kind
    encoded = base64.urlsafe_b64encode(SECRET.encode()).decode()
    with httpx.Client(timeout=PATIENCE) as http:
        for query in (f"access_token={SECRET}", f"x={encoded}", f"q=1?{SECRET}", SECRET):
            for path in ("/graphql", "/health/live", "/nowhere", "/metrics", "/imports/1/rejects.csv"):
                http.get(f"{base}{path}?{query}")
    with connect(f"{sockets}/graphql?token={SECRET}", subprotocols=[PROTOCOL], open_timeout=PATIENCE):
        pass
    nowhere = f"{sockets}/nowhere?token={SECRET}"
    with pytest.raises(InvalidStatus), connect(nowhere, subprotocols=[PROTOCOL], open_timeout=PATIENCE):
        pass
    code, log = stop(process)
    # then paths are logged, and nothing of what stood behind them
    assert code == 0
    for path in ("/graphql", "/health/live", "/nowhere", "/metrics", "/imports/1/rejects.csv"):
        assert log.count(f'"GET {path} HTTP/1.1"') == 4
    assert '"WebSocket /graphql" [accepted]' in log
    assert '"WebSocket /nowhere" 403' in log
    assert SECRET not in log
    assert encoded not in log
    assert "token=" not in log


def test_a_process_of_a_server_can_soon_say_that_it_lives_and_is_given_time(tmp_path: Path) -> None:
    """It is asked as soon as it knows how to serve. What takes seconds to load, and to serve, comes later."""
    settings = load_settings(tmp_path / "no.env", workers=2)
    logged = _without_queries(LOGGING)
    config = server_config(settings, "graphql_api.app:app_from_environment", factory=True, log_config=logged)
    program = "import pickle, sys; pickle.load(sys.stdin.buffer); print('graphql_api.app' in sys.modules)"

    loaded = subprocess.run(
        [sys.executable, "-c", program], input=pickle.dumps(config), stdout=subprocess.PIPE, check=True
    ).stdout

    assert loaded == b"False\n"
    assert config.timeout_worker_healthcheck == HEALTH_SECONDS
