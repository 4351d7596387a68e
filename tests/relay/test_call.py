"""A RELAY call, as its user sees it."""

import functools
from typing import Any

import pytest

from telcoflow_proto.exceptions import RelayConnectionError, RelayError, RelayTimeoutError
from telcoflow_proto.jsontext import JsonObject
from telcoflow_proto.relay.action import Action
from telcoflow_proto.relay.call import Call
from telcoflow_proto.relay.client_events import ActionEnd
from telcoflow_proto.relay.events import CallStateEvent, PlayEvent, RelayEvent
from tests.core.loopless import Task, TimeUp
from tests.relay.office import PHONE, FakeClient, Office, called, played

MEDIA: list[JsonObject] = [{"type": "silence", "params": {"duration": 1}}]


def started(office: Office, call: Call, **arguments: Any) -> Any:
    task = Task(call.play(MEDIA, **arguments))
    office.carry()
    return task.outcome()


def test_every_property_is_what_the_service_said() -> None:
    _, office, client = called()
    office.ring("c2", segment_id="s", tag="t", project_id="p")
    (_, call) = client.calls
    assert (call.call_id, call.node_id, call.project_id, call.context) == ("c2", "n1", "p", "office")
    assert (call.tag, call.direction, call.device, call.segment_id) == ("t", "inbound", PHONE, "s")
    assert (call.state, call.host) == ("ringing", client)
    assert repr(call) == "<Call c2 inbound ringing>", "no number"


# -------------------------------------------------------------------------------------------- listening


def test_a_handler_gets_every_event_of_exactly_its_type() -> None:
    call, office, _ = called()
    first, second = list[RelayEvent](), list[RelayEvent]()
    call.on("calling.call.play", first.append)
    call.on("calling.call.play", second.append)
    office.tell("calling.call.play", played("playing"))
    office.tell("calling.call.playing", played("playing"))
    office.tell("calling.call.play", played("paused", call_id="c9"))
    assert first == second
    (event,) = first
    assert isinstance(event, PlayEvent)
    assert event.state == "playing"


def test_a_handler_that_raises_is_noted_and_harms_nobody() -> None:
    call, office, client = called()
    told: list[RelayEvent] = []
    call.on("calling.call.echo", lambda _event: 1 / 0)
    call.on("calling.call.echo", told.append)
    office.tell("calling.call.echo", call_id="c1")
    assert len(told) == 1
    ((about, error),) = client.faults
    assert (about, type(error)) == ("calling.call.echo of call c1", ZeroDivisionError)


def test_a_handler_may_be_async_and_may_send() -> None:
    call, office, client = called()

    async def answer(_event: RelayEvent) -> None:
        await call.answer()

    call.on("calling.call.echo", answer)
    call.on("calling.call.echo", functools.partial(answer))
    call.on("calling.call.echo", lambda event: [answer(event)].pop())  # a sync one that returns something to wait for
    office.tell("calling.call.echo", call_id="c1")
    assert office.methods == ["calling.answer"] * 3
    assert all(task.step().done and task.error is None for _, task in client.tasks)


def test_a_handler_that_registers_another_does_not_call_it_for_the_same_event() -> None:
    call, office, _ = called()
    told: list[RelayEvent] = []
    call.on("calling.call.echo", lambda _event: call.on("calling.call.echo", told.append))
    office.tell("calling.call.echo", call_id="c1")
    assert told == []


def test_waiting_for_an_event_gets_the_next_one() -> None:
    call, office, client = called()
    office.tell("calling.call.echo", call_id="c1", state="before")
    task = Task(call.wait_for("calling.call.echo"))
    office.tell("calling.call.play", played("playing"))
    assert not task.step().done
    office.tell("calling.call.echo", call_id="c1", state="first")
    office.tell("calling.call.echo", call_id="c1", state="second")
    assert task.outcome().params["state"] == "first"
    assert client.waiting == 0


def test_waiting_for_an_event_may_be_choosy() -> None:
    call, office, _ = called()
    task = Task(call.wait_for("calling.call.play", lambda event: event.params["state"] == "finished"))
    office.tell("calling.call.play", played("playing"))
    assert not task.step().done
    office.tell("calling.call.play", played("finished"))
    assert task.outcome().params["state"] == "finished"


def test_a_predicate_that_raises_ends_the_waiting_and_nothing_else() -> None:
    call, office, client = called()
    task = Task(call.wait_for("calling.call.play", lambda event: event.params["nothing"]))
    other = Task(call.wait_for("calling.call.play"))
    office.tell("calling.call.play", played("playing"))
    with pytest.raises(KeyError, match="nothing"):
        task.outcome()
    assert other.outcome().params["state"] == "playing"
    assert client.faults == []


