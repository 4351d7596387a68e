"""A realistic value for every parameter of every method, and wrong ones for every kind."""

from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from telcoflow_anyio.gateway.relay import RelayCaller
from telcoflow_proto.relay.methods import Kind, Method, Param, Subcommand
from tests.world.relay import Phone

SPEECH = [{"type": "tts", "params": {"text": "Hello!"}}]
PAUSE = [{"type": "silence", "params": {"duration": 2}}]
DEVICES = [[{"type": "phone", "params": {"to_number": "+15551234567", "from_number": "+15559876543"}}]]

SAMPLES: dict[str, dict[str, Any]] = {
    "hangup": {"reason": "busy"},
    "play": {"media": PAUSE, "volume": -3.0, "direction": "both", "loop": 2},
    "record": {"audio": {"format": "wav", "stereo": True, "direction": "both"}},
    "play_and_collect": {
        "media": [{"type": "tts", "params": {"text": "Press 1 for sales, 2 for support."}}],
        "collect": {"digits": {"max": 1, "digit_timeout": 5.0}},
        "volume": 4,
    },
    "collect": {
        "digits": {"max": 4, "terminators": "#"},
        "speech": {"language": "en-US"},
        "initial_timeout": 8.5,
        "partial_results": False,
        "continuous": False,
        "send_start_of_input": False,
        "start_input_timers": True,
    },
    "connect": {
        "devices": DEVICES,
        "ringback": [{"type": "ringtone", "params": {"name": "us"}}],
        "tag": "bridge-1",
        "max_duration": 600,
        "max_price_per_minute": 0.05,
        "status_url": "https://example.com/status",
    },
    "send_digits": {"digits": "1234#"},
    "detect": {"detect": {"type": "machine", "params": {"initial_timeout": 4.5}}, "timeout": 30.0},
    "refer": {
        "device": {"type": "sip", "params": {"to": "sip:user@example.com"}},
        "status_url": "https://example.com/status",
    },
    "transfer": {"dest": "https://example.com/swml-endpoint"},
    "send_fax": {
        "document": "https://example.com/document.pdf",
        "identity": "+15551234567",
        "header_info": "Page one of two",
    },
    "tap": {
        "tap": {"type": "audio", "params": {"direction": "both"}},
        "device": {"type": "rtp", "params": {"addr": "192.168.1.100", "port": 5000}},
    },
    "stream": {
        "url": "wss://example.com/audio",
        "name": "my_stream",
        "codec": "PCMU",
        "track": "inbound_track",
        "status_url": "https://example.com/status",
        "status_url_method": "POST",
        "authorization_bearer_token": "bearer",
        "custom_parameters": {"colour": "red"},
    },
    "pay": {
        "payment_connector_url": "https://pay.example.com",
        "input_method": "dtmf",
        "status_url": "https://example.com/status",
        "payment_method": "credit-card",
        "timeout": 5,
        "max_attempts": "3",
        "security_code": True,
        "postal_code": "false",
        "min_postal_code_length": 4,
        "token_type": "one-time",
        "charge_amount": "25.99",
        "currency": "usd",
        "language": "en-US",
        "voice": "woman",
        "description": "A book",
        "valid_card_types": "visa mastercard",
        "parameters": [{"name": "order", "value": "12345"}],
        "prompts": [{"for": "payment-card-number", "actions": [{"type": "Say", "phrase": "Your card, please"}]}],
    },
    "join_conference": {
        "name": "my_conference",
        "muted": False,
        "beep": "onEnter",
        "start_on_enter": True,
        "end_on_exit": False,
        "wait_url": "https://example.com/music",
        "max_participants": 20,
        "record": "record-from-start",
        "region": "eu",
        "trim": "trim-silence",
        "coach": "7c7b5b8e-coach",
        "status_callback": "https://example.com/status",
        "status_callback_event": "start end",
        "status_callback_event_type": "relay",
        "status_callback_method": "POST",
        "recording_status_callback": "https://example.com/recorded",
        "recording_status_callback_event": "completed",
        "recording_status_callback_event_type": "relay",
        "recording_status_callback_method": "GET",
        "stream_obj": {"url": "wss://example.com/audio"},
    },
    "leave_conference": {"conference_id": "my_conference"},
    "transcribe": {"status_url": "https://example.com/transcription"},
    "live_transcribe": {"action_obj": {"start": {"language": "en-US"}}},
    "live_translate": {
        "action_obj": {"start": {"source": "en-US", "target": "es"}},
        "status_url": "https://example.com/status",
    },
    "echo": {"timeout": 30.0, "status_url": "https://example.com/status"},
    "ai": {
        "agent": "agent-1",
        "prompt": {"text": "You are a helpful support agent."},
        "post_prompt": {"text": "Summarise."},
        "post_prompt_url": "https://example.com/summary",
        "post_prompt_auth_user": "user",
        "post_prompt_auth_password": "password",
        "global_data": {"customer": 7},
        "pronounce": [{"replace": "IVR", "with": "I V R"}],
        "hints": ["sales", "support"],
        "languages": [{"name": "English", "code": "en-US"}],
        "SWAIG": {"functions": []},
        "ai_params": {"end_of_speech_timeout": 3000},
    },
    "amazon_bedrock": {
        "prompt": "You are a helpful support agent.",
        "SWAIG": {"functions": []},
        "ai_params": {"temperature": 0.5},
        "global_data": {"customer": 7},
        "post_prompt": {"text": "Summarise."},
        "post_prompt_url": "https://example.com/summary",
    },
    "ai_message": {
        "message_text": "The customer is a member",
        "role": "system",
        "reset": {"full_reset": True},
        "global_data": {"customer": 8},
    },
    "ai_hold": {"timeout": 30, "prompt": "One moment"},
    "ai_unhold": {"prompt": "Here I am again"},
    "join_room": {"name": "my_room", "status_url": "https://example.com/status"},
    "queue_enter": {"queue_name": "support", "status_url": "https://example.com/status"},
    "queue_leave": {"queue_name": "support", "queue_id": "q-123", "status_url": "https://example.com/status"},
    "bind_digit": {
        "digits": "*1",
        "bind_method": "calling.play",
        "bind_params": {"play": [{"type": "tts", "params": {"text": "You pressed star-1"}}]},
        "realm": "menu",
        "max_triggers": 1,
    },
    "clear_digit_bindings": {"realm": "all"},
    "user_event": {"event": "order_placed"},
}

