"""The rows of the parity test, made from the table of methods: a new row of that table is compared by itself."""

import inspect
import json
from collections.abc import Callable, Iterator
from typing import Any

from telcoflow_proto.jsontext import JsonObject
from telcoflow_proto.relay.conveniences import CallConveniences
from telcoflow_proto.relay.events import EVENT_CLASS_MAP
from telcoflow_proto.relay.methods import METHODS, SEND_MESSAGE, Kind, Method, Param, Subcommand
from tests.interop.relay.responder import inbound
from tests.interop.relay.script import CALLBACK, CLIENT, Step, step

TTS = {"type": "tts", "params": {"text": "Hello!"}}
DIGITS = {"digits": {"max": 1, "digit_timeout": 5.0}}
PHONE = {"type": "phone", "params": {"to_number": "+15551234567", "from_number": "+15559876543"}}
CONTROL_ID = "my-own-control-id"

# What a parameter is given: by method and name, else by name, else by kind. As on the vendor's page where it says.
SAMPLES: dict[str, Any] = {
    "media": [TTS, {"type": "silence", "params": {"duration": 2}}],
    "audio": {"format": "wav", "stereo": True, "direction": "both"},
    "collect": DIGITS,
    "collect.digits": {"max": 4, "terminators": "#"},
    "speech": {"language": "en-US"},
    "devices": [[PHONE], [{"type": "sip", "params": {"to": "sip:user@example.com", "from": "sip:us@example.com"}}]],
    "ringback": [{"type": "ringtone", "params": {"name": "us"}}],
    "send_digits.digits": "1234#",
    "detect": {"type": "machine", "params": {"initial_timeout": 4.5}},
    "refer.device": {"type": "sip", "params": {"to": "sip:user@example.com"}},
    "dest": "https://example.com/swml-endpoint",
    "document": "https://example.com/document.pdf",
    "identity": "+15551234567",
    "tap": {"type": "audio", "params": {"direction": "both"}},
    "tap.device": {"type": "rtp", "params": {"addr": "192.168.1.100", "port": 5000}},
    "stream.url": "wss://example.com/audio",
    "codec": "PCMU",
    "track": "inbound_track",
    "custom_parameters": {"customer": "42"},
    "payment_connector_url": "https://pay.example.com",
    "input_method": "dtmf",
    "charge_amount": "25.99",
    "currency": "usd",
    "parameters": [{"name": "merchant", "value": "42"}],
    "prompts": [{"for": "payment-card-number", "actions": [{"type": "Say", "phrase": "Your card number, please."}]}],
    "beep": "onEnter",
    "conference_id": "conf-123",
    "stream_obj": {"url": "wss://example.com/audio"},
    "live_transcribe.action_obj": {"start": {"language": "en-US"}},
    "live_translate.action_obj": {"start": {"source": "en-US", "target": "es"}},
    "SWAIG": {"functions": [{"function": "get_time", "description": "Tells the time."}]},
    "ai_params": {"end_of_speech_timeout": 3000},
    "ai.prompt": {"text": "You are a helpful support agent."},
    "hints": ["RELAY"],
    "languages": [{"name": "English", "code": "en-US", "voice": "elevenlabs.rachel"}],
    "pronounce": [{"replace": "SWML", "with": "swimmel"}],
    "reset": {"full_reset": True},
    "queue_id": "q-123",
    "bind_digit.digits": "*1",
    "bind_method": "calling.play",
    "bind_params": {"play": [{"type": "tts", "params": {"text": "You pressed star-1"}}]},
    "event": "order_placed",
    "status_url": "https://example.com/status",
    "reason": "busy",
    "behavior": "silence",
    "volume": -3.0,
    "direction": "both",
    "media_urls": ["https://example.com/picture.png"],
    "send_message.media": ["https://example.com/picture.png"],
    "send_message.tags": ["greeting"],
    "to_number": "+15551234567",
    "from_number": "+15559876543",
}
BY_KIND: dict[Kind, Any] = {
    Kind.TEXT: "text",
    Kind.INTEGER: 3,
    Kind.NUMBER: 30.0,
    Kind.BOOLEAN: True,
    Kind.OBJECT: {"key": "value"},
    Kind.ARRAY: [{"key": "value"}],
    Kind.GROUPS: [[PHONE]],
    Kind.SCALAR: "5",
    Kind.ANYTHING: "anything",
    Kind.TEXT_OR_OBJECT: {"key": "value"},
}
NOTHING: dict[Kind, Any] = {
    Kind.TEXT: "",
    Kind.INTEGER: 0,
    Kind.NUMBER: 0.0,
    Kind.BOOLEAN: False,
    Kind.OBJECT: {},
    Kind.ARRAY: [],
    Kind.GROUPS: [],
    Kind.SCALAR: "",
    Kind.ANYTHING: "",
    Kind.TEXT_OR_OBJECT: {},
}
FREE: dict[str, Any] = {"further": {"nested": [1, 2.5, None, True]}, "note": "free"}
KIND_OF_ANNOTATION = {"str": Kind.TEXT, "float": Kind.NUMBER, "int": Kind.INTEGER, "bool": Kind.BOOLEAN}


