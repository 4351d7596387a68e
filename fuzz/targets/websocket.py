"""Bytes after the upgrade, heard by a link of either role.

Oracles: no exception; any split is the same; what was heard can be said by the other role and is heard again;
``websockets`` finds the same messages and the same verdict.
"""

import functools
from typing import final

import attrs
from websockets.frames import Frame, Opcode
from websockets.protocol import Protocol, Side, State

from fuzz.disagreements import explain
from fuzz.oracles import MOST_BYTES, check_splits, expect, plain
from telcoflow_proto.frames import read_header
from telcoflow_proto.limits import DEFAULT_LIMITS
from telcoflow_proto.roles import Role
from telcoflow_proto.testing import entropy
from telcoflow_proto.websocket import LinkEvent, LinkLost, WebSocketLink

LIMITS = attrs.evolve(DEFAULT_LIMITS, message_bytes=2000, message_fragments=8, control_frames_per_second=8)
"""Small enough to be met by small inputs."""

_PAD_BYTES = 4096


def websocket_client(data: bytes) -> None:
    """What a server sends, heard by a client."""
    _websocket(Role.CLIENT, data[:MOST_BYTES])


def websocket_server(data: bytes) -> None:
    """What a client sends, heard by a server."""
    _websocket(Role.SERVER, data[:MOST_BYTES])


def open_link(role: Role) -> WebSocketLink:
    """Return a link that is open, with nothing left to say or to tell."""
    link = WebSocketLink(role, entropy=entropy(), host="localhost", limits=LIMITS)
    link.start(now=0.0)
    link.receive_data(_upgrade(role.peer), now=0.0)
    if role is Role.SERVER:
        link.accept(now=0.0)
    link.data_to_send()
    for _ in link.events():
        pass
    return link


@functools.cache
def _upgrade(sender: Role) -> bytes:
    """What this role says until the link is open; always the same."""
    client, server = (
        WebSocketLink(one, entropy=entropy(), host="localhost", limits=LIMITS) for one in (Role.CLIENT, Role.SERVER)
    )
    client.start(now=0.0)
    server.start(now=0.0)
    request = client.data_to_send()
    server.receive_data(request, now=0.0)
    server.accept(now=0.0)
    return request if sender is Role.CLIENT else server.data_to_send()


@final
class LinkListener:
    """A link and what it told. ``outcome`` ends the stream, to see how it takes that."""

    def __init__(self, link: WebSocketLink) -> None:
        self.link = link
        self.events: list[LinkEvent] = []

    def feed(self, piece: bytes) -> None:
        """Take bytes; a link that is over tells nothing more."""
        was_over = self.over
        self.link.receive_data(piece, now=1.0)
        told = list(self.link.events())
        expect(that=not (was_over and told), otherwise=f"a link that was over told {told!r}")
        self.events += told

    @property
    def over(self) -> bool:
        """True once the link is lost."""
        return self.link.closed

    def outcome(self) -> object:
        """Return events, bytes said and state, before and after the end of the stream."""
        expect(
            that=not self.over or self.link.next_deadline() is None, otherwise="a link that is over keeps a deadline"
        )
        before = (self.link.state, self.link.next_deadline(), self.link.data_to_send())
        self.link.receive_eof(now=2.0)
        self.events += self.link.events()
        ends = [event for event in self.events if isinstance(event, LinkLost)]
        expect(that=self.events[-1:] == ends, otherwise=f"not exactly one end, or not at the end: {self.events!r}")
        expect(that=self.link.closed and self.link.next_deadline() is None, otherwise="it outlives its stream")
        return (*map(plain, self.events), before, self.link.data_to_send())


def _websocket(role: Role, data: bytes) -> None:
    check_splits(lambda: LinkListener(open_link(role)), data)
    heard = LinkListener(open_link(role))
    heard.feed(data)
    messages = [event for event in heard.events if isinstance(event, str | bytes)]
    _say_again(role, messages)
    lost = heard.events[-1] if heard.over else None
    _compare(role, data, messages, lost if isinstance(lost, LinkLost) else None)


