"""The exchange: which agents are there, which calls wait for one, and who gets which."""

from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING, final

import anyio
import anyio.abc

from telcoflow_anyio.gateway.calls import GatewayCall
from telcoflow_anyio.gateway.faults import Faults
from telcoflow_proto.control.messages import Channel, CreateSession
from telcoflow_proto.jsontext import Json

if TYPE_CHECKING:
    from telcoflow_anyio.gateway.agents import Agent

_SETTLES_IN = 0.12
"""Seconds from setup.done to the first notice: the vendor's client loses what comes sooner."""
_TELL_WITHIN = 0.1
"""Seconds ``session.closed`` waits for the media connection to say its own goodbye first."""
_SESSIONS_REMEMBERED = 1000


@final
class Exchange:
    """All agents and all calls of one gateway. ``tell`` hears of everything a person may want to read."""

    def __init__(
        self,
        *,
        tasks: anyio.abc.TaskGroup,
        dial: Callable[[str], GatewayCall],
        tell: Callable[[str], None],
        on_agent: Callable[[], None],
        faults: Faults,
        rates: tuple[int, ...],
    ) -> None:
        self.agents: list[Agent] = []
        self.calls: dict[str, GatewayCall] = {}
        self.closed: deque[str] = deque(maxlen=_SESSIONS_REMEMBERED)
        self.changed = anyio.Event()
        self.dial = dial
        self.tell = tell
        self.faults = faults
        self.rates = rates
        self._tasks = tasks
        self._on_agent = on_agent
        self._owners: dict[str, Agent] = {}
        self._announced: set[str] = set()

    @property
    def available(self) -> list["Agent"]:
        """The agents that can be told about calls; one whose connection broke a moment ago cannot."""
        return [agent for agent in self.agents if agent.available and not agent.door.lost]

    def find(self, session_id: str) -> GatewayCall | None:
        """Return the call of an open session."""
        return next((call for call in self.calls.values() if call.session_id == session_id and call.session_open), None)

    def place(self, call: GatewayCall) -> None:
        """A call came in: tell every agent that is there."""
        self.calls[call.call_id] = call
        for agent in self.available:
            agent.announce(call, "NEW_INCOMING_CALL")
            self._announced.add(call.call_id)

    def session_over(self, call: GatewayCall) -> None:
        """A call is over for the agent: tell whoever has its session, or everybody if nobody has."""
        self.closed.append(call.session_id)
        owner = self._owners.pop(call.call_id, None)
        self._tasks.start_soon(self._tell_closed, call, self.available if owner is None else [owner])

    async def _tell_closed(self, call: GatewayCall, agents: list["Agent"]) -> None:
        with anyio.move_on_after(_TELL_WITHIN):
            await call.wait_line_gone()
        for agent in agents:
            agent.close_session(call)

    def arrived(self, agent: "Agent") -> None:
        """An agent has set up its connection; a moment later it hears of the calls that wait."""
        self._tasks.start_soon(self._welcome, agent)

    async def _welcome(self, agent: "Agent") -> None:
        await anyio.sleep(_SETTLES_IN)
        if agent.door.lost:
            return
        agent.available = True
        self._note_change()
        self.tell(f"{agent.name} is ready: {agent.setup.sample_rate} Hz, {agent.setup.audio_mode}")
        for call in self.calls.values():
            if call.waiting and not call.outbound and call.call_id not in self._owners:
                agent.announce(call, "RESUME" if call.call_id in self._announced else "NEW_INCOMING_CALL")
                self._announced.add(call.call_id)
        self._on_agent()

    def left(self, agent: "Agent") -> None:
        """An agent's connection is gone: its calls stay valid, and those without media wait again."""
        self.agents.remove(agent)
        self._owners = {call_id: owner for call_id, owner in self._owners.items() if owner is not agent}
        self._note_change()
        self.tell(f"{agent.name} is gone")

    def _note_change(self) -> None:
        self.changed.set()
        self.changed = anyio.Event()

    # ------------------------------------------------------------------ claims

    def open(self, agent: "Agent", session_id: str) -> tuple[str, Json] | GatewayCall:
        """Give a session to the first agent who asks; return its call, or error code and content."""
        call = self.find(session_id)
        if call is None:
            return "SESSION_CLOSED" if session_id in self.closed else "SESSION_NOT_FOUND", None
        owner = self._owners.get(call.call_id)
        if owner not in {None, agent} or not call.waiting:
            return "SESSION_BUSY", {"boundSmWsId": owner.name if owner is not None else None}
        return self._give(agent, call)

    def create(self, agent: "Agent", request: CreateSession) -> tuple[str, Json] | tuple[GatewayCall, bool]:
        """Dial out for an agent; return the call and whether it is new, or error code and content."""
        if request.channel != Channel.TELCO:
            return "CHANNEL_NOT_CONFIGURED", None
        for call in self.calls.values():
            if call.outbound and call.session_open and call.callee.number == request.remote_address:
                return call, False
        call = self.dial(request.remote_address)
        given = self._give(agent, call)
        if not isinstance(given, GatewayCall):
            call.end(by="service", close_reason="FORCE_CLOSE")
            return given
        self.calls[call.call_id] = call
        return call, True

    def _give(self, agent: "Agent", call: GatewayCall) -> tuple[str, Json] | GatewayCall:
        try:
            call.tune(agent.setup)
        except (ValueError, OSError) as error:
            self.tell(f"call {call.call_id} cannot be given to {agent.name}: {error}")
            return "INVALID_REQUEST", {"message": str(error)}
        self._owners[call.call_id] = agent
        return call
