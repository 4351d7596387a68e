"""Each method puts what it was given where the call looks for it."""

import inspect
from collections.abc import Mapping
from typing import Any, cast, final

import pytest

from telcoflow_proto.jsontext import JsonObject
from telcoflow_proto.relay import action
from telcoflow_proto.relay.action import OnCompleted
from telcoflow_proto.relay.conveniences import CallConveniences
from telcoflow_proto.relay.methods import BY_NAME, METHODS, Method
from telcoflow_proto.relay.params import build_params
from telcoflow_proto.relay.resolution import Rule, by_continuous_end, by_first_result
from telcoflow_proto.relay.verbs import ActionT
from tests.core.loopless import Task

ACTIONS = {
    "play": action.PlayAction,
    "record": action.RecordAction,
    "play_and_collect": action.CollectAction,
    "collect": action.StandaloneCollectAction,
    "detect": action.DetectAction,
    "send_fax": action.FaxAction,
    "receive_fax": action.FaxAction,
    "tap": action.TapAction,
    "stream": action.StreamAction,
    "pay": action.PayAction,
    "transcribe": action.TranscribeAction,
    "ai": action.AIAction,
}
STARTED = object()
RESULT: JsonObject = {"code": "200"}
MEDIA = [{"type": "silence", "params": {"duration": 1}}]
COLLECT = {"digits": {"max": 1}}


@final
class Recorder(CallConveniences):
    """A call that only remembers what its methods asked of it."""

    def __init__(self) -> None:
        self.method = ""
        self.make: type[action.Action] | None = None
        self.given: Mapping[str, object] = {}
        self.further: Mapping[str, object] = {}
        self.control_id: str | None = None
        self.on_completed: OnCompleted | None = None
        self.over: Rule | None = None

    async def _command(
        self, method: str, given: Mapping[str, object], further: Mapping[str, object], control_id: str | None = None
    ) -> JsonObject:
        self.method, self.given, self.further, self.control_id = method, given, further, control_id
        return RESULT

    async def _begin(
        self,
        method: str,
        make: type[ActionT],
        given: Mapping[str, object],
        further: Mapping[str, object],
        *,
        control_id: str | None,
        on_completed: OnCompleted | None,
        over: Rule | None = None,
    ) -> ActionT:
        self.method, self.make, self.given, self.further = method, make, given, further
        self.control_id, self.on_completed, self.over = control_id, on_completed, over
        return cast("ActionT", STARTED)

    def built(self) -> JsonObject:
        """Return the params that would be sent, without those of every request."""
        return build_params(BY_NAME[self.method], self.given, self.further)


def said(name: str, /, *arguments: Any, **keywords: Any) -> Recorder:
    """Call a method and return what it asked of the call."""
    call = Recorder()
    Task(getattr(call, name)(*arguments, **keywords)).outcome()
    return call


def heard(event: object) -> None:
    """Stand for a callback."""


@pytest.mark.parametrize("method", METHODS, ids=lambda method: method.name)
def test_a_method_hands_on_everything_it_was_given(method: Method) -> None:
    values: dict[str, Any] = {param.name: object() for param in method.params}
    further = {"further": object(), "codecs": object()} if method.free else {}
    settings: dict[str, Any] = {"control_id": "mine"} if method.control_id else {}
    if method.action is not None:
        settings["on_completed"] = heard
    call = Recorder()
    outcome = Task(getattr(call, method.name)(**values, **further, **settings)).outcome()
    assert call.method == method.name
    assert call.given == values
    assert call.further == further
    assert call.control_id == settings.get("control_id")
    assert call.on_completed is settings.get("on_completed")
    assert call.make is ACTIONS.get(method.name)
    assert outcome is (RESULT if method.action is None else STARTED)


@pytest.mark.parametrize("method", METHODS, ids=lambda method: method.name)
def test_a_method_gives_none_for_what_it_was_not_given(method: Method) -> None:
    values = {param.name: object() for param in method.params if param.required}
    call = said(method.name, **values)
    assert call.given == {param.name: values.get(param.name) for param in method.params}
    assert (call.further, call.control_id, call.on_completed, call.over) == ({}, None, None, None)


def test_the_kinds_of_actions_and_their_classes_are_one_list() -> None:
    assert set(ACTIONS) == {method.name for method in METHODS if method.action is not None}


