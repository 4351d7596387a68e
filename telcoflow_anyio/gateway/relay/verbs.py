"""What a client may ask on a call: the methods of the table, and what carries each of them out."""

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING

from telcoflow_anyio.gateway.relay import bindings, reading
from telcoflow_anyio.gateway.relay.answers import Refusal, Reply, Unfit
from telcoflow_anyio.gateway.relay.bridging import Connect, Refer, disconnect, transfer
from telcoflow_anyio.gateway.relay.collecting import Collect, PlayAndCollect
from telcoflow_anyio.gateway.relay.detecting import Detect
from telcoflow_anyio.gateway.relay.faxing import Fax
from telcoflow_anyio.gateway.relay.gathering import (
    InConference,
    InQueue,
    InRoom,
    leave_conference,
    leave_queue,
    leave_room,
)
from telcoflow_anyio.gateway.relay.operations import Operation, refuse_faults, refuse_unless
from telcoflow_anyio.gateway.relay.paying import Pay
from telcoflow_anyio.gateway.relay.playing import Play
from telcoflow_anyio.gateway.relay.recording import Record
from telcoflow_anyio.gateway.relay.tracking import Bedrock, Echo, SendDigits, Stream, Tap, Tracking, Transcribe
from telcoflow_proto.jsontext import JsonObject
from telcoflow_proto.relay.jsonrpc import INVALID_PARAMS, METHOD_NOT_FOUND
from telcoflow_proto.relay.methods import BY_WIRE, DIAL, SEND_MESSAGE, Method, Subcommand

if TYPE_CHECKING:
    from telcoflow_anyio.gateway.relay.calls import RelayServiceCall

ON_CALLS = BY_WIRE.keys() - {DIAL.wire, SEND_MESSAGE.wire}
"""The methods that are asked for on a call."""

Handler = Callable[["RelayServiceCall", JsonObject], Reply]


def carry_out(call: "RelayServiceCall", wire: str, params: JsonObject) -> Reply:
    """Begin what a request on a live call asks for. Raises Refusal or Unfit."""
    asked = BY_WIRE[wire]
    if (isinstance(asked, Subcommand) or asked.control_id) and not reading.text(params, "control_id"):
        raise Unfit(INVALID_PARAMS, "control_id is required")
    refuse_faults(asked, params)
    if isinstance(asked, Subcommand):
        return _command(call, asked, params)
    begin = OPERATIONS.get(wire)
    if begin is None:
        return HANDLERS[wire](call, params)
    message, kind = begin
    return _begin(call, asked, kind, message, params)


def check(wire: str, params: JsonObject) -> tuple[str, str]:
    """Return node and call id of a request on a call. Raises Unfit if there is no such method, or no ids."""
    if wire not in ON_CALLS:
        raise Unfit(METHOD_NOT_FOUND, f"there is no method {wire[:64]}")
    node_id, call_id = reading.text(params, "node_id"), reading.text(params, "call_id")
    for name, value in (("node_id", node_id), ("call_id", call_id)):
        if not value:
            raise Unfit(INVALID_PARAMS, f"{name} is required")
    return node_id, call_id


def _begin(call: "RelayServiceCall", method: Method, kind: type[Operation], message: str, params: JsonObject) -> Reply:
    control_id = reading.text(params, "control_id")
    taken = control_id and any(one.control_id == control_id for one in call.running)
    refuse_unless(not taken, "this control_id is in use", code="409")
    operation = kind(call, method, params)
    call.actions.append(operation)
    call.running.append(operation)
    return Reply(message, operation.start, more=operation.more)


def _command(call: "RelayServiceCall", command: Subcommand, params: JsonObject) -> Reply:
    control_id = reading.text(params, "control_id")
    for operation in call.running:
        action = operation.method.action
        if operation.control_id == control_id and action is not None and command in action.commands:
            return Reply(_TOLD[command.name], operation.commands[command.name](params))
    raise Refusal("404", "there is no such operation")


_TOLD = {
    "stop": "Stopping",
    "pause": "Paused",
    "resume": "Resumed",
    "volume": "Volume set",
    "start_input_timers": "Input timers started",
}

# ---------------------------------------------------------------------------------------------- one by one


def _answer(call: "RelayServiceCall", params: JsonObject) -> Reply:
    refuse_unless(call.state == "created", "the call is answered already", code="409")

    def pick_up() -> None:
        call.ring()
        call.answer()
        call.bound(reading.number(params, "max_duration", 0.0))

    return Reply("Answering call", pick_up)


