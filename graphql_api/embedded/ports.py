"""TCP ports on this machine.

The servers listen on 127.0.0.1 with a random password, not on sockets in the data folder: a socket's path is
limited to 107 bytes and would need quoting when it holds a space, and every client and tool takes an address.
"""

import socket

LOOPBACK = "127.0.0.1"


def is_free(port: int) -> bool:
    """Tell whether a server could listen on the port now."""
    with socket.socket() as listener:
        # as the servers do: connections that linger after a stop must not make the port look taken
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind((LOOPBACK, port))
        except OSError:
            return False
        return True


def choose_port(preferred: int | None) -> int:
    """Return the preferred port when it is free, else any free one."""
    if preferred is not None and is_free(preferred):
        return preferred
    with socket.socket() as listener:
        listener.bind((LOOPBACK, 0))
        return int(listener.getsockname()[1])


def ask(port: int, question: bytes, length: int) -> bytes:
    """Send the question and return up to `length` bytes of the answer; nothing when nobody answers."""
    answer = b""
    try:
        with socket.create_connection((LOOPBACK, port), timeout=2) as connection:
            connection.sendall(question)
            while len(answer) < length and (received := connection.recv(length - len(answer))):
                answer += received
    except OSError:
        return answer
    return answer
