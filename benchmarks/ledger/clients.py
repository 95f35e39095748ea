"""Clients of a running server: `python -m benchmarks.ledger.clients PORT CLIENTS FILE`.

FILE holds whole requests (see `save`), made before the clock starts. Every client keeps one connection and
one request under way. The process is one thread over raw sockets: it takes little from the server's cores.
Prints as JSON: seconds, the latency of each request, and the bodies of the answers.
"""

import json
import selectors
import socket
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

LENGTH_BYTES = 4


def request_bytes(path: str, body: bytes, headers: Mapping[str, str]) -> bytes:
    """One POST of JSON on a connection that stays."""
    lines = [f"POST {path} HTTP/1.1", "Host: bench", "Content-Type: application/json"]
    lines += [f"Content-Length: {len(body)}", *(f"{name}: {value}" for name, value in headers.items())]
    return "\r\n".join([*lines, "", ""]).encode() + body


def save(path: Path, requests: Sequence[bytes]) -> None:
    path.write_bytes(b"".join(len(r).to_bytes(LENGTH_BYTES, "big") + r for r in requests))


def load(path: Path) -> list[bytes]:
    data, at, requests = path.read_bytes(), 0, []
    while at < len(data):
        start = at + LENGTH_BYTES
        at = start + int.from_bytes(data[at:start], "big")
        requests.append(data[start:at])
    return requests


class Answer:
    """The bytes of one answer as they come; `whole` when its stated length is there."""

    def __init__(self) -> None:
        self._data = bytearray()
        self._body_at = -1
        self._end = -1

    def feed(self, data: bytes) -> bool:
        self._data += data
        if self._body_at < 0:
            head_end = self._data.find(b"\r\n\r\n")
            if head_end < 0:
                return False
            self._body_at = head_end + 4
            self._end = self._body_at + _content_length(bytes(self._data[:head_end]))
        return len(self._data) >= self._end

    @property
    def status(self) -> int:
        return int(self._data[9:12])

    @property
    def body(self) -> str:
        return self._data[self._body_at : self._end].decode()


def _content_length(head: bytes) -> int:
    for line in head.lower().split(b"\r\n"):
        name, _, value = line.partition(b":")
        if name == b"content-length":
            return int(value)
    raise ValueError(f"an answer without a length: {head!r}")


class Clients:
    """Sends the requests over `count` connections, the next when one is answered."""

    def __init__(self, port: int, count: int, requests: Sequence[bytes]) -> None:
        self._waiting = iter(requests)
        self._selector = selectors.DefaultSelector()
        self._sockets = [socket.create_connection(("127.0.0.1", port), timeout=60) for _ in range(count)]
        self.latencies_s: list[float] = []
        self.answers: list[tuple[int, str]] = []

    def run(self) -> float:
        """Seconds from the first request to the last answer."""
        started = time.perf_counter()
        under_way = sum(self._send(connection) for connection in self._sockets)
        while under_way:
            for key, _ in self._selector.select():
                connection: socket.socket = key.fileobj  # type: ignore[assignment]
                answer, sent_at = key.data
                data = connection.recv(1 << 16)
                if not data:
                    raise ConnectionError("the server closed a connection")
                if answer.feed(data):
                    self.latencies_s.append(time.perf_counter() - sent_at)
                    self.answers.append((answer.status, answer.body))
                    self._selector.unregister(connection)
                    under_way -= 0 if self._send(connection) else 1
        seconds = time.perf_counter() - started
        for connection in self._sockets:
            connection.close()
        return seconds

    def _send(self, connection: socket.socket) -> bool:
        request = next(self._waiting, None)
        if request is None:
            return False
        self._selector.register(connection, selectors.EVENT_READ, (Answer(), time.perf_counter()))
        connection.sendall(request)
        return True


def main(port: int, count: int, path: Path) -> None:
    clients = Clients(port, count, load(path))
    seconds = clients.run()
    wrong = [answer for answer in clients.answers if answer[0] not in (200, 201)]
    if wrong:
        sys.exit(f"{len(wrong)} answers are neither 200 nor 201; the first: {wrong[0]}")
    bodies = [json.loads(body) for _, body in clients.answers]
    print(json.dumps({"seconds": seconds, "latencies_s": clients.latencies_s, "bodies": bodies}))


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]), Path(sys.argv[3]))
