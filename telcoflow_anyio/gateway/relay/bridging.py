"""Calls that meet other parties: connected to a leg, referred, transferred."""

from functools import partial
from typing import TYPE_CHECKING, final

from telcoflow_anyio.gateway.relay import reading
from telcoflow_anyio.gateway.relay.answers import Refusal, Reply
from telcoflow_anyio.gateway.relay.dialing import Hunt
from telcoflow_anyio.gateway.relay.operations import Operation, refuse_unless
from telcoflow_anyio.gateway.relay.playing import Playback, check_media
from telcoflow_proto.jsontext import JsonObject
from telcoflow_proto.relay.methods import Method

if TYPE_CHECKING:
    from telcoflow_anyio.gateway.relay.calls import RelayServiceCall

_REFER_SECONDS = 1.0
_APP = "context:"


@final
class Connect(Operation):
    """``calling.connect``: rings the devices, and bridges the first that answers until somebody leaves."""

    def __init__(self, call: "RelayServiceCall", method: Method, params: JsonObject) -> None:
        super().__init__(call, method, params)
        refuse_unless(find_bridge(call) is None, "the call is connected, or being so", code="409")
        self._ringback = None
        if "ringback" in params:
            check_media(params["ringback"], "ringback")
            media: JsonObject = {"play": params["ringback"], "loop": 0}
            self._ringback = Playback(call, media, lambda _state: None)
        self._hunt = Hunt(
            call.network,
            reading.device_groups(params),
            tag=reading.text(params, "tag"),
            on_answer=self._on_answer,
            on_failure=self._on_failure,
        )

    def start(self) -> None:
        """Ring."""
        self.tell(connect_state="connecting")
        if self._ringback is not None:
            self._ringback.start()
        self._hunt.start()

    def stop(self) -> None:
        """Part the two, or ring no more."""
        peer, self.call.peer = self.call.peer, None
        self._hush()
        self._hunt.abandon()
        if peer is None:
            self.finish(connect_state="failed", failed_reason="cancel")
        else:
            self.finish(connect_state="disconnected", peer=peer.address())
            peer.end("hangup", source="none")

    def _on_answer(self, leg: "RelayServiceCall") -> None:
        self._hush()
        self.call.peer, leg.peer = leg, self.call
        leg.at_end.append(self._on_peer_over)
        leg.bound(reading.number(self.params, "max_duration", 0.0))
        self.tell(connect_state="connected", peer=leg.address())

    def _on_peer_over(self) -> None:
        if self.call.peer is not None:
            self.stop()

    def _on_failure(self, reason: str) -> None:
        self._hush()
        self.finish(connect_state="failed", failed_reason=reason)

    def _hush(self) -> None:
        if self._ringback is not None:
            self._ringback.stop()


def find_bridge(call: "RelayServiceCall") -> Connect | None:
    """Return what connects a call, or is about to."""
    return next((one for one in call.running if isinstance(one, Connect)), None)


def disconnect(call: "RelayServiceCall", _params: JsonObject) -> Reply:
    """``calling.disconnect``. Raises Refusal if there is nothing to part."""
    bridge = find_bridge(call)
    if bridge is None:
        raise Refusal("409", "the call is not connected")
    return Reply("Disconnecting", bridge.stop)


@final
class Refer(Operation):
    """``calling.refer``: ``network.refer_outcome`` says how it goes."""

    def __init__(self, call: "RelayServiceCall", method: Method, params: JsonObject) -> None:
        super().__init__(call, method, params)
        self._to = reading.text(reading.inner(reading.inner(params, "device"), "params"), "to")
        refuse_unless(self._to, "device: params.to is required")

    def start(self) -> None:
        """Ask the party to call somebody else."""
        self.tell(state="inProgress", sip_refer_to=self._to)
        self.alarms.arm("answer", _REFER_SECONDS, self._answered)

    def stop(self) -> None:
        """The party is gone before it answered."""
        self.finish(state="cancel", sip_refer_to=self._to)

    def _answered(self) -> None:
        outcome = self.call.network.refer_outcome
        notified = {"success": "200", "busy": "486", "noAnswer": "480"}.get(outcome, "500")
        self.finish(
            state=outcome, sip_refer_to=self._to, sip_refer_response_code="202", sip_notify_response_code=notified
        )


def transfer(call: "RelayServiceCall", params: JsonObject) -> Reply:
    """``calling.transfer``: the call leaves this session, for another one's if the destination is a context."""
    call.transferred_to = params["dest"]
    context = reading.text(params, "dest")
    return Reply("Transferring", partial(call.leave_session, context.removeprefix(_APP)))
