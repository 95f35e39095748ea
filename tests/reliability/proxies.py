"""A proxy before PostgreSQL that loses the connection at COMMIT: before it arrived, or with its answer."""

import socket
import threading
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

SOCKET_NAME = ".s.PGSQL.5432"
WROTE = (b"UPDATE head", b"INSERT INTO checkpoint")
COMMIT = b"COMMIT\0"
PIECE = 1 << 16


@dataclass(slots=True)
class LossyProxy:
    """Passes everything on, until it is told to lose the next commit that has written into the log.

    `before`: the COMMIT does not arrive. `after`: it arrives and is carried out; its answer is lost.
    """

    folder: Path
    server: Path
    losing: str = ""
    lost: threading.Event = field(default_factory=threading.Event)

    def start(self) -> "LossyProxy":
        listening = socket.socket(socket.AF_UNIX)
        listening.bind(str(self.folder / SOCKET_NAME))
        listening.listen(64)
        threading.Thread(target=self._accept, args=(listening,), daemon=True).start()
        return self

    def _accept(self, listening: socket.socket) -> None:
        while True:
            client, _ = listening.accept()
            server = socket.socket(socket.AF_UNIX)
            server.connect(str(self.server / SOCKET_NAME))
            line = _Line(self, client, server)
            threading.Thread(target=line.forward, daemon=True).start()
            threading.Thread(target=line.back, daemon=True).start()


@dataclass(slots=True)
class _Line:
    """One connection through the proxy."""

    proxy: LossyProxy
    client: socket.socket
    server: socket.socket
    wrote: bool = False
    swallowing: bool = False

    def forward(self) -> None:
        with suppress(OSError):
            while data := self.client.recv(PIECE):
                self.wrote = self.wrote or any(words in data for words in WROTE)
                if COMMIT in data:
                    if self.wrote and self.proxy.losing:
                        self._lose(data)
                        return
                    self.wrote = False
                self.server.sendall(data)
        self._hang_up()

    def back(self) -> None:
        with suppress(OSError):
            while data := self.server.recv(PIECE):
                if self.swallowing:
                    break
                self.client.sendall(data)
        self._hang_up()

    def _lose(self, data: bytes) -> None:
        how, self.proxy.losing = self.proxy.losing, ""
        if how == "after":
            self.swallowing = True
            self.server.sendall(data)  # `back` gets the answer, and tells nobody
        else:
            self._hang_up()
        self.proxy.lost.set()

    def _hang_up(self) -> None:
        for end in (self.client, self.server):
            with suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
            end.close()
