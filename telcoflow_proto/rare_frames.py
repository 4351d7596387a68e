"""Frames that are not whole, not data or not right, over wsproto: pieces of a stream in, its frames out."""

from collections.abc import Iterator
from typing import final

from wsproto.frame_protocol import CloseReason, Frame, FrameProtocol, ParseFailed

from telcoflow_proto.errors import RemoteProtocolError
from telcoflow_proto.roles import Role


@final
class RareFrames:
    """What one end hears, apart from the frames the link takes directly."""

    def __init__(self, role: Role) -> None:
        self._frames = FrameProtocol(client=role is Role.CLIENT, extensions=[])

    def feed(self, piece: bytes) -> Iterator[Frame]:
        """Take a piece of the stream, a header in one piece, and tell what it completes. Raises RemoteProtocolError."""
        self._frames.receive_bytes(piece)
        try:
            yield from self._frames.received_frames()
        except ParseFailed as fault:
            # What wsproto says of bad UTF-8 quotes the byte, and its place in a piece of arbitrary size.
            said = "invalid UTF-8" if fault.code is CloseReason.INVALID_FRAME_PAYLOAD_DATA else fault
            raise RemoteProtocolError(f"bad WebSocket frame: {said}", close_code=int(fault.code)) from None
