"""What lies between one server and the PostgreSQL it shares, and can fall silent: nothing refused, nothing arrives."""

from __future__ import annotations

import shutil
import socket
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

_SOCKET = ".s.PGSQL.5432"


class Between:
    """A Unix socket that passes everything on to the real one, unless it is `silent`."""

    def __init__(self, real: Path, here: Path) -> None:
        self._real = real / _SOCKET
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(str(here / _SOCKET))
        self._listener.listen(100)
        self._speaks = threading.Event()
        self._speaks.set()
        self._over = False
        self._open: list[socket.socket] = []
        threading.Thread(target=self._accept, daemon=True).start()

    @contextmanager
    def silent(self) -> Iterator[None]:
        """Nothing that is sent arrives, in either direction; connecting succeeds. Afterwards all of it arrives."""
        self._speaks.clear()
        try:
            yield
        finally:
            self._speaks.set()

    def close(self) -> None:
        """No connection is left."""
        self._over = True
        self._speaks.set()
        for each in (self._listener, *self._open):
            with suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)
            each.close()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                self._open.append(client)
                threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client: socket.socket) -> None:
        self._speaks.wait()
        server = socket.socket(socket.AF_UNIX)
        self._open.append(server)
        try:
            server.connect(str(self._real))
        except OSError:
            client.close()
            return
        threading.Thread(target=self._pump, args=(server, client), daemon=True).start()
        self._pump(client, server)

    def _pump(self, source: socket.socket, target: socket.socket) -> None:
        with suppress(OSError):
            while data := source.recv(65536):
                self._speaks.wait()
                target.sendall(data)
        for each in (source, target):
            with suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)


@contextmanager
def between(real: Path) -> Iterator[tuple[Between, Path]]:
    """A way to the PostgreSQL whose socket is in `real`, and the directory it begins in."""
    here = Path(tempfile.mkdtemp(prefix="countersign-way-"))  # short: a socket's path has at most 107 bytes
    way = Between(real, here)
    try:
        yield way, here
    finally:
        way.close()
        shutil.rmtree(here)