NEEDED_ANYWAY: dict[str, tuple[str, ...]] = {"collect": ("digits",)}
"""What no table calls required, and yet the service wants one of."""

WRONG: dict[Kind, tuple[Any, ...]] = {
    Kind.TEXT: (7, True, ["a"], {}, b"bytes"),
    Kind.INTEGER: ("7", 2.5, True, [], {}),
    Kind.NUMBER: ("loud", True, [], {}, float("nan"), float("inf")),
    Kind.BOOLEAN: ("yes", 1, [], {}),
    Kind.OBJECT: ("text", 7, [], {1: "not a text"}),
    Kind.ARRAY: ("text", 7, {}, {"a", "set"}),
    Kind.GROUPS: ("text", 7, {}, [{"type": "phone"}]),
    Kind.SCALAR: ([], {}, object()),
    Kind.ANYTHING: (object(), b"bytes", {"deep": {1, 2}}),
    Kind.TEXT_OR_OBJECT: (7, True, []),
}

WRONG_ON_THE_WIRE: dict[Kind, tuple[Any, ...]] = {
    Kind.TEXT: (7, True, ["a"], {}),
    Kind.INTEGER: ("7", 2.5, True, [], {}),
    Kind.NUMBER: ("loud", True, [], {}),
    Kind.BOOLEAN: ("yes", 1, [], {}),
    Kind.OBJECT: ("text", 7, []),
    Kind.ARRAY: ("text", 7, {}),
    Kind.GROUPS: ("text", 7, {}, [{"type": "phone"}]),
    Kind.SCALAR: (7, True, [], {}),
    Kind.ANYTHING: (),
    Kind.TEXT_OR_OBJECT: (7, True, []),
}


async def _conference(phone: Phone) -> None:
    await phone.call.join_conference("my_conference")


async def _ai(phone: Phone) -> None:
    await phone.call.ai(prompt={"text": "Help."})


async def _room(phone: Phone) -> None:
    await phone.call.join_room("my_room")


async def _queue(phone: Phone) -> None:
    await phone.call.queue_enter("support")


async def _bridge(phone: Phone) -> None:
    await phone.call.connect(DEVICES)
    await phone.call.wait_for("calling.call.connect", lambda event: event.params["connect_state"] == "connected", 10)


BEFORE: dict[str, Callable[[Phone], Awaitable[None]]] = {
    "leave_conference": _conference,
    "ai_message": _ai,
    "ai_hold": _ai,
    "ai_unhold": _ai,
    "leave_room": _room,
    "queue_leave": _queue,
    "disconnect": _bridge,
}
"""What must have happened for a method to make sense."""

NOT_YET_ANSWERED = {"answer", "pass_"}
CALLER = RelayCaller(number="+15550001")


def sample(method: Method, param: Param) -> Any:
    return SAMPLES[method.name][param.name]


def given(method: Method, *, everything: bool) -> dict[str, Any]:
    """What to call a method with: the required arguments, or all of them."""
    anyway = NEEDED_ANYWAY.get(method.name, ())
    return {
        param.name: sample(method, param)
        for param in method.params
        if (everything or param.required or param.name in anyway) and param.name in SAMPLES[method.name]
    }


def on_the_wire(method: Method | Subcommand, arguments: Mapping[str, Any]) -> dict[str, Any]:
    """What the table says of where arguments go, worked out once more."""
    params: dict[str, Any] = {}
    for param in method.params:
        value = arguments.get(param.name, param.absent)
        if value is None:
            continue
        if param.kind is Kind.SCALAR and not isinstance(value, str):
            value = {True: "true", False: "false"}[value] if isinstance(value, bool) else f"{value}"
        at = params
        *parents, last = param.wire.split(".")
        for parent in parents:
            at = at.setdefault(parent, {})
        at[last] = value
    return params
