"""The table of methods against the vendor's page and against the signatures people call."""

import ast
import importlib.util
import inspect
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from telcoflow_proto.jsontext import JsonObject
from telcoflow_proto.relay import action
from telcoflow_proto.relay.methods import (
    ACTION_KINDS,
    BY_NAME,
    BY_WIRE,
    DIAL,
    METHODS,
    SEND_MESSAGE,
    Kind,
    Method,
    Param,
)
from telcoflow_proto.relay.verbs import CallVerbs

# The signatures of the page, one a line; a bare `...` stands where the page leaves parameters out.
PAGE = """\
answer(**kwargs) -> dict
hangup(reason="hangup") -> dict
pass_() -> dict
play(media, *, volume=None, direction=None, loop=None, control_id=None) -> PlayAction
record(audio=None, *, control_id=None) -> RecordAction
play_and_collect(media, collect, *, volume=None, control_id=None) -> CollectAction
collect(*, digits=None, speech=None, ..., control_id=None) -> StandaloneCollectAction
connect(devices, *, ringback=None, tag=None, max_duration=None, max_price_per_minute=None, status_url=None) -> dict
disconnect() -> dict
send_digits(digits, *, control_id=None) -> dict
detect(detect, *, timeout=None, control_id=None) -> DetectAction
refer(device, *, status_url=None) -> dict
transfer(dest) -> dict
send_fax(document, *, identity=None, header_info=None, control_id=None) -> FaxAction
receive_fax(*, control_id=None) -> FaxAction
tap(tap, device, *, control_id=None) -> TapAction
stream(url, *, name=None, codec=None, track=None, control_id=None, ...) -> StreamAction
pay(payment_connector_url, *, control_id=None, charge_amount=None, currency=None, ...) -> PayAction
join_conference(name, *, muted=None, beep=None, max_participants=None, record=None, ...) -> dict
leave_conference(conference_id) -> dict
hold() -> dict
unhold() -> dict
denoise() -> dict
denoise_stop() -> dict
transcribe(*, control_id=None, status_url=None) -> TranscribeAction
live_transcribe(action_obj) -> dict
live_translate(action_obj, *, status_url=None) -> dict
echo(*, timeout=None, status_url=None) -> dict
ai(*, control_id=None, prompt=None, SWAIG=None, ai_params=None, ...) -> AIAction
amazon_bedrock(*, prompt=None, SWAIG=None, ...) -> dict
ai_message(*, message_text=None, role=None, ...) -> dict
ai_hold(*, timeout=None, prompt=None) -> dict
ai_unhold(*, prompt=None) -> dict
join_room(name, *, status_url=None) -> dict
leave_room() -> dict
queue_enter(queue_name, *, control_id=None, status_url=None) -> dict
queue_leave(queue_name, *, control_id=None, queue_id=None, status_url=None) -> dict
bind_digit(digits, bind_method, *, bind_params=None, realm=None, max_triggers=None) -> dict
clear_digit_bindings(*, realm=None) -> dict
user_event(*, event=None, **kwargs) -> dict
"""

WITH_ON_COMPLETED = {
    *("play", "record", "play_and_collect", "collect", "detect", "pay"),
    *("send_fax", "receive_fax", "tap", "stream", "transcribe", "ai"),
}
WITHOUT_FREE_KEYWORDS = {
    *("hangup", "pass_", "disconnect", "send_digits"),
    *("hold", "unhold", "denoise", "denoise_stop"),
}
BESIDE_THE_TABLE = {
    "play_and_collect": {"resolve_on"},
    "collect": {"resolve_on"},
    "live_transcribe": {"action"},  # another name of action_obj
    "live_translate": {"action"},
}
METHOD_NAMES = [method.name for method in METHODS]
by_name = pytest.mark.parametrize("name", METHOD_NAMES)
Written = tuple[list[str], dict[str, object], str, bool]


def written(line: str) -> Written:
    """Read a line of the page: positional names, keyword names with defaults, what it returns, whether it has more."""
    text = line.replace("=None, ...", "=None").replace("*, ...", "*")
    (function,) = ast.parse(f"def {text}: pass").body
    assert isinstance(function, ast.FunctionDef)
    assert isinstance(function.returns, ast.Name)
    arguments = function.args
    positional = [one.arg for one in arguments.args]
    defaults = dict(zip(reversed(positional), reversed(arguments.defaults), strict=False))
    keywords = {one.arg: default for one, default in zip(arguments.kwonlyargs, arguments.kw_defaults, strict=True)}
    given = {name: ast.literal_eval(node) for name, node in {**defaults, **keywords}.items() if node is not None}
    return positional, given, function.returns.id, "..." in line


PAGE_METHODS = {line.partition("(")[0]: written(line) for line in PAGE.splitlines()}


def parameters(name: str) -> dict[str, inspect.Parameter]:
    found = inspect.signature(getattr(CallVerbs, name)).parameters
    return {name: parameter for name, parameter in found.items() if name != "self"}


