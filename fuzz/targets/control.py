"""Text on the control connection, heard by either role. Each line of the input is a message; an empty one is a second.

Oracles: only RemoteProtocolError from the codec; what was decoded is encoded and decoded again to the same; every
request ends once; the last event is the end; a connection that is over waits for nothing; whatever a server answers
is a message its client knows.
"""

from collections.abc import Iterator, Sequence

from fuzz.oracles import MOST_BYTES, expect
from telcoflow_proto.control.client import ControlClient
from telcoflow_proto.control.codec import decode_control, encode_control
from telcoflow_proto.control.events import RequestDone, RequestReceived, SessionReadied, SetupRequested
from telcoflow_proto.control.messages import CallFlow, CallIn, CreateSession, OpenSession, Request, SessionInfo
from telcoflow_proto.control.server import ControlServer
from telcoflow_proto.control.table import SessionState
from telcoflow_proto.door import ConnectionLost, FrameDropped, Message
from telcoflow_proto.errors import RemoteProtocolError
from telcoflow_proto.limits import DEFAULT_LIMITS
from telcoflow_proto.roles import Role
from telcoflow_proto.testing import entropy


def lines(data: bytes) -> Iterator[tuple[float, str]]:
    """Yield the messages an input stands for, each with the time it arrives at."""
    now = 1.0
    for line in data[: 4 * MOST_BYTES].decode("utf-8", "replace").split("\n"):
        if line:
            yield now, line
        else:
            now += 1.0


def control_client(data: bytes) -> None:
    """What a server says, heard by a client with one session claimed and requests waiting."""
    client, asked = new_client()
    done: list[str] = []
    ended = 0
    for now, text in lines(data):
        check_codec(text, Role.SERVER)
        client.handle_timeout(now=now)
        client.receive_message(text, now=now)
        client.messages_to_send(now=now)
        for event in client.events():
            expect(that=not ended, otherwise=f"{event!r} after the end")
            ended += isinstance(event, ConnectionLost)
            if isinstance(event, RequestDone):
                done.append(event.request_id)
            elif isinstance(event, FrameDropped):
                expect(that=isinstance(event.error, RemoteProtocolError), otherwise=f"dropped for {event.error!r}")
    client.receive_close(now=now_after(data))
    done += [event.request_id for event in client.events() if isinstance(event, RequestDone)]
    expect(that=sorted(done) == sorted(asked), otherwise=f"asked {asked}, ended {done}")
    expect(that=client.next_deadline() is None, otherwise="a connection that is over waits for something")


def control_server(data: bytes) -> None:
    """What a client says, heard by a server that grants the claims of most sessions."""
    server = ControlServer(entropy=entropy())
    server.start(now=0.0)
    ended = 0
    for now, text in lines(data):
        check_codec(text, Role.CLIENT)
        server.handle_timeout(now=now)
        server.receive_message(text, now=now)
        for event in server.events():
            expect(that=not ended, otherwise=f"{event!r} after the end")
            ended += isinstance(event, ConnectionLost)
            _serve(server, event, now)
        check_said(server.messages_to_send(now=now))
    server.receive_close(now=now_after(data))
    expect(that=server.next_deadline() is None, otherwise="a connection that is over waits for something")


def new_client() -> tuple[ControlClient, list[str]]:
    """Return a client that has set up, claimed ``s0`` and made it ready, and the requests it waits for."""
    client = ControlClient(entropy=entropy())
    client.start(now=0.0)
    client.receive_message('{"type":"setup.done","smWsId":"w1"}', now=0.0)
    claimed = client.open_session("s0", now=0.0)
    answer = '{"type":"response","reqId":"%s","ok":true,"content":{"session":{"id":"s0","channel":"WA"}}}'
    client.receive_message(answer % claimed, now=0.0)
    client.ready("s0", now=0.0)
    asked = [
        client.open_session("s1", now=0.0),
        client.create_session(channel="WA", remote_address="+1", now=0.0),
        client.send_message("s0", {"text": "hello"}, now=0.0),
        client.set_up_call_flow(CallFlow(), now=0.0),
    ]
    client.messages_to_send(now=0.0)
    for _ in client.events():
        pass
    return client, asked


def check_codec(text: str, sender: Role) -> None:
    """Decode; and what could be decoded, encode and decode again."""
    try:
        message = decode_control(text, sender=sender, limits=DEFAULT_LIMITS)
    except RemoteProtocolError:
        return
    if message is None:
        return
    again = encode_control(message)
    if len(again) <= DEFAULT_LIMITS.json_bytes:  # escapes can make a text longer than we would hear
        heard = decode_control(again, sender=sender, limits=DEFAULT_LIMITS)
        expect(that=heard == message, otherwise=f"{message!r} was said and {heard!r} heard")


def check_said(messages: Sequence[Message]) -> None:
    """Whatever a server says, a client knows."""
    for message in messages:
        if isinstance(message, str):
            known = decode_control(message, sender=Role.SERVER, limits=DEFAULT_LIMITS)
            expect(that=known is not None, otherwise=f"said something unknown: {message!r}")


def now_after(data: bytes) -> float:
    """Return a time behind all that an input stands for."""
    return len(data) + 100.0


def _serve(server: ControlServer, event: object, now: float) -> None:
    """The application behind a server: every third request is refused, a session that is ready gets a call."""
    if isinstance(event, SetupRequested):
        server.complete_setup(connection_id="w1", now=now)
    elif isinstance(event, RequestReceived):
        _answer(server, event.requested.request_id, event.requested.request, now)
    elif isinstance(event, SessionReadied) and server.session_state(event.session_id) is SessionState.READY:
        call = CallIn(session_id=event.session_id, call_id="c1", url="wss://localhost/c1", token="t")  # noqa: S106
        server.offer_call(call, now=now)


def _answer(server: ControlServer, request_id: str, request: Request, now: float) -> None:
    if len(request_id) % 3 == 2:
        server.refuse(request_id, error_code="SESSION_BUSY", now=now)
    elif isinstance(request, OpenSession):
        server.open_succeeded(request_id, SessionInfo(id=request.session_id, channel="TELCO"), now=now)
    elif isinstance(request, CreateSession):
        server.create_succeeded(request_id, "s9", created=True, now=now)
    else:
        server.respond(request_id, content={}, now=now)
