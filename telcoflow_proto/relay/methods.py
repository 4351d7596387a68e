"""The methods of a RELAY call, as one table: what each is called, on the page and on the wire, and what it takes.

Methods, documentation, the gateway and the tests all read this table; nothing about a method's form is written
anywhere else. Sources: the vendor's call reference (``page``) and the newest vendor client (``peer``).

Long because the reference is: one table, a row for each method and each of its parameters.
"""

from collections.abc import Iterable
from typing import final

import attrs

from telcoflow_proto.jsontext import Json
from telcoflow_proto.relay.resolution import (
    Rule,
    by_detection,
    by_fax_type,
    by_final_result,
    by_payment_result,
    by_state,
)
from telcoflow_proto.symbol import Symbol


@final
class Kind(Symbol):
    """What a parameter may be. The value says it to a person."""

    TEXT = "a text"
    INTEGER = "a whole number"
    NUMBER = "a number"
    BOOLEAN = "True or False"
    OBJECT = "an object (dict)"
    ARRAY = "an array (list)"
    GROUPS = "an array of arrays (list of lists)"
    SCALAR = "a text (or a number or boolean, sent as a text)"
    ANYTHING = "any JSON value"
    TEXT_OR_OBJECT = "a text or an object (dict)"


@final
@attrs.frozen
class Param:
    """One parameter: its name and kind on the page, and where it goes on the wire (a dot enters an object).

    ``needs`` are the members the service insists on: of the object, or of every object in the array. A dotted one
    is a member of an inner object, needed only where that object is.
    ``absent`` is what is sent when the caller gives nothing; None leaves the parameter out.
    """

    name: str
    kind: Kind
    wire: str = attrs.field(default=attrs.Factory(lambda self: self.name, takes_self=True))
    required: bool = attrs.field(default=False, kw_only=True)
    needs: tuple[str, ...] = attrs.field(default=(), kw_only=True)
    absent: Json = attrs.field(default=None, kw_only=True)


@final
@attrs.frozen
class Subcommand:
    """Something to say to a running action: ``calling.<...>`` with the action's control id."""

    name: str
    wire: str
    params: tuple[Param, ...] = ()


@final
@attrs.frozen(kw_only=True)
class ActionKind:
    """A kind of running operation: which event type tells of it, in which states, and when it is over.

    ``states`` are the values ``state`` takes, the terminal ones last; ``terminal`` are those that end it (for
    people, and for the gateway: what decides is ``over``).
    """

    name: str
    event: str
    states: tuple[str, ...]
    terminal: tuple[str, ...]
    over: Rule
    commands: tuple[Subcommand, ...]


@final
@attrs.frozen(kw_only=True)
class Method:
    """One method of a call. ``action`` is None for those that return the result itself.

    ``control_id``: the request always carries one. ``free``: further keywords go to the top level of the params.
    ``spelled_out`` are the parameters in the page's signature where that ends in an ellipsis; the others are the
    peer's. None: the page has them all.
    """

    name: str
    wire: str
    params: tuple[Param, ...] = ()
    action: ActionKind | None = None
    control_id: bool = False
    free: bool = True
    events: tuple[str, ...] = ()
    spelled_out: tuple[str, ...] | None = None


# ---------------------------------------------------------------------------------------------- parameters

_T, _N, _I, _B, _O, _A = Kind.TEXT, Kind.NUMBER, Kind.INTEGER, Kind.BOOLEAN, Kind.OBJECT, Kind.ARRAY
_MEDIA = Param("media", _A, "play", required=True, needs=("type", "params"))
_DEVICES = Param("devices", Kind.GROUPS, required=True, needs=("type",))
_VOLUME = Param("volume", _N)
_STATUS_URL = Param("status_url", _T)


def _texts(*names: str) -> Iterable[Param]:
    return (Param(name, _T) for name in names)


def _scalars(*names: str) -> Iterable[Param]:
    return (Param(name, Kind.SCALAR) for name in names)


def _commands(prefix: str, *names: str) -> tuple[Subcommand, ...]:
    params: dict[str, tuple[Param, ...]] = {
        "pause": (Param("behavior", _T),),
        "volume": (Param("volume", _N, required=True),),
    }
    return tuple(Subcommand(name, f"{prefix}.{name}", params.get(name, ())) for name in names)


# ---------------------------------------------------------------------------------------------- kinds of actions