def test_the_table_has_the_methods_of_the_page_and_no_others() -> None:
    assert list(PAGE_METHODS) == METHOD_NAMES


def test_every_method_can_be_called() -> None:
    public = {name for name in vars(CallVerbs) if not name.startswith("_")}
    assert public == set(METHOD_NAMES)


@by_name
def test_a_call_written_as_on_the_page_fits_the_signature(name: str) -> None:
    positional, given, _, _ = PAGE_METHODS[name]
    ours = parameters(name)
    aliases = {"action_obj": "action"} if "action" in BESIDE_THE_TABLE.get(name, ()) else {}
    places = [one.name for one in ours.values() if one.kind is inspect.Parameter.POSITIONAL_OR_KEYWORD]
    assert places == [aliases.get(one, one) for one in positional]
    assert set(positional) <= set(ours), "the page's own name can be used as a keyword too"
    for one, default in given.items():
        assert ours[one].default == default


@by_name
def test_a_method_returns_what_the_page_says(name: str) -> None:
    returns = PAGE_METHODS[name][2]
    expected = JsonObject if returns == "dict" else getattr(action, returns)
    assert inspect.signature(getattr(CallVerbs, name)).return_annotation == expected
    assert (BY_NAME[name].action is None) == (returns == "dict")


@by_name
def test_the_table_has_the_parameters_of_the_page(name: str) -> None:
    positional, given, _, more = PAGE_METHODS[name]
    method = BY_NAME[name]
    said = {*positional, *given} - {"control_id"}
    known = [param.name for param in method.params]
    assert method.spelled_out is None or more
    assert set(known if method.spelled_out is None else method.spelled_out) == said
    assert said <= set(known)


@by_name
def test_the_signature_has_the_parameters_of_the_table(name: str) -> None:
    method = BY_NAME[name]
    expected = {param.name for param in method.params} | BESIDE_THE_TABLE.get(name, set())
    expected |= {"control_id"} if method.control_id else set()
    expected |= {"on_completed"} if method.action is not None else set()
    expected |= {"kwargs"} if method.free else set()
    assert set(parameters(name)) == expected


@by_name
def test_what_may_be_left_out_is_none_unless_the_page_says_otherwise(name: str) -> None:
    defaults = {
        one.name: one.default for one in parameters(name).values() if one.default not in {inspect.Parameter.empty, None}
    }
    assert defaults == {"hangup": {"reason": "hangup"}}.get(
        name, {"resolve_on": "final"} if "resolve_on" in BESIDE_THE_TABLE.get(name, ()) else {}
    )


@by_name
def test_a_required_parameter_has_no_default(name: str) -> None:
    ours = parameters(name)
    without = {one.name for one in ours.values() if one.default is inspect.Parameter.empty} - {"kwargs"}
    required = {param.name for param in BY_NAME[name].params if param.required}
    assert without == required - {"reason", "action_obj"}


def test_the_page_s_twelve_methods_have_a_callback() -> None:
    assert {method.name for method in METHODS if method.action is not None} == WITH_ON_COMPLETED


def test_eight_methods_take_no_free_keywords() -> None:
    assert {method.name for method in METHODS if not method.free} == WITHOUT_FREE_KEYWORDS


def test_actions_and_three_methods_more_carry_a_control_id() -> None:
    carrying = {method.name for method in METHODS if method.control_id}
    assert carrying == WITH_ON_COMPLETED | {"send_digits", "queue_enter", "queue_leave"}


def test_a_wire_name_belongs_to_one_method_or_subcommand() -> None:
    wires = [method.wire for method in METHODS]
    assert len(set(wires)) == len(wires)
    commands = {command.wire for kind in ACTION_KINDS for command in kind.commands}
    assert not commands & set(wires)
    assert set(BY_WIRE) == commands | {*wires, "calling.dial", "messaging.send"}
    for method in METHODS:
        assert BY_WIRE[method.wire] is BY_NAME[method.name] is method


def test_what_a_client_asks_for_is_no_method_of_a_call() -> None:
    assert (BY_WIRE["calling.dial"], BY_WIRE["messaging.send"]) == (DIAL, SEND_MESSAGE)
    assert not {DIAL.name, SEND_MESSAGE.name} & set(BY_NAME)


def test_a_subcommand_of_two_actions_is_the_same_for_both() -> None:
    for kind in ACTION_KINDS:
        for command in kind.commands:
            assert BY_WIRE[command.wire] == command


def test_some_wire_names_are_not_the_method_s() -> None:
    others = {method.name: method.wire for method in METHODS if method.wire != f"calling.{method.name}"}
    assert others == {
        "hangup": "calling.end",
        "pass_": "calling.pass",
        "denoise_stop": "calling.denoise.stop",
        "queue_enter": "calling.queue.enter",
        "queue_leave": "calling.queue.leave",
    }