def sample(method: str, param: Param) -> Any:
    """Return what a parameter of a method is given."""
    return SAMPLES.get(f"{method}.{param.name}", SAMPLES.get(param.name, BY_KIND[param.kind]))


def of_method(method: Method) -> Iterator[Step]:
    """One method of the table, on a call of its own: with what it must have, with every option alone, with all."""
    name = method.name
    args = [sample(name, param) for param in method.params if param.required]
    yield from variants(name, args, [param for param in method.params if not param.required])
    if method.control_id:
        yield step(f"{name}(control_id)", name, name, *args, control_id=f"{CONTROL_ID}-of-{name}")
    if method.free:
        yield step(f"{name}(free keywords)", name, name, *args, **FREE)
    if method.action is not None:
        yield step(f"{name}(on_completed)", name, name, *args, on_completed=CALLBACK)
        for command in method.action.commands:
            yield from of_subcommand(name, args, command)


def variants(name: str, args: list[Any], options: list[Param]) -> Iterator[Step]:
    yield step(f"{name}()", name, name, *args)
    for option in options:
        yield step(f"{name}({option.name})", name, name, *args, **{option.name: sample(name, option)})
        yield step(f"{name}({option.name} empty)", name, name, *args, **{option.name: NOTHING[option.kind]})
    if options:
        yield step(f"{name}(all)", name, name, *args, **{option.name: sample(name, option) for option in options})
        yield step(f"{name}(all None)", name, name, *args, **{option.name: None for option in options})


def of_subcommand(name: str, args: list[Any], command: Subcommand) -> Iterator[Step]:
    """Something said to an action that was just started."""
    needed = [sample(command.name, param) for param in command.params if param.required]
    row = f"{name}().{command.name}"
    yield step(f"{row}()", name, name, *args, then=[(command.name, needed, {})])
    for option in command.params:
        if not option.required:
            for label, value in (("", sample(command.name, option)), (" empty", NOTHING[option.kind])):
                given = {option.name: value}
                yield step(f"{row}({option.name}{label})", name, name, *args, then=[(command.name, needed, given)])


def of_convenience(name: str, function: Callable[..., Any]) -> Iterator[Step]:
    """One of the shorter ways: what it takes is read from its signature."""
    args, options, called_back = [], [], False
    for param in list(inspect.signature(function).parameters.values())[1:]:
        kind = KIND_OF_ANNOTATION.get(str(param.annotation).removesuffix(" | None"), Kind.OBJECT)
        if param.name == "on_completed":
            called_back = True
        elif param.default is param.empty:
            args.append(sample(name, Param(param.name, kind)))
        else:
            options.append(Param(param.name, kind))
    yield from variants(name, args, options)
    if called_back:
        yield step(f"{name}(on_completed)", name, name, *args, on_completed=CALLBACK)


def told(row: str, *frames: JsonObject) -> Step:
    """Let the service say something, to see what the client says to that."""
    return step(row, CLIENT, "execute", "parity.push", {"texts": [json.dumps(frame) for frame in frames]})