PLAY = ActionKind(
    name="play",
    event="calling.call.play",
    states=("playing", "paused", "finished", "error"),
    terminal=("finished", "error"),
    over=by_state("finished", "error"),
    commands=_commands("calling.play", "stop", "pause", "resume", "volume"),
)
RECORD = ActionKind(
    name="record",
    event="calling.call.record",
    states=("recording", "paused", "finished", "no_input"),
    terminal=("finished", "no_input"),
    over=by_state("finished", "no_input"),
    commands=_commands("calling.record", "stop", "pause", "resume"),
)
_COLLECT_STATES = ("collecting", "finished", "error", "no_input", "no_match")
PLAY_AND_COLLECT = ActionKind(
    name="play_and_collect",
    event="calling.call.collect",
    states=_COLLECT_STATES,
    terminal=_COLLECT_STATES[1:],
    over=by_final_result,
    commands=(
        *_commands("calling.play_and_collect", "stop", "pause", "resume", "volume"),
        Subcommand("start_input_timers", "calling.collect.start_input_timers"),
    ),
)
COLLECT = ActionKind(
    name="collect",
    event="calling.call.collect",
    states=_COLLECT_STATES,
    terminal=_COLLECT_STATES[1:],
    over=by_final_result,
    commands=_commands("calling.collect", "stop", "start_input_timers"),
)
DETECT = ActionKind(
    name="detect",
    event="calling.call.detect",
    states=("finished", "error"),
    terminal=("finished", "error"),
    over=by_detection,
    commands=_commands("calling.detect", "stop"),
)
SEND_FAX = ActionKind(
    name="send_fax",
    event="calling.call.fax",
    states=("page", "finished", "error"),
    terminal=("finished", "error"),
    over=by_fax_type,
    commands=_commands("calling.send_fax", "stop"),
)
RECEIVE_FAX = attrs.evolve(SEND_FAX, name="receive_fax", commands=_commands("calling.receive_fax", "stop"))
TAP = ActionKind(
    name="tap",
    event="calling.call.tap",
    states=("tapping", "finished"),
    terminal=("finished",),
    over=by_state("finished"),
    commands=_commands("calling.tap", "stop"),
)
STREAM = ActionKind(
    name="stream",
    event="calling.call.stream",
    states=("streaming", "finished"),
    terminal=("finished",),
    over=by_state("finished"),
    commands=_commands("calling.stream", "stop"),
)
PAY = ActionKind(
    name="pay",
    event="calling.call.pay",
    states=("finished", "error"),
    terminal=("finished", "error"),
    over=by_payment_result,
    commands=_commands("calling.pay", "stop"),
)
TRANSCRIBE = ActionKind(
    name="transcribe",
    event="calling.call.transcribe",
    states=("transcribing", "finished"),
    terminal=("finished",),
    over=by_state("finished"),
    commands=_commands("calling.transcribe", "stop"),
)
AI = ActionKind(
    name="ai",
    event="calling.call.ai",
    states=("finished", "error"),
    terminal=("finished", "error"),
    over=by_state("finished", "error"),
    commands=_commands("calling.ai", "stop"),
)

ACTION_KINDS = (
    PLAY,
    RECORD,
    PLAY_AND_COLLECT,
    COLLECT,
    DETECT,
    SEND_FAX,
    RECEIVE_FAX,
    TAP,
    STREAM,
    PAY,
    TRANSCRIBE,
    AI,
)

# ---------------------------------------------------------------------------------------------- the table

