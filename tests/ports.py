"""Ports of this machine for servers that have to be told one."""

import socket
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def kept_port(port: int = 0) -> Iterator[int]:
    """A port on which nobody listens but the servers of this block, one after another; a free one unless it is given.

    It is bound, so the system gives it to nobody else; and nobody listens, so who is told its number may.
    """
    with socket.socket() as keeper:
        # as servers do: it is what lets them have the same port
        keeper.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        keeper.bind(("127.0.0.1", port))
        yield int(keeper.getsockname()[1])