def _end(call: "RelayServiceCall", params: JsonObject) -> Reply:
    return Reply("Ending call", lambda: call.end(reading.text(params, "reason"), source="none"))


def _pass(call: "RelayServiceCall", _params: JsonObject) -> Reply:
    refuse_unless(call.state == "created", "the call is answered already", code="409")
    return Reply("Passing call", lambda: call.leave_session(call.context))


def _hold(call: "RelayServiceCall", _params: JsonObject, *, on: bool) -> Reply:
    call.on_hold = on
    state = "hold" if on else "unhold"
    return Reply(f"Call {'on' if on else 'off'} hold", lambda: call.tell("calling.call.hold", {"state": state}))


def _denoise(call: "RelayServiceCall", _params: JsonObject, *, on: bool) -> Reply:
    call.denoised = on
    return Reply(f"Denoiser {'on' if on else 'off'}", lambda: call.tell("calling.call.denoise", {"denoised": on}))


def _to_ai(call: "RelayServiceCall", _params: JsonObject, *, message: str) -> Reply:
    listening = any(one.method.name in {"ai", "amazon_bedrock"} for one in call.running)
    refuse_unless(listening, "no AI is on the call", code="409")
    return Reply(message)


def _live(_call: "RelayServiceCall", _params: JsonObject) -> Reply:
    return Reply("+OK")


def _user_event(call: "RelayServiceCall", params: JsonObject) -> Reply:
    said: JsonObject = {name: value for name, value in params.items() if name not in {"node_id", "call_id"}}
    return Reply("User event sent", lambda: call.tell("calling.user_event", said))


def _bind_digit(call: "RelayServiceCall", params: JsonObject) -> Reply:
    bound = reading.text(params, "bind_method")
    refuse_unless(bound in ON_CALLS, f"bind_method: there is no {bound[:64]}")

    def perform(wanted: JsonObject) -> None:
        try:
            carry_out(call, bound, wanted).then()
        except (Refusal, Unfit) as refused:  # nobody waits for an answer
            call.raise_error(refused.message)

    return bindings.bind(call, params, perform)


OPERATIONS: dict[str, tuple[str, type[Operation]]] = {
    "calling.play": ("Playing", Play),
    "calling.record": ("Recording", Record),
    "calling.play_and_collect": ("Playing and collecting", PlayAndCollect),
    "calling.collect": ("Collecting", Collect),
    "calling.connect": ("Connecting call", Connect),
    "calling.send_digits": ("Sending Digits", SendDigits),
    "calling.detect": ("Detecting", Detect),
    "calling.refer": ("Starting SIP REFER", Refer),
    "calling.send_fax": ("Sending fax", Fax),
    "calling.receive_fax": ("Receiving fax", Fax),
    "calling.tap": ("Tapping call", Tap),
    "calling.stream": ("Stream started", Stream),
    "calling.pay": ("Payment started", Pay),
    "calling.join_conference": ("Joining conference", InConference),
    "calling.transcribe": ("Transcribing", Transcribe),
    "calling.echo": ("Echoing", Echo),
    "calling.ai": ("AI started", Tracking),
    "calling.amazon_bedrock": ("AI started", Bedrock),
    "calling.join_room": ("Joining room", InRoom),
    "calling.queue.enter": ("Entering queue", InQueue),
}
"""What runs on a call for a while, each with what the answer says."""

HANDLERS: dict[str, Handler] = {
    "calling.answer": _answer,
    "calling.end": _end,
    "calling.pass": _pass,
    "calling.disconnect": disconnect,
    "calling.transfer": transfer,
    "calling.leave_conference": leave_conference,
    "calling.hold": partial(_hold, on=True),
    "calling.unhold": partial(_hold, on=False),
    "calling.denoise": partial(_denoise, on=True),
    "calling.denoise.stop": partial(_denoise, on=False),
    "calling.live_transcribe": _live,
    "calling.live_translate": _live,
    "calling.ai_message": partial(_to_ai, message="AI message sent"),
    "calling.ai_hold": partial(_to_ai, message="AI on hold"),
    "calling.ai_unhold": partial(_to_ai, message="AI off hold"),
    "calling.leave_room": leave_room,
    "calling.queue.leave": leave_queue,
    "calling.bind_digit": _bind_digit,
    "calling.clear_digit_bindings": bindings.clear,
    "calling.user_event": _user_event,
}
"""What is done at once."""
