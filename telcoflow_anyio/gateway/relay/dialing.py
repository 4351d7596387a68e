"""Ringing devices: one group after the other, the devices of a group at once, until somebody answers."""

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, final

from telcoflow_anyio.gateway.relay import reading
from telcoflow_anyio.gateway.relay.answers import Reply
from telcoflow_anyio.gateway.relay.calls import RelayServiceCall
from telcoflow_anyio.gateway.relay.network import Network
from telcoflow_anyio.gateway.relay.operations import refuse_faults, refuse_unless
from telcoflow_anyio.gateway.relay.parties import RelayCallee
from telcoflow_proto.jsontext import JsonObject
from telcoflow_proto.relay.methods import DIAL

if TYPE_CHECKING:
    from telcoflow_anyio.gateway.relay.sessions import Session

_RINGS_FOR = 30.0  # seconds
_SAYS_BUSY_AFTER = 0.2
_DECLINES_AFTER = 1.0


@final
class Hunt:
    """Rings groups of devices. ``on_answer`` is told of the leg that won, ``on_failure`` why there is none.

    Legs belong to ``session``; without one nobody is told of them.
    """

    def __init__(
        self,
        network: Network,
        groups: list[list[JsonObject]],
        *,
        session: "Session | None" = None,
        tag: str = "",
        rings_for: float = _RINGS_FOR,
        on_answer: Callable[[RelayServiceCall], None],
        on_failure: Callable[[str], None],
    ) -> None:
        self._network = network
        self._groups = list(groups)
        self._session = session
        self._tag = tag
        self._rings_for = rings_for
        self._on_answer = on_answer
        self._on_failure = on_failure
        self._legs: dict[RelayServiceCall, RelayCallee] = {}
        self._over = False

    def start(self) -> None:
        """Ring the next group."""
        self._legs = dict(self._make_leg(device) for device in self._groups.pop(0))
        for leg, plan in list(self._legs.items()):
            self._ring(leg, plan)

    def abandon(self) -> None:
        """Ring nobody any more."""
        self._over = True
        for leg in list(self._legs):
            leg.end("cancel", source="none")

    def _make_leg(self, device: JsonObject) -> tuple[RelayServiceCall, RelayCallee]:
        plan = self._network.on_dial(device)
        leg = RelayServiceCall(
            self._network, session=self._session, party=plan, direction="outbound", device=device, tag=self._tag
        )
        leg.at_end.append(partial(self._leg_over, leg))
        leg.tell_state()
        return leg, plan

    def _ring(self, leg: RelayServiceCall, plan: RelayCallee) -> None:
        rings_for = reading.number(reading.inner(leg.device, "params"), "timeout", self._rings_for)
        leg.ring()
        leg.alarms.arm("no answer", rings_for, lambda: leg.end("noAnswer", source="none"))
        if plan.busy:
            leg.alarms.arm("busy", _SAYS_BUSY_AFTER, lambda: leg.end("busy", source="outbound"))
        elif plan.declines:
            seconds = _DECLINES_AFTER if plan.answers_after is None else plan.answers_after
            leg.alarms.arm("decline", seconds, lambda: leg.end("decline", source="outbound"))
        elif plan.answers_after is not None:
            leg.alarms.arm("answer", plan.answers_after, partial(self._answered, leg))

    def _answered(self, leg: RelayServiceCall) -> None:
        self._over = True
        del self._legs[leg]
        leg.alarms.clear()
        leg.answer()
        self._on_answer(leg)
        self.abandon()

    def _leg_over(self, leg: RelayServiceCall) -> None:
        self._legs.pop(leg, None)
        if self._legs or self._over:
            return
        if self._groups:
            self.start()
        else:
            self._over = True
            self._on_failure(leg.end_reason)


def dial(network: Network, session: "Session", params: JsonObject) -> Reply:
    """``calling.dial``. Raises Refusal for params that make no sense."""
    refuse_faults(DIAL, params)
    tag, groups = reading.text(params, "tag"), reading.device_groups(params)
    refuse_unless(tag, "tag is required")
    max_duration = reading.number(params, "max_duration", 0.0)

    def on_answer(leg: RelayServiceCall) -> None:
        leg.bound(max_duration)
        tell("answered", call={**leg.address(), "dial_winner": "true"})

    def tell(state: str, **more: str | JsonObject) -> None:
        session.push("calling.call.dial", {"tag": tag, "node_id": network.node_id, "dial_state": state, **more})

    hunt = Hunt(
        network,
        groups,
        session=session,
        tag=tag,
        rings_for=reading.number(params, "timeout", _RINGS_FOR),
        on_answer=on_answer,
        on_failure=lambda reason: tell("failed", reason=reason, source="outbound"),
    )

    def begin() -> None:
        tell("dialing")
        hunt.start()

    return Reply("Dialing", begin)
