"""A TCP proxy that does to connections what bad networks do. Plain blocking sockets in threads of its own."""

import socket
import struct
import threading
from contextlib import suppress
from types import TracebackType
from typing import Self, final

_ABORT = struct.pack("ii", 1, 0)


def abort(end: socket.socket) -> None:
    """Close with a reset instead of an orderly end; what is closed already stays so."""
    with suppress(OSError):
        end.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _ABORT)
        shut(end)
    end.close()


def shut(end: socket.socket) -> None:
    """Wake whoever reads from it in another thread; say nothing to the peer that closing would not say."""
    with suppress(OSError):
        end.shutdown(socket.SHUT_RD)


@final
class ChaosProxy:
    """Listens on ``port`` and carries bytes to ``target`` and back. Use it as a context."""

    def __init__(self, target: int, *, segment: int = 65536, receive_buffer: int | None = None) -> None:
        self.target = target
        self.segment = segment
        self.breaks_after: int | None = None
        """Bytes of the target that still arrive; then, once, the connection is reset."""
        self.pairs: list[tuple[socket.socket, socket.socket]] = []
        self._open = threading.Event()
        self._open.set()
        self._closing = False
        self._threads: list[threading.Thread] = []
        self._listener = socket.socket()
        if receive_buffer is not None:
            self._listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        self._listener.bind(("127.0.0.1", 0))
        self._listener.listen()
        self.port: int = self._listener.getsockname()[1]

    def __enter__(self) -> Self:
        self._start(self._accept)
        return self

    def __exit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, tb: TracebackType | None
    ) -> None:
        self._closing = True
        self.heal()
        shut(self._listener)
        self._listener.close()
        self.reset()
        for thread in self._threads:
            thread.join()

    def partition(self) -> None:
        """Deliver nothing any more, read nothing any more, and tell nobody."""
        self._open.clear()

    def heal(self) -> None:
        """Deliver again, what was held back first."""
        self._open.set()

    def reset(self) -> None:
        """Break every connection, both ends of it."""
        pairs, self.pairs = self.pairs, []
        for pair in pairs:
            for end in pair:
                abort(end)

    def _start(self, work: object, *arguments: object) -> None:
        thread = threading.Thread(target=work, args=arguments, daemon=True)  # type: ignore[arg-type]
        self._threads.append(thread)
        thread.start()

    def _accept(self) -> None:
        while not self._closing:
            try:
                near, _ = self._listener.accept()
                far = socket.create_connection(("127.0.0.1", self.target))
            except OSError:
                return
            for end in (near, far):
                end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self.pairs.append((near, far))
            self._start(self._carry, near, far)
            self._start(self._carry_back, far, near)

    def _carry_back(self, source: socket.socket, sink: socket.socket) -> None:
        left, self.breaks_after = self.breaks_after, None
        try:
            while left is not None:
                data = source.recv(left) if left else b""
                sink.sendall(data)
                left -= len(data)
                if not data:
                    abort(source)
                    abort(sink)
                    return
        except OSError:
            return
        self._carry(source, sink)

    def _carry(self, source: socket.socket, sink: socket.socket) -> None:
        try:
            while True:
                self._open.wait()
                data = source.recv(65536)
                self._open.wait()
                for at in range(0, len(data), self.segment):
                    sink.sendall(data[at : at + self.segment])
                if not data:
                    sink.shutdown(socket.SHUT_WR)
                    return
        except OSError:
            return