def test_waiting_for_an_event_may_take_too_long() -> None:
    call, office, client = called()
    task = Task(call.wait_for("calling.call.echo", timeout=3))
    with pytest.raises(TimeoutError, match=r"no calling\.call\.echo event within 3 s"):
        task.step(TimeUp()).outcome()
    assert client.waiting == 0
    office.tell("calling.call.echo", call_id="c1")
    caught_up = Task(call.wait_for("calling.call.echo", timeout=3))
    office.tell("calling.call.echo", call_id="c1", state="x")
    assert caught_up.step(TimeUp()).result is not None, "it came in the same instant"


def test_waiting_for_an_event_ends_with_the_call() -> None:
    call, office, _ = called()
    task = Task(call.wait_for("calling.call.echo"))
    last = Task(call.wait_for("calling.call.state"))
    office.state("c1", "ended")
    assert last.outcome().params["call_state"] == "ended", "the end is an event too"
    for one in (task, Task(call.wait_for("calling.call.echo"))):
        with pytest.raises(
            RelayError, match=r"RELAY error -1: the call was over before a calling\.call\.echo event came"
        ):
            one.outcome()


def test_a_wait_that_is_cancelled_leaves_nothing_behind() -> None:
    call, office, client = called()
    task = Task(call.wait_for("calling.call.echo"))
    task.step(KeyboardInterrupt())
    assert client.waiting == 0
    office.tell("calling.call.echo", call_id="c1")


@pytest.mark.parametrize("state", ["ringing", "answered", "ending", "ended"])
def test_every_wait_for_a_state_has_the_time_it_was_given(state: str) -> None:
    call, office, client = called()
    task = Task(getattr(call, f"wait_for_{state}")(0.2))
    office.state("c1", "ended")
    task.outcome()
    assert client.limits == [0.2]


def test_waiting_for_the_end_may_be_repeated_after_it_took_too_long() -> None:
    call, office, client = called()
    for _ in range(2):
        with pytest.raises(TimeoutError, match=r"the call is still ringing after 0\.2 s"):
            Task(call.wait_for_ended(0.2)).step(TimeUp()).outcome()
    task = Task(call.wait_for_ended())
    office.state("c1", "ended", end_reason="busy")
    event = task.outcome()
    assert isinstance(event, CallStateEvent)
    assert (event.call_state, event.end_reason, call.state) == ("ended", "busy", "ended")
    assert Task(call.wait_for_ended()).outcome() is event
    assert client.limits == [0.2, 0.2, None, None]
    assert client.calls == []


def test_who_waits_for_the_end_in_a_handler_of_the_end_gets_its_reason() -> None:
    call, office, client = called()
    ends: list[RelayEvent] = []

    async def wait(_event: RelayEvent) -> None:
        ends.append(await call.wait_for_ended())

    call.on("calling.call.state", wait)
    office.state("c1", "ended", end_reason="busy")
    client.tasks[0][1].outcome()
    assert ends[0].params["end_reason"] == "busy"


@pytest.mark.parametrize("target", ["ringing", "answered", "ending"])
@pytest.mark.parametrize("reached", ["ringing", "answered", "ending", "ended"])
def test_waiting_for_a_state_is_over_when_it_is_reached_or_skipped(target: str, reached: str) -> None:
    order = ["created", "ringing", "answered", "ending", "ended"]
    _, office, client = called()
    office.ring("c2", call_state="created")
    call = client.calls[1]
    task = Task(getattr(call, f"wait_for_{target}")(9))
    assert not task.done
    office.state("c2", reached)
    if order.index(reached) < order.index(target):
        assert not task.step().done
        with pytest.raises(TimeoutError, match=f"still {reached}"):
            task.step(TimeUp()).outcome()
        return
    event = task.outcome()
    assert isinstance(event, CallStateEvent)
    assert (event.event_type, event.call_id, event.call_state) == ("calling.call.state", "c2", reached)
    again = Task(getattr(call, f"wait_for_{target}")()).outcome()
    assert again.call_state == reached


# -------------------------------------------------------------------------------------------- saying


def test_a_method_says_what_it_says_and_returns_the_result() -> None:
    call, office, _ = called()
    office.answers["calling.answer"] = {"code": "200", "more": 1}
    task = Task(call.answer(max_duration=5))
    office.carry()
    assert task.outcome() == {"code": "200", "more": 1}
    assert office.asked_for("calling.answer") == [{"node_id": "n1", "call_id": "c1", "max_duration": 5}]


def test_some_methods_have_a_control_id_of_their_own() -> None:
    call, office, _ = called()
    for given in (None, "mine"):
        task = Task(call.queue_enter("q", control_id=given))
        office.carry()
        task.outcome()
    made, mine = (one["control_id"] for one in office.asked_for("calling.queue.enter"))
    assert mine == "mine"
    assert isinstance(made, str)
    assert len(made) == 36