@pytest.mark.parametrize("method", [one for one in METHODS if not one.free], ids=lambda method: method.name)
def test_a_method_without_free_keywords_takes_none(method: Method) -> None:
    values: dict[str, Any] = {param.name: "v" for param in method.params}
    with pytest.raises(TypeError, match="unexpected keyword argument 'further'"):
        getattr(Recorder(), method.name)(**values, further=1)


def test_a_hangup_says_hangup_unless_told() -> None:
    assert said("hangup").given == {"reason": "hangup"}
    assert said("hangup", "busy").given == {"reason": "busy"}


@pytest.mark.parametrize("name", ["live_transcribe", "live_translate"])
def test_a_live_action_may_be_given_by_place_or_by_either_name(name: str) -> None:
    start = {"start": {"language": "en-US"}}
    for call in (said(name, start), said(name, action=start), said(name, action_obj=start)):
        assert call.built() == {"action": start}


@pytest.mark.parametrize("name", ["live_transcribe", "live_translate"])
def test_a_live_action_is_given_once(name: str) -> None:
    with pytest.raises(TypeError, match=rf"^{name}\(\): action and action_obj are the same parameter, give one$"):
        said(name, "stop", action_obj="stop")
    with pytest.raises(ValueError, match=rf"^{name}\(\): action_obj is missing"):
        said(name).built()


@pytest.mark.parametrize(
    ("keywords", "over"),
    [
        ({}, None),
        ({"continuous": False}, None),
        ({"partial_results": True}, None),
        ({"resolve_on": "final"}, None),
        ({"continuous": True}, by_continuous_end),
        ({"continuous": True, "resolve_on": "final"}, by_continuous_end),
        ({"resolve_on": "first"}, by_first_result),
        ({"continuous": True, "resolve_on": "first"}, by_first_result),
    ],
)
def test_a_collect_is_over_when_it_was_told_to_be(keywords: dict[str, Any], over: Rule | None) -> None:
    call = said("collect", digits={"max": 1}, **keywords)
    assert call.over is over
    assert "resolve_on" not in {**call.given, **call.further}, "it is ours, not the service's"


def test_a_prompt_is_over_when_it_was_told_to_be() -> None:
    assert said("play_and_collect", MEDIA, COLLECT).over is None
    assert said("play_and_collect", MEDIA, COLLECT, resolve_on="first").over is by_first_result


@pytest.mark.parametrize("odd", ["", "last", "FIRST", None, True, ["first"]])
@pytest.mark.parametrize(("name", "arguments"), [("collect", ()), ("play_and_collect", (MEDIA, COLLECT))])
def test_there_are_two_ways_to_resolve(name: str, arguments: tuple[Any, ...], odd: Any) -> None:
    with pytest.raises(ValueError, match=rf'^{name}\(\): resolve_on must be "final" or "first", not '):
        said(name, *arguments, resolve_on=odd)


def test_a_user_event_keeps_what_stands_beside_it() -> None:
    call = said("user_event", event="order_placed", order_id="12345")
    assert call.built() == {"event": "order_placed", "order_id": "12345"}


