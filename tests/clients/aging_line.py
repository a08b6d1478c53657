"""A line to a server on which access tokens are old when they arrive: they end within a minute."""

import re
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import timedelta

import jwt
import time_machine

from graphql_api.database.base import now_utc
from graphql_api.database.user import Role
from graphql_api.services.policy import Viewer
from graphql_api.services.token import MAX_ACCESS_MINUTES, AccessTokens
from tests.clients.real_server import KEYS

READ_BYTES = 65_536
TOKEN = re.compile(rb'(?<="accessToken":")[^"]+')
LEFT = timedelta(seconds=58)


class AgingLine:
    """A proxy in front of a server, which puts an old token of the same session in place of the first that passes.

    Args:
        port: of the server.
    """

    def __init__(self, port: int) -> None:
        self._port = port
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._is_new = True
        self.heard = b""

    @property
    def url(self) -> str:
        """The endpoint, by this line."""
        return f"http://127.0.0.1:{self._listener.getsockname()[1]}/graphql"

    def serve(self) -> None:
        """Take connections until closed."""
        with suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                server = socket.create_connection(("127.0.0.1", self._port))
                threading.Thread(target=self._carry, args=(client, server), daemon=True).start()
                threading.Thread(target=self._bring, args=(server, client), daemon=True).start()

    def close(self) -> None:
        """Take no more connections."""
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()

    def _carry(self, client: socket.socket, server: socket.socket) -> None:
        with client, suppress(OSError):
            while content := client.recv(READ_BYTES):
                server.sendall(content)
            server.shutdown(socket.SHUT_WR)

    def _bring(self, server: socket.socket, client: socket.socket) -> None:
        with server, suppress(OSError):
            while content := server.recv(READ_BYTES):
                self.heard += content
                client.sendall(self._aged(content))
            client.shutdown(socket.SHUT_WR)

    def _aged(self, content: bytes) -> bytes:
        if not self._is_new or not (found := TOKEN.search(content)):
            return content
        self._is_new = False
        token = old_token(found[0].decode()).encode()
        assert len(token) == len(found[0])
        return content.replace(found[0], token)


def old_token(token: str) -> str:
    """A token of the same session that ends within a minute."""
    claims = jwt.decode(token, options={"verify_signature": False})
    viewer = Viewer(int(claims["sub"]), Role.STAFF, int(claims["sid"]))
    with time_machine.travel(now_utc() - timedelta(minutes=MAX_ACCESS_MINUTES) + LEFT, tick=True):
        return AccessTokens(KEYS).issue(viewer, MAX_ACCESS_MINUTES).text


@contextmanager
def aging_line(port: int) -> Iterator[AgingLine]:
    """A line to the server at this port."""
    line = AgingLine(port)
    thread = threading.Thread(target=line.serve)
    thread.start()
    try:
        yield line
    finally:
        line.close()
        thread.join()