METHODS = (
    Method(name="answer", wire="calling.answer", events=("calling.call.state",)),
    Method(
        name="hangup",
        wire="calling.end",
        params=(Param("reason", _T, required=True),),
        free=False,
        events=("calling.call.state",),
    ),
    Method(name="pass_", wire="calling.pass", free=False),
    Method(
        name="play",
        wire="calling.play",
        params=(_MEDIA, _VOLUME, Param("direction", _T), Param("loop", _I)),
        action=PLAY,
        control_id=True,
    ),
    Method(
        name="record",
        wire="calling.record",
        params=(Param("audio", _O, "record.audio", absent={}),),
        action=RECORD,
        control_id=True,
    ),
    Method(
        name="play_and_collect",
        wire="calling.play_and_collect",
        params=(_MEDIA, Param("collect", _O, required=True, needs=("digits.max",)), _VOLUME),
        action=PLAY_AND_COLLECT,
        control_id=True,
    ),
    Method(
        name="collect",
        wire="calling.collect",
        params=(
            Param("digits", _O, needs=("max",)),
            Param("speech", _O),
            Param("initial_timeout", _N),
            Param("partial_results", _B),
            Param("continuous", _B),
            Param("send_start_of_input", _B),
            Param("start_input_timers", _B),
        ),
        action=COLLECT,
        control_id=True,
        spelled_out=("digits", "speech"),
    ),
    Method(
        name="connect",
        wire="calling.connect",
        params=(
            _DEVICES,
            Param("ringback", _A, needs=("type", "params")),
            Param("tag", _T),
            Param("max_duration", _I),
            Param("max_price_per_minute", _N),
            _STATUS_URL,
        ),
        events=("calling.call.connect",),
    ),
    Method(name="disconnect", wire="calling.disconnect", free=False, events=("calling.call.connect",)),
    Method(
        name="send_digits",
        wire="calling.send_digits",
        params=(Param("digits", _T, required=True),),
        control_id=True,
        free=False,
        events=("calling.call.send_digits",),
    ),
    Method(
        name="detect",
        wire="calling.detect",
        params=(Param("detect", _O, required=True, needs=("type", "params")), Param("timeout", _N)),
        action=DETECT,
        control_id=True,
    ),
    Method(
        name="refer",
        wire="calling.refer",
        params=(Param("device", _O, required=True, needs=("type", "params", "params.to")), _STATUS_URL),
        events=("calling.call.refer",),
    ),
    Method(
        name="transfer",
        wire="calling.transfer",
        params=(Param("dest", Kind.TEXT_OR_OBJECT, required=True),),
    ),
    Method(
        name="send_fax",
        wire="calling.send_fax",
        params=(Param("document", _T, required=True), *_texts("identity", "header_info")),
        action=SEND_FAX,
        control_id=True,
    ),
    Method(name="receive_fax", wire="calling.receive_fax", action=RECEIVE_FAX, control_id=True),
    Method(
        name="tap",
        wire="calling.tap",
        params=(
            Param("tap", _O, required=True, needs=("type", "params")),
            Param("device", _O, required=True, needs=("type",)),
        ),
        action=TAP,
        control_id=True,
    ),
    Method(
        name="stream",
        wire="calling.stream",
        params=(
            Param("url", _T, required=True),
            *_texts("name", "codec", "track", "status_url", "status_url_method", "authorization_bearer_token"),
            Param("custom_parameters", _O),
        ),
        action=STREAM,
        control_id=True,
        spelled_out=("url", "name", "codec", "track"),
    ),
    Method(
        name="pay",
        wire="calling.pay",
        params=(
            Param("payment_connector_url", _T, required=True),
            Param("input_method", _T, "input"),
            *_texts("status_url", "payment_method"),
            *_scalars(
                "timeout",
                "max_attempts",
                "security_code",
                "postal_code",
                "min_postal_code_length",
                "token_type",
                "charge_amount",
                "currency",
                "language",
                "voice",
                "description",
                "valid_card_types",
            ),
            Param("parameters", _A, needs=("name", "value")),
            Param("prompts", _A, needs=("for",)),
        ),
        action=PAY,
        control_id=True,
        spelled_out=("payment_connector_url", "charge_amount", "currency"),
    ),
    Method(
        name="join_conference",
        wire="calling.join_conference",
        params=(
            Param("name", _T, required=True),
            Param("muted", _B),
            Param("beep", Kind.SCALAR),
            Param("start_on_enter", _B),
            Param("end_on_exit", _B),
            Param("wait_url", _T),
            Param("max_participants", _I),
            *_texts(
                "record",
                "region",
                "trim",
                "coach",
                "status_callback",
                "status_callback_event",
                "status_callback_event_type",
                "status_callback_method",
                "recording_status_callback",
                "recording_status_callback_event",
                "recording_status_callback_event_type",
                "recording_status_callback_method",
            ),
            Param("stream_obj", _O, "stream"),
        ),
        events=("calling.conference",),
        spelled_out=("name", "muted", "beep", "max_participants", "record"),
    ),
    Method(
        name="leave_conference",
        wire="calling.leave_conference",
        params=(Param("conference_id", _T, required=True),),
        events=("calling.conference",),
    ),
    Method(name="hold", wire="calling.hold", free=False, events=("calling.call.hold",)),
    Method(name="unhold", wire="calling.unhold", free=False, events=("calling.call.hold",)),
    Method(name="denoise", wire="calling.denoise", free=False, events=("calling.call.denoise",)),
    Method(name="denoise_stop", wire="calling.denoise.stop", free=False, events=("calling.call.denoise",)),
    Method(name="transcribe", wire="calling.transcribe", params=(_STATUS_URL,), action=TRANSCRIBE, control_id=True),
    Method(
        name="live_transcribe",
        wire="calling.live_transcribe",
        params=(Param("action_obj", Kind.TEXT_OR_OBJECT, "action", required=True),),
    ),
    Method(
        name="live_translate",
        wire="calling.live_translate",
        params=(Param("action_obj", Kind.TEXT_OR_OBJECT, "action", required=True), _STATUS_URL),
    ),
    Method(
        name="echo",
        wire="calling.echo",
        params=(Param("timeout", _N), _STATUS_URL),
        events=("calling.call.echo",),
    ),
    Method(
        name="ai",
        wire="calling.ai",
        params=(
            Param("agent", _T),
            Param("prompt", _O),
            Param("post_prompt", _O),
            *_texts("post_prompt_url", "post_prompt_auth_user", "post_prompt_auth_password"),
            Param("global_data", _O),
            *(Param(name, _A) for name in ("pronounce", "hints", "languages")),
            Param("SWAIG", _O),
            Param("ai_params", _O, "params"),
        ),
        action=AI,
        control_id=True,
        spelled_out=("prompt", "SWAIG", "ai_params"),
    ),
    Method(
        name="amazon_bedrock",
        wire="calling.amazon_bedrock",
        params=(
            Param("prompt", Kind.ANYTHING),
            Param("SWAIG", _O),
            Param("ai_params", _O, "params"),
            Param("global_data", _O),
            Param("post_prompt", Kind.ANYTHING),
            Param("post_prompt_url", _T),
        ),
        spelled_out=("prompt", "SWAIG"),
    ),
    Method(
        name="ai_message",
        wire="calling.ai_message",
        params=(*_texts("message_text", "role"), Param("reset", _O), Param("global_data", _O)),
        spelled_out=("message_text", "role"),
    ),
    Method(
        name="ai_hold",
        wire="calling.ai_hold",
        params=(Param("timeout", Kind.SCALAR), Param("prompt", Kind.ANYTHING)),
    ),
    Method(name="ai_unhold", wire="calling.ai_unhold", params=(Param("prompt", Kind.ANYTHING),)),
    Method(
        name="join_room",
        wire="calling.join_room",
        params=(Param("name", _T, required=True), _STATUS_URL),
        events=("calling.call.room",),
    ),
    Method(name="leave_room", wire="calling.leave_room", events=("calling.call.room",)),
    Method(
        name="queue_enter",
        wire="calling.queue.enter",
        params=(Param("queue_name", _T, required=True), _STATUS_URL),
        control_id=True,
        events=("calling.call.queue",),
    ),
    Method(
        name="queue_leave",
        wire="calling.queue.leave",
        params=(Param("queue_name", _T, required=True), Param("queue_id", _T), _STATUS_URL),
        control_id=True,
        events=("calling.call.queue",),
    ),
    Method(
        name="bind_digit",
        wire="calling.bind_digit",
        params=(
            Param("digits", _T, required=True),
            Param("bind_method", _T, required=True),
            Param("bind_params", _O, "params"),
            Param("realm", _T),
            Param("max_triggers", _I),
        ),
    ),
    Method(name="clear_digit_bindings", wire="calling.clear_digit_bindings", params=(Param("realm", _T),)),
    Method(
        name="user_event",
        wire="calling.user_event",
        params=(Param("event", Kind.ANYTHING),),
        events=("calling.user_event",),
    ),
)

DIAL = Method(
    name="dial",
    wire="calling.dial",
    params=(_DEVICES, Param("max_duration", _I)),
    free=False,
    events=("calling.call.state", "calling.call.dial"),
)
SEND_MESSAGE = Method(
    name="send_message",
    wire="messaging.send",
    params=(
        *(Param(name, _T, required=True) for name in ("context", "to_number", "from_number")),
        Param("body", _T),
        Param("media", _A),
        Param("tags", _A),
        Param("region", _T),
    ),
    free=False,
    events=("messaging.state",),
)
"""What a client asks for, rather than a call."""

BY_NAME = {method.name: method for method in METHODS}
BY_WIRE: dict[str, Method | Subcommand] = {
    **{method.wire: method for method in (*METHODS, DIAL, SEND_MESSAGE)},
    **{command.wire: command for kind in ACTION_KINDS for command in kind.commands},
}
