"""Thousands of WebSockets in one process, which count messages without reading them.

Speaks graphql-transport-ws. Commands come as lines of JSON on standard input, answers go to standard output:

    {"do": "open", "port": 8000, "sockets": 500, "documents": ["subscription {…}"], "params": {}}
    {"do": "expect", "events": 10, "seconds": 20}      each socket is to get so many messages from now on
    {"do": "close"}

`expect` is answered twice: when counting has begun, and when every message has come or the time is over, with the
times of arrival (nanoseconds of the monotonic clock, which all processes of a machine share) of each event.
"""

import json
import select
import socket
import sys
from array import array
from collections import deque
from time import monotonic_ns, process_time
from typing import Any

# Larger buffers cost more to be made than they save.
READ_BYTES = 1 << 14
# Connections that are being opened at the same time.
OPENING = 4
HEAD = 48
NEXT = b'"next"'
ACK = b'"connection_ack"'
PING = b'"ping"'
SHORT, MEDIUM = 126, 127
PING_FRAME, CLOSE_FRAME = 0x89, 0x88
TEXT_OPCODE, PONG_OPCODE = 0x81, 0x8A


def frame(opcode: int, payload: bytes) -> bytes:
    """A frame of a client; the mask is all zeros, which changes nothing."""
    length = len(payload)
    if length < SHORT:
        return bytes((opcode, 0x80 | length)) + bytes(4) + payload
    return bytes((opcode, 0x80 | SHORT)) + length.to_bytes(2, "big") + bytes(4) + payload


class Connection:
    """One WebSocket with one subscription."""

    __slots__ = ("count", "document", "is_upgraded", "rest", "socket")

    def __init__(self, port: int, document: str) -> None:
        self.socket = socket.create_connection(("127.0.0.1", port))
        self.socket.setblocking(False)  # noqa: FBT003 - its only argument
        self.document = document
        self.is_upgraded = False
        self.rest = b""
        self.count = 0

    def upgrade(self, port: int) -> None:
        """Ask for the protocol."""
        self.socket.sendall(
            f"GET /graphql HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
            "Sec-WebSocket-Protocol: graphql-transport-ws\r\n\r\n".encode()
        )

    def say(self, **message: Any) -> None:
        """Send a message of the protocol."""
        self.socket.sendall(frame(TEXT_OPCODE, json.dumps(message).encode()))


class LoadClient:
    """All connections of this process."""

    def __init__(self) -> None:
        self._poll = select.epoll()
        self._poll.register(sys.stdin.fileno(), select.EPOLLIN)
        self._connections: dict[int, Connection] = {}
        self._to_open: deque[str] = deque()
        self._opening = 0
        self._port = 0
        self._params: dict[str, Any] = {}
        self._arrivals: list[array[int]] = []
        self._missing = 0
        self._unexpected = 0
        self._deadline = 0
        self._began_cpu = 0.0

    def run(self) -> None:
        """Do what is asked until the input ends."""
        commands = sys.stdin.fileno()
        while True:
            for number, _ in self._poll.poll(0.05, 4096):
                if number == commands and not self._command():
                    return
                # what was just closed may have been readable
                if connection := self._connections.get(number):
                    self._read(connection)
            if self._deadline and monotonic_ns() > self._deadline:
                self._finish()

    def _command(self) -> bool:
        line = sys.stdin.readline()
        if not line:
            return False
        command = json.loads(line)
        match command.pop("do"):
            case "open":
                self._open(**command)
            case "expect":
                self._expect(**command)
            case "close":
                self._close()
        return True

    def _open(self, port: int, sockets: int, documents: list[str], params: dict[str, Any]) -> None:
        self._port, self._params = port, params
        self._to_open.extend(documents[index % len(documents)] for index in range(sockets))
        for _ in range(min(OPENING, sockets)):
            self._open_next()

    def _open_next(self) -> None:
        connection = Connection(self._port, self._to_open.popleft())
        self._connections[connection.socket.fileno()] = connection
        self._poll.register(connection.socket.fileno(), select.EPOLLIN)
        self._opening += 1
        connection.upgrade(self._port)

    def _opened(self, connection: Connection) -> None:
        connection.say(id="1", type="subscribe", payload={"query": connection.document})
        self._opening -= 1
        if self._to_open:
            self._open_next()
        elif not self._opening:
            answer(open=len(self._connections))

    def _expect(self, events: int, seconds: float) -> None:
        for connection in self._connections.values():
            connection.count = 0
        self._arrivals = [array("q") for _ in range(events)]
        self._missing = events * len(self._connections)
        self._deadline = monotonic_ns() + int(seconds * 1e9)
        self._began_cpu = process_time()
        answer(armed=True)

    def _finish(self) -> None:
        self._deadline = 0
        answer(
            missing=self._missing,
            unexpected=self._unexpected,
            cpu=process_time() - self._began_cpu,
            arrivals=[list(times) for times in self._arrivals],
        )
        self._arrivals, self._missing, self._unexpected = [], 0, 0

    def _close(self) -> None:
        for number, connection in self._connections.items():
            self._poll.unregister(number)
            connection.socket.close()
        count = len(self._connections)
        self._connections = {}
        answer(closed=count)

    def _read(self, connection: Connection) -> None:
        data = connection.socket.recv(READ_BYTES)
        now = monotonic_ns()
        if not data:
            raise ConnectionError("The server has closed a connection.")
        if connection.rest:
            data = connection.rest + data
        if not connection.is_upgraded:
            data = self._upgraded(connection, data)
        connection.rest = self._take_frames(connection, data, now)

    def _upgraded(self, connection: Connection, data: bytes) -> bytes:
        head, end, rest = data.partition(b"\r\n\r\n")
        if not end:
            return data
        if b" 101 " not in head:
            raise ConnectionError(head.decode())
        connection.is_upgraded = True
        connection.say(type="connection_init", payload=self._params)
        return rest

    def _take_frames(self, connection: Connection, data: bytes, now: int) -> bytes:
        """Count what is there, and return what is not complete."""
        position, end = 0, len(data)
        while end - position > 1 and connection.is_upgraded:
            length, start = data[position + 1], position + 2
            if length >= SHORT:
                width = 2 if length == SHORT else 8
                length, start = int.from_bytes(data[start : start + width], "big"), start + width
            if start + length > end:
                break
            if data.find(NEXT, start, start + min(length, HEAD)) >= 0:
                self._count(connection, now)
            else:
                self._other(connection, data[position], data[start : start + length])
            position = start + length
        return data[position:]

    def _count(self, connection: Connection, now: int) -> None:
        index = connection.count
        connection.count = index + 1
        if index >= len(self._arrivals):
            self._unexpected += 1
            return
        self._arrivals[index].append(now)
        self._missing -= 1
        if not self._missing:
            self._finish()

    def _other(self, connection: Connection, opcode: int, payload: bytes) -> None:
        if opcode == PING_FRAME:
            connection.socket.sendall(frame(PONG_OPCODE, payload))
        elif opcode == TEXT_OPCODE and ACK in payload[:HEAD]:
            self._opened(connection)
        elif opcode == TEXT_OPCODE and PING in payload[:HEAD]:
            connection.say(type="pong")
        else:
            raise ConnectionError(f"{opcode:#x} {payload[:500]!r}")


def answer(**content: Any) -> None:
    """Tell whoever gave the command."""
    print(json.dumps(content), flush=True)


if __name__ == "__main__":
    LoadClient().run()
