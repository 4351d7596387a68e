"""Actions: waited for, ended once, stopped, paused."""

from collections.abc import Callable
from typing import Any, final

import pytest

from telcoflow_proto.jsontext import JsonObject
from telcoflow_proto.relay import action as actions
from telcoflow_proto.relay.action import Action, CollectAction, OnCompleted, PlayAction, RecordAction
from telcoflow_proto.relay.client_events import ActionEnd
from telcoflow_proto.relay.events import PlayEvent, RelayEvent
from telcoflow_proto.relay.methods import ACTION_KINDS, PLAY, ActionKind
from telcoflow_proto.relay.params import build_params
from telcoflow_proto.relay.resolution import Rule
from telcoflow_proto.waiting import Bells
from tests.core.loopless import FakeBell, FakeLimit, Task, TimeUp

FINISHED = PlayEvent(event_type="calling.call.play", control_id="c", state="finished")
GONE = RelayEvent(event_type="", params={"reason": "call ended"})
KINDS = {kind.name: kind for kind in ACTION_KINDS}
CLASSES: dict[str, type[Action]] = {
    "play": actions.PlayAction,
    "record": actions.RecordAction,
    "play_and_collect": actions.CollectAction,
    "collect": actions.StandaloneCollectAction,
    "detect": actions.DetectAction,
    "send_fax": actions.FaxAction,
    "receive_fax": actions.FaxAction,
    "tap": actions.TapAction,
    "stream": actions.StreamAction,
    "pay": actions.PayAction,
    "transcribe": actions.TranscribeAction,
    "ai": actions.AIAction,
}
ARGUMENTS: dict[str, dict[str, Any]] = {"volume": {"volume": -3.0}, "pause": {"behavior": "silence"}}


@final
class FakeHost:
    """A client without an event loop; it sends nothing."""

    def __init__(self) -> None:
        self.bells = Bells(FakeBell)
        self.limits: list[float | None] = []
        self.told: list[tuple[object, str]] = []

    def time_limit(self, seconds: float | None) -> FakeLimit:
        self.limits.append(seconds)
        return FakeLimit()

    def tell(self, handler: Callable[..., object], argument: object, about: str) -> None:
        self.told.append((argument, about))
        handler(argument)

    async def command(self, method: str, params: JsonObject) -> JsonObject:
        raise NotImplementedError

    async def start_action(
        self, *, call_id: str, method: str, params: JsonObject, control_id: str, kind: ActionKind, over: Rule | None
    ) -> JsonObject:
        raise NotImplementedError

    def new_control_id(self) -> str:
        raise NotImplementedError


@final
class FakeCall:
    """A call that writes down which subcommand it was told."""

    def __init__(self) -> None:
        self.host = FakeHost()
        self.said: list[tuple[str, str, JsonObject]] = []

    async def tell_action(self, kind: ActionKind, command: str, control_id: str, given: JsonObject) -> JsonObject:
        (row,) = [one for one in kind.commands if one.name == command]
        self.said.append((row.wire, control_id, build_params(row, given, {})))
        return {"code": "200"}


def playing(on_completed: OnCompleted | None = None) -> tuple[FakeCall, PlayAction]:
    call = FakeCall()
    return call, PlayAction(call, "c", PLAY, on_completed)


def facts(action: Action) -> tuple[bool, bool, RelayEvent | None, ActionEnd | None]:
    return action.is_done, action.completed, action.result, action.end


def test_a_new_action_is_running() -> None:
    call, action = playing()
    assert action.call is call
    assert action.control_id == "c"
    assert facts(action) == (False, False, None, None)
    assert repr(action) == "<PlayAction c running>"


def test_a_finished_action_knows_the_event_that_ended_it() -> None:
    _, action = playing()
    action.finish(FINISHED, ActionEnd.COMPLETED)
    assert facts(action) == (True, True, FINISHED, ActionEnd.COMPLETED)
    assert repr(action) == "<PlayAction c completed>"


def test_everybody_who_waits_gets_the_event() -> None:
    call, action = playing()
    one, two = Task(action.wait()), Task(action.wait(30.0))
    assert not one.done
    assert not two.done
    action.finish(FINISHED, ActionEnd.COMPLETED)
    assert one.outcome() is two.outcome() is FINISHED
    assert call.host.limits == [None, 30.0]
    assert len(call.host.bells) == 0


def test_who_comes_late_gets_it_at_once() -> None:
    _, action = playing()
    action.finish(FINISHED, ActionEnd.COMPLETED)
    assert Task(action.wait()).outcome() is FINISHED


def test_a_ring_for_nothing_wakes_nobody_for_good() -> None:
    call, action = playing()
    task = Task(action.wait())
    call.host.bells.ring_all()
    assert not task.step().done
    action.finish(FINISHED, ActionEnd.COMPLETED)
    assert task.outcome() is FINISHED


def test_a_wait_that_takes_too_long_changes_nothing() -> None:
    call, action = playing()
    patient, hasty = Task(action.wait()), Task(action.wait(1.5))
    hasty.step(TimeUp())
    with pytest.raises(TimeoutError, match=r"^the play is still running after 1\.5 s$"):
        hasty.outcome()
    assert facts(action) == (False, False, None, None)
    again = Task(action.wait(1.5))
    action.finish(FINISHED, ActionEnd.COMPLETED)
    assert patient.outcome() is again.outcome() is FINISHED
    assert len(call.host.bells) == 0


