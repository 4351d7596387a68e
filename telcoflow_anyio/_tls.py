"""TLS between a socket's bytes and a machine's, without touching either."""

import ssl
from collections.abc import Iterator
from typing import final

_RECORD = 16384  # the most one TLS record holds (RFC 8446 §5.1)


@final
class Tls:
    """One TLS connection of a client. Every method may raise ssl.SSLError, which is an OSError."""

    def __init__(self, context: ssl.SSLContext, host: str) -> None:
        self._in, self._out = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._object = context.wrap_bio(self._in, self._out, server_hostname=host)
        self.ended = False

    def shake_hands(self, received: bytes) -> bool:
        """Go on with the handshake; True once it is done. Send what is ``pending`` either way."""
        self._in.write(received)
        try:
            self._object.do_handshake()
        except ssl.SSLWantReadError:
            return False
        return True

    def pending(self) -> bytes:
        """Take the bytes for the socket."""
        return self._out.read()

    def encrypt(self, data: bytes) -> bytes:
        """Return the bytes for the socket that carry ``data``."""
        self._object.write(data)
        return self._out.read()

    def decrypt(self, received: bytes) -> Iterator[bytes]:
        """Yield what came with bytes of the socket, record by record: what stands before a bad one is good.

        ``ended`` afterwards tells whether the peer has said that nothing more will come.
        """
        self._in.write(received)
        try:
            while piece := self._object.read(_RECORD):
                yield piece
        except ssl.SSLWantReadError:
            return
        except ssl.SSLZeroReturnError:
            pass
        self.ended = True