@pytest.mark.parametrize("code", [404, 410])
def test_a_method_on_a_call_the_service_does_not_know_returns_nothing(code: int) -> None:
    call, office, _ = called()
    office.answers["calling.answer"] = code
    task = Task(call.answer())
    office.carry()
    assert task.outcome() == {}


def test_every_other_refusal_is_raised() -> None:
    call, office, _ = called()
    office.answers["calling.answer"] = 409
    task = Task(call.answer())
    office.carry()
    with pytest.raises(RelayError, match="said so") as caught:
        task.outcome()
    assert caught.value.code == 409


def test_silence_and_a_lost_connection_are_raised_too() -> None:
    call, office, _ = called()
    office.answers["calling.answer"] = None
    task = Task(call.answer())
    office.carry().later(10)
    with pytest.raises(RelayTimeoutError, match=r"RELAY error -1: Request timeout for calling\.answer"):
        task.outcome()
    task = Task(call.answer())
    office.carry().drop()
    with pytest.raises(RelayConnectionError, match=r"before the answer to calling\.answer"):
        task.outcome()


def test_on_a_call_that_is_over_nothing_is_said() -> None:
    call, office, _ = called()
    office.state("c1", "ended")
    for work in (call.answer(), call.hangup(), call.pass_(), call.queue_enter("q")):
        assert Task(work).outcome() == {}
    assert office.carry().methods == []


def test_a_wrong_parameter_is_raised_on_a_call_that_is_over_too() -> None:
    call, office, _ = called()
    office.state("c1", "ended")
    with pytest.raises(TypeError, match="media must be an array"):
        Task(call.play("x")).outcome()  # type: ignore[arg-type]


# -------------------------------------------------------------------------------------------- actions


def test_an_action_runs_until_its_event() -> None:
    call, office, _ = called()
    heard: list[RelayEvent] = []
    action = started(office, call, on_completed=heard.append)
    (said,) = office.asked_for("calling.play")
    assert said == {"node_id": "n1", "call_id": "c1", "control_id": action.control_id, "play": MEDIA}
    task = Task(action.wait())
    office.tell("calling.call.play", played("playing", control_id=action.control_id))
    assert not task.step().done
    office.tell("calling.call.play", played("finished", control_id=action.control_id))
    assert task.outcome().params["state"] == "finished"
    assert heard == [action.result]
    assert action.end is ActionEnd.COMPLETED


def test_the_listeners_find_the_action_over() -> None:
    call, office, _ = called()
    action = started(office, call, control_id="p1")
    seen: list[bool] = []
    call.on("calling.call.play", lambda _event: seen.append(action.is_done))
    office.tell("calling.call.play", played("finished"))
    assert seen == [True]


def test_an_action_is_told_to_stop() -> None:
    call, office, _ = called()
    action = started(office, call, control_id="p1")
    task = Task(action.stop())
    office.carry()
    assert task.outcome()["code"] == "200"
    assert office.asked_for("calling.play.stop") == [{"node_id": "n1", "call_id": "c1", "control_id": "p1"}]
    task = Task(action.volume(-3))
    office.carry()
    task.outcome()
    assert office.asked_for("calling.play.volume")[0]["volume"] == -3
    office.state("c1", "ended")
    assert Task(action.stop()).outcome() == {}


def test_an_action_whose_event_overtakes_the_answer_is_over_when_it_is_returned() -> None:
    call, office, _ = called()
    office.answers["calling.play"] = None
    task = Task(call.play(MEDIA, control_id="p1"))
    office.carry().tell("calling.call.play", played("finished"))
    office.answer("calling.play")
    assert task.outcome().end is ActionEnd.COMPLETED


@pytest.mark.parametrize("code", [404, 410])
def test_an_action_on_a_call_the_service_does_not_know_is_over_at_once(code: int) -> None:
    call, office, _ = called()
    office.answers["calling.play"] = code
    heard: list[RelayEvent] = []
    action = started(office, call, on_completed=heard.append)
    assert action.end is ActionEnd.CALL_GONE
    assert heard == [action.result]
    assert (heard[0].event_type, heard[0].params) == ("", {"reason": "call gone"})


def test_an_action_on_a_call_that_is_over_is_over_at_once_and_tells_so() -> None:
    call, office, _ = called()
    office.state("c1", "ended")
    heard: list[RelayEvent] = []
    action = started(office, call, on_completed=heard.append)
    assert action.end is ActionEnd.CALL_ENDED
    assert (heard[0].event_type, heard[0].params) == ("", {"reason": "call ended"})
    assert Task(action.wait()).outcome() is heard[0]
    assert office.methods == []