def event(event_type: str, event_id: str | None = "told", **params: Any) -> JsonObject:
    named: JsonObject = {} if event_id is None else {"id": event_id}
    return {
        "jsonrpc": "2.0",
        **named,
        "method": "signalwire.event",
        "params": {"event_type": event_type, "params": params},
    }


def request(method: str, **params: Any) -> JsonObject:
    return {"jsonrpc": "2.0", "id": "asked", "method": method, "params": params}


def frames_back() -> Iterator[Step]:
    """What a client answers by itself."""
    for event_type in sorted(EVENT_CLASS_MAP):
        yield told(f"told {event_type}", event(event_type, call_id="nobody's", control_id="nobody's"))
    yield told("told something of this call", event("calling.call.play", call_id="the call", state="playing"))
    yield told("told an unknown event", event("calling.new.thing", call_id="the call"))
    yield told("told an event without a type", event(""))
    yield told("told an event without an id", event("calling.call.play", None, call_id="the call"))
    yield told("told two events", event("calling.call.play", "one"), event("calling.call.record", "two"))
    yield told("asked signalwire.ping()", request("signalwire.ping"))
    yield told("asked signalwire.ping(all)", request("signalwire.ping", timestamp=1751234567.25, payload="ping"))
    yield told("asked what nobody knows", request("signalwire.riddle"))


def of_client() -> Iterator[Step]:
    """The methods of the client."""
    yield step("receive()", CLIENT, "receive", ["support", "billing"])
    yield step("receive(nothing)", CLIENT, "receive", [])
    yield step("unreceive()", CLIENT, "unreceive", ["support"])
    yield step("unreceive(nothing)", CLIENT, "unreceive", [])
    yield step("execute()", CLIENT, "execute", "calling.anything", {"any": {"nested": [1, 2.5, None]}})
    groups = SAMPLES["devices"]
    yield step("dial()", CLIENT, "dial", groups)
    yield step("dial(tag)", CLIENT, "dial", groups, tag="my-own-tag")
    yield step("dial(max_duration)", CLIENT, "dial", groups, max_duration=60)
    yield step("dial(max_duration empty)", CLIENT, "dial", groups, max_duration=0)
    yield step("dial(dial_timeout)", CLIENT, "dial", groups, dial_timeout=5.0)
    yield step("dial() and hang up", CLIENT, "dial", groups, then=[("hangup", [], {})])
    yield step("dial() and play", CLIENT, "dial", groups, then=[("play", [[TTS]], {})])
    numbers = {"to_number": SAMPLES["to_number"], "from_number": SAMPLES["from_number"]}
    # One of body and media has to be there, so the options are compared on a message that has a body.
    options = [p for p in SEND_MESSAGE.params if p.name not in {"to_number", "from_number"}]
    body = Param("body", Kind.TEXT)
    for option in options:
        for label, value in (("", sample("send_message", option)), (" empty", NOTHING[option.kind])):
            given: dict[str, Any] = {"body": sample("send_message", body), **numbers, option.name: value}
            yield step(f"send_message({option.name}{label})", CLIENT, "send_message", **given)
    everything = {option.name: sample("send_message", option) for option in options}
    picture = {"media": SAMPLES["send_message.media"]}
    yield step("send_message(all)", CLIENT, "send_message", **numbers, **everything)
    yield step("send_message(only media)", CLIENT, "send_message", **numbers, **picture)
    yield step("send_message(nothing to say)", CLIENT, "send_message", **numbers)
    yield step("send_message(on_completed)", CLIENT, "send_message", **numbers, **picture, on_completed=CALLBACK)


