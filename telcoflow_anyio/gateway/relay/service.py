"""A RELAY service without sockets: who may come in, what they ask for, and what a test may do to them."""

import hmac
import os
from collections.abc import Callable, Collection, Mapping
from typing import final

import anyio
import anyio.abc
import anyio.lowlevel

from telcoflow_anyio.gateway.relay import dialing, messaging, reading, verbs
from telcoflow_anyio.gateway.relay.answers import AUTHENTICATION_FAILED, Refusal, Reply, Unfit
from telcoflow_anyio.gateway.relay.calls import RelayServiceCall
from telcoflow_anyio.gateway.relay.desk import Desk
from telcoflow_anyio.gateway.relay.network import Network
from telcoflow_anyio.gateway.relay.parties import RelayCaller
from telcoflow_anyio.gateway.relay.sessions import Session
from telcoflow_proto.chance import Entropy
from telcoflow_proto.jsontext import Json, JsonObject
from telcoflow_proto.relay.messages import ConnectRequested, Credentials

PROJECTS = {"test-project": "test-token"}
JWTS = ("test-jwt",)


@final
class RelayService(Network):
    """The service: clients come to a ``Desk``, calls and messages come from the network.

    - ``tasks`` runs what takes time, until it is cancelled.
    - ``projects`` maps project ids to tokens; a client with one of ``jwts`` belongs to the first project.
    - ``speed`` makes the phone network's clock run that much faster than the real one. All seconds of parties,
      media and methods are its; protocol deadlines, faults and ``session_lifetime`` are real seconds.
    - ``session_lifetime`` is how long a client may be away and still find its session.
    - ``on_session`` is told of every new one.
    """

    def __init__(
        self,
        tasks: anyio.abc.TaskGroup,
        *,
        projects: Mapping[str, str] | None = None,
        jwts: Collection[str] = JWTS,
        speed: float = 1.0,
        session_lifetime: float = 60.0,
        entropy: Entropy = os.urandom,
        tell: Callable[[str], None] = lambda _line: None,
    ) -> None:
        super().__init__(speed=speed, entropy=entropy)
        self.projects = dict(PROJECTS if projects is None else projects)
        self.desks: list[Desk] = []
        self._jwts = tuple(jwts)
        self._lifetime = session_lifetime
        self._tell = tell
        self._changed = anyio.Event()
        self.on_session: Callable[[Session], None] = lambda _session: None
        tasks.start_soon(self.clock.run)

    # ------------------------------------------------------------------ what a test does

    async def wait_for_sessions(self, count: int) -> None:
        """Wait until at least that many clients are connected and authenticated."""
        while sum(session.desk is not None for session in self.sessions.values()) < count:
            await self._changed.wait()

    async def place_call(self, caller: RelayCaller | None = None, *, context: str = "default") -> RelayServiceCall:
        """Let somebody call, as soon as a session listens to that context; the one with the fewest calls gets it."""
        party = caller or RelayCaller()
        session = await self._listener(context)
        device: JsonObject = {"type": "phone", "params": {"from_number": party.number, "to_number": party.to}}
        call = RelayServiceCall(self, session=session, party=party, direction="inbound", device=device, context=context)
        if party.hangs_up_after is not None:
            call.alarms.arm("hang up", party.hangs_up_after, call.hang_up)
        self._tell(f"RELAY call {call.call_id}: {party.number} calls {party.to}")
        call.at_end.append(lambda: self._tell(f"RELAY call {call.call_id}: over, {call.end_reason}"))
        call.announce()
        return call

    async def receive_message(
        self,
        body: str = "",
        *,
        from_number: str = "+15550001",
        to_number: str = "+15550000",
        context: str = "default",
        media: Collection[str] = (),
        tags: Collection[str] = (),
    ) -> str:
        """Let a text message come in, as soon as a session listens to that context; return its id."""
        session = await self._listener(context)
        urls: list[Json] = list(media)
        labels: list[Json] = list(tags)
        given: JsonObject = {
            "body": body,
            "from_number": from_number,
            "to_number": to_number,
            "context": context,
            "media": urls,
            "tags": labels,
        }
        message = messaging.describe(self, given, direction="inbound")
        session.push("messaging.receive", {**message, "message_state": "received"})
        return reading.text(message, "message_id")

    async def drop(self, code: int | None = None) -> None:
        """Close every connection with that code, None: without a word; return when they are gone."""
        closing = list(self.desks)
        for desk in closing:
            desk.close(code)
        for desk in closing:
            await desk.gone.wait()
        await anyio.lowlevel.checkpoint()

    def ask_to_leave(self, *, restart: bool = False) -> None:
        """Tell every client that its connection is going to be closed; with ``restart`` their sessions are over."""
        for desk in list(self.desks):
            desk.ask_to_leave(restart=restart)

    def push_raw(self, text: str) -> None:
        """Say any text on every connection, however wrong it is."""
        for desk in list(self.desks):
            desk.push_raw(text)

    def forget_sessions(self) -> None:
        """Let no client come back: sessions of clients that are away end, others when their connection does."""
        for session in list(self.sessions.values()):
            session.resumable = False
            if session.desk is None:
                session.end()

    def forget_call(self, call_id: str) -> None:
        """Know a call no more, as if it had ended and the events were lost. Raises KeyError for an unknown one."""
        self.calls[call_id].forget()

    async def _listener(self, context: str) -> Session:
        while (session := self.find_listener(context)) is None:
            await self._changed.wait()
        await anyio.lowlevel.checkpoint()
        return session

    # ------------------------------------------------------------------ for the desks

    def authenticate(self, credentials: Credentials) -> str | None:
        """Return the project of a client, or None if it may not come in."""
        jwt, project, token = (
            "" if secret is None else secret.reveal()
            for secret in (credentials.jwt_token, credentials.project, credentials.token)
        )
        if sum(_same(jwt, known) for known in self._jwts):
            return next(iter(self.projects), "")
        found = sum(_same(project, name) & _same(token, known) for name, known in self.projects.items())
        return project if found else None

    def open_session(self, desk: Desk, project: str, event: ConnectRequested) -> tuple[Session, bool]:
        """Return the session a client asks for, or a new one, and whether it is the former."""
        session = self.sessions.get(event.resumption.protocol)
        restored = session is not None and session.project == project and session.resumable
        if session is None or not restored:
            session = Session(self, project=project, lifetime=self._lifetime)
            self.sessions[session.protocol] = session
        self._tell(f"RELAY client of project {project!r} is {'back' if restored else 'ready'}")
        session.attach(desk, event.contexts)
        if not restored:
            self.on_session(session)
        return session, restored

    def note_change(self) -> None:
        """Wake who waits for clients."""
        self._changed.set()
        self._changed = anyio.Event()

    def carry_out(self, session: Session, method: str, params: JsonObject) -> Reply:
        """Do what a client asks. Raises Refusal or Unfit, and nothing has changed then."""
        call = self._find_call(session, params)
        if call is not None:
            call.requests.append((method, params))
        if method in self.faults.fail:
            raise Unfit(*self.faults.fail[method])
        if method in self.faults.refuse:
            raise Refusal(*self.faults.refuse[method])
        match method:
            case "signalwire.receive" | "signalwire.unreceive":
                return self._change_contexts(session, params, listen=method == "signalwire.receive")
            case "signalwire.reauthenticate":
                return self._reauthenticate(params)
            case "calling.dial":
                return dialing.dial(self, session, params)
            case "messaging.send":
                return messaging.send(self, session, params)
            case _:
                verbs.check(method, params)
        if call is None:
            raise Refusal("404", "call not found")
        return verbs.carry_out(call, method, params)

    def _find_call(self, session: Session, params: JsonObject) -> RelayServiceCall | None:
        call = self.calls.get(reading.text(params, "call_id"))
        ours = call is not None and call.session is session and call.node_id == params.get("node_id")
        return call if ours else None

    def _change_contexts(self, session: Session, params: JsonObject, *, listen: bool) -> Reply:
        given = params.get("contexts", [params.get("context")])
        contexts = [one for one in given if isinstance(one, str)] if isinstance(given, list) else []
        if not contexts:
            raise Refusal("400", "contexts is required")
        for context in contexts:
            if listen:
                session.contexts[context] = None
            else:
                session.contexts.pop(context, None)
        return Reply("Receiving" if listen else "Not receiving", self.note_change)

    def _reauthenticate(self, params: JsonObject) -> Reply:
        jwt = reading.text(reading.inner(params, "authentication"), "jwt_token")
        if not sum(_same(jwt, known) for known in self._jwts):
            raise Unfit(AUTHENTICATION_FAILED, "authentication failed")
        return Reply("Reauthenticated")


def _same(ours: str, theirs: str) -> bool:
    """Compare in a time that tells nothing."""
    return hmac.compare_digest(ours.encode(), theirs.encode())