def test_an_event_that_comes_with_the_end_of_the_time_is_not_lost() -> None:
    _, action = playing()
    task = Task(action.wait(1.5))
    action.finish(FINISHED, ActionEnd.COMPLETED)
    assert task.step(TimeUp()).result is FINISHED


def test_a_wait_that_is_cancelled_leaves_nothing_behind() -> None:
    call, action = playing()
    task = Task(action.wait())
    task.step(KeyboardInterrupt())
    assert isinstance(task.error, KeyboardInterrupt)
    assert len(call.host.bells) == 0
    assert not action.is_done


def test_only_the_first_end_counts() -> None:
    heard: list[RelayEvent] = []
    _, action = playing(heard.append)
    action.finish(FINISHED, ActionEnd.COMPLETED)
    action.finish(GONE, ActionEnd.CALL_ENDED)
    action.fail(ValueError("late"))
    assert facts(action) == (True, True, FINISHED, ActionEnd.COMPLETED)
    assert heard == [FINISHED]
    assert Task(action.wait()).outcome() is FINISHED


@pytest.mark.parametrize("end", [end for end in ActionEnd if end is not ActionEnd.REFUSED])
def test_whatever_ends_it_the_callback_hears_of_it_once(end: ActionEnd) -> None:
    heard: list[RelayEvent] = []
    call, action = playing(heard.append)
    action.finish(GONE, end)
    assert heard == [GONE]
    assert call.host.told == [(GONE, "on_completed of play c")]
    assert repr(action) == f"<PlayAction c {end.value}>"


def test_the_callback_finds_the_action_over() -> None:
    seen: list[bool] = []
    call = FakeCall()
    action = PlayAction(call, "c", PLAY, lambda event: seen.append(action.is_done))
    action.finish(FINISHED, ActionEnd.COMPLETED)
    assert seen == [True]


def test_an_action_that_never_started_raises_what_its_start_raised() -> None:
    heard: list[RelayEvent] = []
    call, action = playing(heard.append)
    early = Task(action.wait())
    error = RuntimeError("refused")
    action.fail(error)
    for task in (early, Task(action.wait())):
        with pytest.raises(RuntimeError, match="refused"):
            task.outcome()
    assert facts(action) == (True, False, None, ActionEnd.REFUSED)
    assert repr(action) == "<PlayAction c refused>"
    assert (heard, call.host.told) == ([], [])


def test_what_never_started_does_not_end_again() -> None:
    _, action = playing()
    action.fail(RuntimeError("first"))
    action.fail(RuntimeError("second"))
    action.finish(FINISHED, ActionEnd.COMPLETED)
    assert facts(action) == (True, False, None, ActionEnd.REFUSED)
    with pytest.raises(RuntimeError, match="first"):
        Task(action.wait()).outcome()


@pytest.mark.parametrize("name", KINDS)
def test_an_action_has_a_method_for_every_subcommand_of_its_kind(name: str) -> None:
    kind = KINDS[name]
    call = FakeCall()
    action = CLASSES[name](call, "c", kind)
    public = {name for name in dir(action) if not name.startswith("_")}
    subcommands = {command.name for command in kind.commands}
    assert public - {name for name in dir(Action) if not name.startswith("_")} - {"call", "control_id"} == subcommands
    for command in kind.commands:
        given = ARGUMENTS.get(command.name, {})
        assert Task(getattr(action, command.name)(**given)).outcome() == {"code": "200"}
        assert call.said.pop() == (command.wire, "c", given)
    assert not action.is_done, "the event ends it, not the answer to stop"


def test_a_pause_says_no_more_than_it_was_told() -> None:
    call = FakeCall()
    action = RecordAction(call, "c", KINDS["record"])
    for given in ((), (None,), ("",)):
        Task(action.pause(*given)).outcome()
        assert call.said.pop() == ("calling.record.pause", "c", {})
    Task(action.pause("skip")).outcome()
    assert call.said.pop() == ("calling.record.pause", "c", {"behavior": "skip"})


def test_a_prompt_s_timers_are_those_of_the_collect() -> None:
    call = FakeCall()
    Task(CollectAction(call, "c", KINDS["play_and_collect"]).start_input_timers()).outcome()
    assert call.said == [("calling.collect.start_input_timers", "c", {})]


def test_a_plain_action_can_only_be_waited_for() -> None:
    action = Action(FakeCall(), "c", PLAY)
    assert not hasattr(action, "stop")
    assert repr(action) == "<Action c running>"


def test_actions_are_of_the_kinds_the_vendor_has() -> None:
    assert issubclass(actions.VolumeAction, actions.PausableAction)
    assert issubclass(actions.PausableAction, actions.StoppableAction)
    volume = {kind for kind in CLASSES.values() if issubclass(kind, actions.VolumeAction)}
    pausable = {kind for kind in CLASSES.values() if issubclass(kind, actions.PausableAction)}
    assert volume == {PlayAction, CollectAction}
    assert pausable == volume | {RecordAction}
    assert all(issubclass(kind, actions.StoppableAction) for kind in CLASSES.values())