def test_an_action_that_is_refused_is_raised_and_its_id_is_free_again() -> None:
    call, office, client = called()
    office.answers["calling.play"] = 500
    heard: list[RelayEvent] = []
    task = Task(call.play(MEDIA, control_id="p1", on_completed=heard.append))
    office.carry()
    with pytest.raises(RelayError, match="said so"):
        task.outcome()
    assert heard == []
    office.answers["calling.play"] = 200
    assert not started(office, call, control_id="p1").is_done
    assert client.statistics().actions_live == 1


def test_an_action_whose_params_json_cannot_say_is_raised_and_its_id_is_free_again() -> None:
    call, office, client = called()
    for _ in range(2):
        with pytest.raises(ValueError, match="digits"):
            Task(call.play(MEDIA, control_id="p1", loop=10**5000)).outcome()
        office.drop()
    assert client.statistics().actions_live == 0


def test_an_action_needs_a_control_id_of_its_own() -> None:
    call, office, _ = called()
    action = started(office, call, control_id="p1")
    with pytest.raises(ValueError, match=r"play\(\): control_id 'p1' is in use"):
        Task(call.play(MEDIA, control_id="p1")).outcome()
    assert not action.is_done
    with pytest.raises(TypeError, match=r"play\(\): control_id must be a text, got int"):
        Task(call.play(MEDIA, control_id=1)).outcome()  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="must not be empty"):
        Task(call.play(MEDIA, control_id="")).outcome()


def test_a_method_that_starts_no_action_cannot_be_made_to() -> None:
    call, _, _ = called()
    with pytest.raises(TypeError, match="answer starts no action"):
        Task(call._begin("answer", Action, {}, {}, control_id=None, on_completed=None)).outcome()  # noqa: SLF001


def test_a_call_that_ends_ends_its_actions_and_they_tell_so_once() -> None:
    call, office, _ = called()
    heard: list[RelayEvent] = []
    action = started(office, call, on_completed=heard.append)
    office.state("c1", "ended")
    assert action.end is ActionEnd.CALL_ENDED
    assert len(heard) == 1


@pytest.mark.parametrize("answer", [500, 200, 404, None])
def test_a_call_that_ends_while_an_action_starts_ends_it_and_nothing_is_raised_as_well(answer: int | None) -> None:
    call, office, _ = called()
    office.answers["calling.play"] = None
    heard: list[RelayEvent] = []
    task = Task(call.play(MEDIA, on_completed=heard.append))
    office.carry().state("c1", "ended")
    if answer is None:
        office.drop()
    else:
        office.answer("calling.play", answer)
    assert task.outcome().end is ActionEnd.CALL_ENDED
    assert len(heard) == 1


def test_a_session_that_is_not_restored_ends_the_actions_and_the_call_goes_on() -> None:
    call, office, client = called()
    action = started(office, call)
    office.comes_back(restored=False)
    assert action.end is ActionEnd.CONNECTION_LOST
    assert (call.state, client.calls) == ("ringing", [call])


def test_leaving_ends_calls_actions_and_waits() -> None:
    call, office, client = called()
    action = started(office, call)
    task, awaited = Task(call.wait_for_ended()), Task(call.wait_for("calling.call.echo"))
    ending = client.end()
    office.carry()
    ending.outcome()
    assert action.end is ActionEnd.DISCONNECTED
    assert task.outcome().params["end_reason"] == "disconnected"
    with pytest.raises(RelayError, match="was over before"):
        awaited.outcome()
    assert (client.calls, client.waiting) == ([], 0)


def test_a_call_whose_end_was_lost_ends_with_the_probe() -> None:
    call, office, _ = called()
    task = Task(call.wait_for_ended())
    office.answers["calling.clear_digit_bindings"] = 404
    office.comes_back()
    assert task.outcome().params["end_reason"] == "notFound"
    assert call.state == "ended"


def test_a_cancelled_start_leaves_an_action_that_ends_by_itself() -> None:
    call, office, client = called()
    office.answers["calling.play"] = None
    heard: list[RelayEvent] = []
    task = Task(call.play(MEDIA, control_id="p1", on_completed=heard.append))
    office.carry()
    task.step(KeyboardInterrupt())
    office.answer("calling.play")
    office.tell("calling.call.play", played("finished"))
    assert len(heard) == 1
    assert (client.waiting, client.statistics().actions_live) == (0, 0)


def test_what_is_told_of_an_action_that_is_not_known_is_no_harm() -> None:
    call, _, client = called()
    call.action_over("nothing", ActionEnd.COMPLETED, {})
    assert isinstance(client, FakeClient)
    assert client.faults == []
