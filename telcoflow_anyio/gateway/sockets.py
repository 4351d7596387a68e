"""What the web server does not offer: a port that is known before it serves, and connections that just break."""

import os
import socket
import stat
import struct
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

_FOLDER = Path("/dev/fd")
_RESET = struct.pack("ii", 1, 0)  # SO_LINGER on, zero seconds: closing says RST and forgets unsent data

Address = tuple[str, int]


def listen(host: str, port: int) -> tuple[int, int]:
    """Listen on a TCP port, 0 for any free one; return the file descriptor and the port.

    Raises OSError if the port is taken.
    """
    with socket.create_server((host, port), family=socket.AF_INET6 if ":" in host else socket.AF_INET) as listener:
        found: int = listener.getsockname()[1]
        return listener.detach(), found


def break_connections(port: int, *, peer: Address | None = None) -> int:
    """Break what was accepted on our port, or only the connection from ``peer``; return how many those were.

    The web server has no way to end a connection whose peer does not read, and none to end one as a cable does
    that is pulled. Both need the socket, which only the operating system can show us.
    """
    broken = 0
    for connection in _connections(port, peer):
        with connection, suppress(OSError):
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
            connection.shutdown(socket.SHUT_RDWR)
            broken += 1
    return broken


def _connections(port: int, peer: Address | None) -> Iterator[socket.socket]:
    """Yield a duplicate of each accepted socket; it shares the connection but not the descriptor."""
    for descriptor in [int(path.name) for path in _FOLDER.iterdir()] if _FOLDER.is_dir() else []:
        with suppress(OSError):  # one of them was the listing itself
            if not stat.S_ISSOCK(os.fstat(descriptor).st_mode):
                continue
            found = socket.socket(fileno=os.dup(descriptor))
            try:
                ours = found.family in {socket.AF_INET, socket.AF_INET6} and found.getsockname()[1] == port
                theirs = found.getpeername()[:2] if ours else None
            except OSError:  # the listening socket itself, or a connection that is gone already
                theirs = None
            if theirs is None or peer not in {None, theirs}:
                found.close()
            else:
                yield found