def from_the_page() -> Iterator[Step]:
    """Calls the page shows that the table does not lead to."""
    yield step("hangup() as on the page", "the call", "hangup")
    yield step("hangup(reason) as on the page", "the call", "hangup", reason="busy")
    yield step("record(audio) in first place", "the call", "record", SAMPLES["audio"])
    for item in (
        TTS,
        {"type": "audio", "params": {"url": "https://example.com/sound.mp3"}},
        {"type": "silence", "params": {"duration": 2}},
        {"type": "ringtone", "params": {"name": "us"}},
    ):
        yield step(f"play() of {item['type']}", "the call", "play", [item])
    yield step("detect() as on the page", "the call", "detect", {"type": "machine"}, timeout=30.0)
    yield step("collect() as on the page", "the call", "collect", **_COLLECT_OF_THE_PAGE)
    yield step("user_event() as on the page", "the call", "user_event", event="order_placed", order_id="12345")
    yield step("answer() with options of the service", "the call", "answer", codecs=["PCMU"], max_duration=3600)
    yield step("ai_message(control_id)", "the call", "ai_message", message_text="Hello", control_id="an-ai-session")
    yield step(
        "play() controlled as on the page",
        "the call",
        "play",
        [TTS],
        then=[("pause", [], {}), ("resume", [], {}), ("volume", [-3.0], {}), ("stop", [], {})],
    )
    yield step(
        "play() in other letters", "the call", "play", [{"type": "tts", "params": {"text": 'Grüße, „你好" \\ 🙂\n'}}]
    )
    yield step("play(free keyword over a named one)", "the call", "play", [TTS], play=[], volume=1.5)
    yield step("answer(free keyword over the address)", "the call", "answer", node_id="elsewhere")
    yield step(
        "transfer() of a document", "the call", "transfer", {"version": "1.0.0", "sections": {"main": ["hangup"]}}
    )


_COLLECT_OF_THE_PAGE: dict[str, Any] = {
    "digits": {"max": 4, "terminators": "#"},
    "speech": {"language": "en-US"},
    "partial_results": True,
}


def on_the_edge() -> Iterator[Step]:
    """What the vendor's client sends and the service would refuse, or what one of the two does on its own."""
    yield step("play(item without params)", "the call", "play", [{"type": "silence"}])
    yield step("play(volume as a text)", "the call", "play", [TTS], volume="-3")
    yield step("play(volume whole)", "the call", "play", [TTS], volume=-3)
    yield step("play(control_id empty)", "the call", "play", [TTS], control_id="")
    for row in ("play(control_id of its own)", "play(control_id again)"):
        yield step(row, "the call", "play", [TTS], control_id=CONTROL_ID)
    yield step("play(free keyword None)", "the call", "play", [TTS], note=None)
    yield step("collect(digits without max)", "the call", "collect", digits={"terminators": "#"})
    yield step("refer(without to)", "the call", "refer", {"type": "sip", "params": {}})
    yield step("tap(without params)", "the call", "tap", {"type": "audio"}, SAMPLES["tap.device"])
    yield step("detect(without type)", "the call", "detect", {"params": {}})
    yield step("connect(device without type)", "the call", "connect", [[{"params": {}}]])
    yield step(
        "pay(prompt without for)", "the call", "pay", SAMPLES["payment_connector_url"], prompts=[{"attempt": "1"}]
    )
    yield step("pay(numbers)", "the call", "pay", SAMPLES["payment_connector_url"], timeout=5, security_code=True)
    yield step("join_conference(beep as a boolean)", "the call", "join_conference", "my_conference", beep=False)
    yield step("ai_hold(timeout as a number)", "the call", "ai_hold", timeout=30)
    yield step("hangup(reason empty)", "the call", "hangup", "")


def announced(call_id: str) -> Step:
    """Let a call come in."""
    return told(f"told of {call_id}", event("calling.call.receive", f"call-{call_id}", **inbound(call_id)))


def all_rows() -> list[Step]:
    """Everything both clients are told to do on one connection, in order."""
    rows: list[Step] = []
    for method in METHODS:
        rows += [announced(method.name), *of_method(method)]
    for name, function in vars(CallConveniences).items():
        if not name.startswith("_"):
            rows += [announced(name), *of_convenience(name, function)]
    rows.append(announced("the call"))
    for more in (from_the_page, on_the_edge, of_client, frames_back):
        rows += more()
    return rows