def test_some_parameters_have_another_name_on_the_wire() -> None:
    others = {
        (method.name, param.name): param.wire
        for method in METHODS
        for param in method.params
        if param.wire != param.name
    }
    assert others == {
        ("play", "media"): "play",
        ("record", "audio"): "record.audio",
        ("play_and_collect", "media"): "play",
        ("pay", "input_method"): "input",
        ("join_conference", "stream_obj"): "stream",
        ("live_transcribe", "action_obj"): "action",
        ("live_translate", "action_obj"): "action",
        ("ai", "ai_params"): "params",
        ("amazon_bedrock", "ai_params"): "params",
        ("bind_digit", "bind_params"): "params",
    }


@by_name
def test_two_parameters_never_go_to_the_same_place(name: str) -> None:
    wires = [param.wire for param in BY_NAME[name].params]
    assert len(set(wires)) == len(wires)
    assert not {"node_id", "call_id", "control_id"} & set(wires)


def test_every_kind_of_action_is_started_by_the_method_of_its_name() -> None:
    started = [method.action for method in METHODS if method.action is not None]
    assert {kind.name for kind in started} == {kind.name for kind in ACTION_KINDS}
    assert len(started) == len(ACTION_KINDS)
    for method in METHODS:
        if method.action is not None:
            assert method.action.name == method.name
            assert method.action.commands[0].wire == f"{method.wire}.stop"


def test_a_kind_ends_in_the_last_of_its_states() -> None:
    for kind in ACTION_KINDS:
        assert kind.terminal
        assert kind.states[-len(kind.terminal) :] == kind.terminal


@pytest.mark.parametrize(
    ("kind", "commands"),
    [
        ("play", ["play.stop", "play.pause", "play.resume", "play.volume"]),
        ("record", ["record.stop", "record.pause", "record.resume"]),
        (
            "play_and_collect",
            [
                *("play_and_collect.stop", "play_and_collect.pause"),
                *("play_and_collect.resume", "play_and_collect.volume", "collect.start_input_timers"),
            ],
        ),
        ("collect", ["collect.stop", "collect.start_input_timers"]),
        ("detect", ["detect.stop"]),
        ("send_fax", ["send_fax.stop"]),
        ("receive_fax", ["receive_fax.stop"]),
        ("tap", ["tap.stop"]),
        ("stream", ["stream.stop"]),
        ("pay", ["pay.stop"]),
        ("transcribe", ["transcribe.stop"]),
        ("ai", ["ai.stop"]),
    ],
)
def test_a_kind_has_the_subcommands_of_the_vendor(kind: str, commands: list[str]) -> None:
    (found,) = [one for one in ACTION_KINDS if one.name == kind]
    assert [command.wire for command in found.commands] == [f"calling.{command}" for command in commands]
    assert all(command.wire.endswith(f".{command.name}") for command in found.commands)


def test_only_pause_and_volume_take_something() -> None:
    taking = {
        command.wire.rpartition(".")[2]: command.params
        for kind in ACTION_KINDS
        for command in kind.commands
        if command.params
    }
    assert taking == {
        "pause": (Param("behavior", Kind.TEXT),),
        "volume": (Param("volume", Kind.NUMBER, required=True),),
    }


def test_every_kind_has_words_for_people() -> None:
    assert all(kind.value.startswith(("a", "True")) for kind in Kind)


@pytest.fixture(scope="module")
def tool() -> ModuleType:
    path = Path(__file__).parents[2] / "tools" / "render_relay.py"
    spec = importlib.util.spec_from_file_location("render_relay", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_rendered_page_is_fresh(tool: ModuleType, capsys: pytest.CaptureFixture[str]) -> None:
    assert tool.main(["--check"]) == 0, capsys.readouterr().out


def test_a_page_that_is_stale_is_told_and_what_people_wrote_above_stays(
    tool: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    page = tmp_path / "relay.md"
    page.write_text(f"by hand\n\n{tool.MARK}\nold", encoding="utf-8")
    monkeypatch.setattr(tool, "ROOT", tmp_path)
    monkeypatch.setattr(tool, "PAGE", page)
    assert tool.main(["--check"]) == 1
    assert capsys.readouterr().out == "relay.md is stale; run 'make docs'\n"
    assert tool.main([]) == 0
    assert tool.main(["--check"]) == 0
    assert page.read_text(encoding="utf-8").startswith(f"by hand\n\n{tool.MARK}\n\n## The methods of a call\n")


def test_a_parameter_nobody_explains_is_told(
    tool: ModuleType, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    beside: dict[str, Any] = {"action": tool.BESIDE["action"]}
    monkeypatch.setattr(tool, "BESIDE", beside)
    assert tool.main(["--check"]) == 1
    assert capsys.readouterr().out == "play_and_collect takes resolve_on\ncollect takes resolve_on\n"


def test_a_method_of_the_page_needs_no_more_than_a_name_and_a_wire() -> None:
    method = Method(name="nap", wire="calling.nap")
    assert (method.params, method.action, method.control_id, method.free) == ((), None, False, True)
    assert (method.events, method.spelled_out) == ((), None)