@pytest.mark.parametrize(
    ("name", "arguments", "keywords", "method", "built"),
    [
        ("play_tts", ("hi",), {}, "play", {"play": [{"type": "tts", "params": {"text": "hi"}}]}),
        (
            "play_tts",
            ("hi",),
            {"language": "en-GB", "gender": "male", "voice": "v", "volume": -2.5},
            "play",
            {
                "play": [
                    {"type": "tts", "params": {"text": "hi", "language": "en-GB", "gender": "male", "voice": "v"}}
                ],
                "volume": -2.5,
            },
        ),
        ("play_audio", ("u",), {}, "play", {"play": [{"type": "audio", "params": {"url": "u"}}]}),
        (
            "play_audio",
            ("u",),
            {"volume": 3},
            "play",
            {"play": [{"type": "audio", "params": {"url": "u"}}], "volume": 3},
        ),
        ("play_silence", (1.5,), {}, "play", {"play": [{"type": "silence", "params": {"duration": 1.5}}]}),
        ("play_ringtone", ("us",), {}, "play", {"play": [{"type": "ringtone", "params": {"name": "us"}}]}),
        (
            "play_ringtone",
            ("us",),
            {"duration": 4.0, "volume": 0},
            "play",
            {"play": [{"type": "ringtone", "params": {"name": "us", "duration": 4.0}}], "volume": 0},
        ),
        (
            "prompt_tts",
            ("hi", COLLECT),
            {},
            "play_and_collect",
            {"play": [{"type": "tts", "params": {"text": "hi"}}], "collect": COLLECT},
        ),
        (
            "prompt_tts",
            ("hi", COLLECT),
            {"language": "en-GB", "gender": "male", "voice": "v", "volume": 1},
            "play_and_collect",
            {
                "play": [
                    {"type": "tts", "params": {"text": "hi", "language": "en-GB", "gender": "male", "voice": "v"}}
                ],
                "collect": COLLECT,
                "volume": 1,
            },
        ),
        (
            "prompt_audio",
            ("u", COLLECT),
            {"volume": 1},
            "play_and_collect",
            {"play": [{"type": "audio", "params": {"url": "u"}}], "collect": COLLECT, "volume": 1},
        ),
        ("detect_digit", (), {}, "detect", {"detect": {"type": "digit", "params": {}}}),
        (
            "detect_digit",
            (),
            {"digits": "12", "timeout": 9.0},
            "detect",
            {"detect": {"type": "digit", "params": {"digits": "12"}}, "timeout": 9.0},
        ),
        ("detect_answering_machine", (), {}, "detect", {"detect": {"type": "machine", "params": {}}}),
        (
            "detect_answering_machine",
            (),
            {
                "initial_timeout": 4.5,
                "end_silence_timeout": 1.0,
                "machine_voice_threshold": 1.25,
                "machine_words_threshold": 6,
                "detect_interruptions": False,
                "detect_message_end": True,
                "timeout": 30.0,
            },
            "detect",
            {
                "detect": {
                    "type": "machine",
                    "params": {
                        "initial_timeout": 4.5,
                        "end_silence_timeout": 1.0,
                        "machine_voice_threshold": 1.25,
                        "machine_words_threshold": 6,
                        "detect_interruptions": False,
                        "detect_message_end": True,
                    },
                },
                "timeout": 30.0,
            },
        ),
        ("detect_fax", (), {}, "detect", {"detect": {"type": "fax", "params": {}}}),
        (
            "detect_fax",
            (),
            {"tone": "CED", "timeout": 5},
            "detect",
            {"detect": {"type": "fax", "params": {"tone": "CED"}}, "timeout": 5},
        ),
    ],
)
def test_a_shorter_way_says_the_same(
    name: str, arguments: tuple[Any, ...], keywords: dict[str, Any], method: str, built: JsonObject
) -> None:
    call = said(name, *arguments, **keywords)
    assert call.method == method
    assert call.built() == built
    assert call.further == {}


@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        ("play_tts", ("hi",)),
        ("play_audio", ("u",)),
        ("play_silence", (1.5,)),
        ("play_ringtone", ("us",)),
        ("prompt_tts", ("hi", COLLECT)),
        ("prompt_audio", ("u", COLLECT)),
        ("detect_digit", ()),
        ("detect_answering_machine", ()),
        ("detect_fax", ()),
    ],
)
def test_a_shorter_way_passes_its_callback_on(name: str, arguments: tuple[Any, ...]) -> None:
    def callback(event: object) -> None: ...

    assert said(name, *arguments, on_completed=callback).on_completed is callback


def test_every_shorter_way_is_tried_above_and_says_what_it_returns() -> None:
    shorter = {name: member for name, member in vars(CallConveniences).items() if inspect.iscoroutinefunction(member)}
    assert set(shorter) == {
        *("play_tts", "play_audio", "play_silence", "play_ringtone", "prompt_tts", "prompt_audio"),
        *("detect_digit", "detect_answering_machine", "detect_fax"),
    }
    for name, member in shorter.items():
        verb = {"play": "play", "prompt": "play_and_collect", "detect": "detect"}[name.partition("_")[0]]
        assert inspect.signature(member).return_annotation is ACTIONS[verb]
        assert "kwargs" not in inspect.signature(member).parameters


def test_every_method_says_its_name_on_the_wire_and_which_event_tells_of_it() -> None:
    for method in METHODS:
        text = inspect.getdoc(getattr(CallConveniences, method.name)) or ""
        assert f"``{method.wire}``" in text
        told = [method.action.event] if method.action is not None else list(method.events)
        assert all(event in text for event in told), method.name