def _say_again(role: Role, messages: list[str | bytes]) -> None:
    """What was heard, said by the other role, is heard again."""
    if not messages:
        return
    speaker, hearer = open_link(role.peer), open_link(role)
    for message in messages:
        speaker.send(message, now=1.0)
    hearer.receive_data(speaker.data_to_send(), now=1.0)
    again = list(hearer.events())
    expect(that=again == messages, otherwise=f"said {messages!r}, heard {again!r}")


# ------------------------------------------------------------------ websockets, as another opinion


@final
class _Theirs:
    """The sans-IO parser of websockets, with messages put together and their text checked."""

    def __init__(self, role: Role) -> None:
        side = Side.CLIENT if role is Role.CLIENT else Side.SERVER
        self._protocol = Protocol(side, state=State.OPEN, max_size=LIMITS.message_bytes)
        self.messages: list[str | bytes] = []
        self.fault: str | None = None
        self.closed = False

    def feed(self, data: bytes) -> None:
        self._protocol.receive_data(data)
        parts: list[bytes] = []
        opcode = Opcode.CONT
        for frame in self._protocol.events_received():
            if not isinstance(frame, Frame):
                raise TypeError("an upgrade inside an open connection")
            if frame.opcode in (Opcode.TEXT, Opcode.BINARY, Opcode.CONT):
                opcode = opcode if frame.opcode is Opcode.CONT else frame.opcode
                parts.append(bytes(frame.data))
                if frame.fin and not self._finish(opcode, b"".join(parts)):
                    return
                if frame.fin:
                    parts = []
            elif frame.opcode is Opcode.CLOSE:
                self.closed = True
        if self._protocol.parser_exc is not None:
            self.fault = f"{type(self._protocol.parser_exc).__name__}: {self._protocol.parser_exc}"

    def _finish(self, opcode: Opcode, data: bytes) -> bool:
        try:
            self.messages.append(data.decode() if opcode is Opcode.TEXT else data)
        except UnicodeDecodeError:
            self.fault = "a text message is not UTF-8"
            return False
        return True


def _compare(role: Role, data: bytes, messages: list[str | bytes], lost: LinkLost | None) -> None:
    """Compare what is completed, and whether there is a fault once the last frame is whole."""
    padding = _missing(data)
    if padding is None:
        return
    theirs = _Theirs(role)
    theirs.feed(data + bytes(padding))
    ours_faulty = lost is not None and lost.error is not None
    if lost is None and padding:
        padded = LinkListener(open_link(role))
        padded.feed(data + bytes(padding))
        messages = [event for event in padded.events if isinstance(event, str | bytes)]
        lost = next((event for event in padded.events if isinstance(event, LinkLost)), None)
        ours_faulty = lost is not None and lost.error is not None
    fewer = min(len(messages), len(theirs.messages))
    expect(
        that=messages[:fewer] == theirs.messages[:fewer],
        otherwise=f"we heard {messages!r}, websockets heard {theirs.messages!r}",
    )
    same_verdict = ours_faulty == (theirs.fault is not None) and len(messages) == len(theirs.messages)
    expect(
        that=same_verdict or explain(lost, theirs.fault) is not None,
        otherwise=f"we say {plain(lost)!r} after {len(messages)} messages, websockets says {theirs.fault!r} after "
        f"{len(theirs.messages)}, closed: {theirs.closed}",
    )


def _missing(data: bytes) -> int | None:
    """Return how many bytes the last frame lacks; None where it lacks too much to be worth it."""
    at = 0
    while at < len(data):
        header = read_header(data, at)
        if header is None:
            return None
        at += sum(header)
    return at - len(data) if at - len(data) <= _PAD_BYTES else None
