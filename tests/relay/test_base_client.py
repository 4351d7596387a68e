"""A RELAY client as its user sees it."""

import re
from typing import Any

import pytest

from telcoflow_proto.backoff import Backoff
from telcoflow_proto.client_table import ClientState
from telcoflow_proto.door import FrameDropped
from telcoflow_proto.exceptions import (
    RelayAuthenticationError,
    RelayConnectionError,
    RelayError,
    RelayTimeoutError,
)
from telcoflow_proto.life_events import ClientLost, ClientReady
from telcoflow_proto.limits import RELAY_LIMITS
from telcoflow_proto.relay.call import Call
from telcoflow_proto.relay.client_events import ConnectionState, MessageArrived
from telcoflow_proto.relay.message import Message
from tests.core.loopless import Task, TimeUp
from tests.relay.office import DEVICES, PROJECT, TOKEN, FakeClient, Office, called, client, config

NUMBERS: dict[str, Any] = {"to_number": "+15550002", "from_number": "+15550001"}


def run(office: Office, work: Any) -> Any:
    task = Task(work)
    office.carry()
    return task.outcome()


def ended(made: FakeClient) -> None:
    task = made.end()
    made.office.carry()
    task.outcome()


# -------------------------------------------------------------------------------------------- life


def test_it_connects_serves_and_ends() -> None:
    made, _ = client()
    assert (made.state, made.host, made.contexts, made.relay_protocol) == (
        ClientState.READY,
        "localhost:8080",
        ["office"],
        "session-1",
    )
    assert (made.project, made.token, made.jwt_token) == (PROJECT, TOKEN, None)
    assert [str(one.url) for one in made.wanted] == ["ws://localhost:8080/"]
    running = Task(made.run_forever())
    assert not running.done
    ended(made)
    running.outcome()
    assert made.state is ClientState.CLOSED
    assert [type(one) for one in made.notes] == [ClientReady, ClientLost]
    assert made.woken > 0
    assert made.statistics().calls_live == 0


def test_a_jwt_is_all_it_takes() -> None:
    made = FakeClient(config(jwt="secret-jwt"))
    assert (made.project, made.token, made.jwt_token) == (None, None, "secret-jwt")
    made.begin()
    said = made.office.open().connects[0].credentials
    assert said.jwt_token is not None
    assert said.project is said.token is None


def test_it_shows_no_number_and_no_secret() -> None:
    call, office, made = called()
    office.answers["messaging.send"] = {"code": "200", "message_id": "m1"}
    message = run(office, made.send_message(body="secret text", **NUMBERS))
    made.office.tell("messaging.receive", message_id="m2", from_number="+15550003", body="secret text")
    shown = " ".join(map(repr, [made, call, message, office.machine.config, made.statistics(), *made.heard]))
    assert repr(made) == "<RelayClient of localhost:8080 ready>"
    for secret in (PROJECT, TOKEN, "+1555", "secret"):
        assert secret not in shown


def test_it_connects_once() -> None:
    made, _ = client()
    with pytest.raises(RelayConnectionError, match="RELAY error -1: this client is ready; make a new one to connect"):
        made.begin().outcome()


@pytest.mark.parametrize(
    ("lets_in", "kind", "code"),
    [((-32002, "who?"), RelayAuthenticationError, -32002), ((-32005, "full"), RelayConnectionError, -32005)],
)
def test_a_first_attempt_that_is_refused_is_told_at_once(
    lets_in: tuple[int, str], kind: type[RelayError], code: int
) -> None:
    made = FakeClient(config())
    made.office.lets_in = lets_in
    task = made.begin()
    made.office.open()
    with pytest.raises(RelayError, match=lets_in[1]) as caught:
        task.outcome()
    assert (type(caught.value), caught.value.code) == (kind, code)


@pytest.mark.parametrize(("status", "kind"), [(401, RelayAuthenticationError), (503, RelayConnectionError)])
def test_a_first_upgrade_that_is_refused_is_told_at_once(status: int, kind: type[RelayError]) -> None:
    made = FakeClient(config())
    made.office.rejects = status
    task = made.begin()
    made.office.open()
    with pytest.raises(kind, match=f"localhost:8080.*{status}"):
        task.outcome()


def test_a_patient_client_waits_for_a_service_that_is_not_there_yet() -> None:
    made = FakeClient(config(), patient=True)
    task = made.begin()
    office = made.office
    office.lets_in = (-32005, "full")
    office.open()
    office.next_attempt().machine.fail_transport("no route", now=office.now)
    assert not task.step().done
    office.lets_in = True
    office.reconnect()
    task.outcome()


def test_a_patient_client_gives_up_refused_credentials() -> None:
    made = FakeClient(config(), patient=True)
    task = made.begin()
    made.office.lets_in = (-32002, "who?")
    made.office.open().reconnect().reconnect()
    for one in (task, Task(made.run_forever())):
        with pytest.raises(RelayAuthenticationError, match="who"):
            one.outcome()


def test_closing_before_it_is_ready_is_told_to_who_waits_for_it() -> None:
    made = FakeClient(config())
    task = made.begin()
    made.end().outcome()
    with pytest.raises(
        RelayConnectionError, match=r"RELAY error -1: the connection to localhost:8080 was closed before it was ready"
    ):
        task.outcome()
    Task(made.run_forever()).outcome()


def test_a_connection_that_is_lost_is_none_of_the_user_s_business() -> None:
    made, office = client()
    running = Task(made.run_forever())
    office.comes_back().comes_back(restored=False)
    assert not running.step().done


def test_it_waits_between_attempts_as_it_was_told_to() -> None:
    made, office = client(backoff=Backoff(first=0.001, ceiling=0.001))
    told: list[ConnectionState] = []
    made.on_connection(told.append)
    office.drop()
    assert told[0].retry_in == pytest.approx(0.001)


def test_what_did_not_end_in_time_is_cut() -> None:
    made, _ = client()
    task = made.end()
    assert not task.done
    made.cut()
    task.outcome()
    made.cut()
    assert made.state is ClientState.CLOSED


# -------------------------------------------------------------------------------------------- handlers


def test_handlers_that_come_late_get_the_calls_that_waited() -> None:
    made, office = client()
    for call_id in ("c1", "c2", "c3"):
        office.ring(call_id)
    office.state("c2", "ended")
    taken: list[Call] = []
    assert made.on_call(taken.append) == taken.append
    assert [call.call_id for call in taken] == ["c1", "c3"]
    made.on_call(print)
    assert len(taken) == 2, "they are given to the first one only"
    assert made.faults == []


def test_a_call_that_a_handler_ends_is_not_given_on() -> None:
    made, office = client()
    office.ring("c1").ring("c2")
    taken: list[Call] = []

    def first(call: Call) -> None:
        taken.append(call)
        office.state("c2", "ended")

    made.on_call(first)
    assert [call.call_id for call in taken] == ["c1"]


def test_a_call_goes_to_the_last_handler() -> None:
    made, office = client()
    first, second = list[Call](), list[Call]()
    made.on_call(first.append)
    made.on_call(second.append)
    office.ring()
    assert (first, second) == ([], made.calls)


def test_a_handler_may_return_something_to_await() -> None:
    made, office = client()
    made.on_call(lambda call: call.answer())
    office.ring()
    ((about, task),) = made.tasks
    task.outcome()
    assert (about, office.methods) == ("on_call", ["calling.answer"])


def test_a_handler_may_be_async_and_may_raise() -> None:
    made, office = client()

    @made.on_call
    async def answer(call: Call) -> None:
        await call.answer()

    office.ring()
    assert office.methods == ["calling.answer"]
    ((about, task),) = made.tasks
    task.outcome()
    assert about == "on_call"
    made.on_call(lambda _call: 1 / 0)
    office.ring("c2")
    assert [(about, type(error)) for about, error in made.faults] == [("on_call", ZeroDivisionError)]
    assert len(made.calls) == 2


def test_messages_go_to_their_handler_and_else_to_the_log() -> None:
    made, office = client()
    office.tell("messaging.receive", message_id="m1", body="hello")
    assert isinstance(made.notes[-1], MessageArrived)
    taken: list[Message] = []
    assert made.on_message(taken.append) == taken.append
    office.tell("messaging.receive", message_id="m2", body="hello", from_number="+15550003")
    (message,) = taken
    assert (message.message_id, message.body, message.from_number) == ("m2", "hello", "+15550003")


def test_a_message_handler_may_send_another_message() -> None:
    made, office = client()
    sent: list[Message] = []

    @made.on_message
    async def reply(message: Message) -> None:
        sent.append(await made.send_message(to_number=message.from_number, from_number="+1", body="back"))

    office.answers["messaging.send"] = {"code": "200", "message_id": "m2"}
    office.tell("messaging.receive", message_id="m1", from_number="+15550003")
    made.tasks[0][1].outcome()
    assert [message.message_id for message in sent] == ["m2"]


def test_what_happens_to_the_connection_is_told_to_everybody() -> None:
    made, office = client()
    told, also = list[ConnectionState](), list[ConnectionState]()
    assert made.on_connection(told.append) == told.append
    made.on_connection(lambda _state: 1 / 0)
    made.on_connection(also.append)
    office.comes_back(restored=True)
    office.comes_back(restored=False)
    ended(made)
    assert told == also
    assert [one.state for one in told] == ["lost", "connected", "lost", "connected", "closed"]
    assert [one.restored for one in told] == [False, True, False, False, False]
    assert [one.attempt for one in told[:4]] == [1, 1, 2, 2]
    assert [one.reason for one in told if one.state == "connected"] == ["", ""]
    assert told[0].retry_in is not None
    assert told[4].retry_in is None
    assert len(made.faults) == 5


def test_a_bad_frame_is_noted() -> None:
    made, office = client()
    office.end.push_raw("garbage", now=office.now)
    office.carry()
    assert isinstance(made.notes[-1], FrameDropped)


# -------------------------------------------------------------------------------------------- requests


def test_any_request_can_be_made() -> None:
    made, office = client()
    office.answers["calling.future"] = {"code": "201", "list": [1, {"a": None}]}
    assert (
        run(office, made.execute("calling.future", {"a": (1, 2), "b": {"c": 1.5}})) == office.answers["calling.future"]
    )
    assert office.asked_for("calling.future") == [{"a": [1, 2], "b": {"c": 1.5}}]
    assert made.waiting == 0


@pytest.mark.parametrize(
    ("value", "kind"),
    [
        (float("nan"), ValueError),
        (float("inf"), ValueError),
        (10**5000, ValueError),
        (b"x", TypeError),
        (object(), TypeError),
        ({1: 2}, TypeError),
        ({"s": {1, 2}}, TypeError),
    ],
    ids=["nan", "infinity", "5000 digits", "bytes", "object", "number as key", "set"],
)
def test_what_json_cannot_say_is_raised_with_a_connection_and_without(value: Any, kind: type[Exception]) -> None:
    made, office = client()
    for _ in range(2):
        with pytest.raises(kind):
            Task(made.execute("calling.future", {"a": value})).outcome()
        office.drop()
    assert (made.waiting, made.statistics().requests_queued) == (0, 0)
    assert office.reconnect().methods == []


@pytest.mark.parametrize(
    ("params", "why"),
    [
        ({1: 2}, ""),
        ([1], " must be an object (dict), got list"),
        (None, " must be an object (dict), got NoneType"),
        ("x", " must be an object (dict), got str"),
    ],
)
def test_params_that_are_no_object_are_raised(params: Any, why: str) -> None:
    made, _ = client()
    with pytest.raises(TypeError, match=re.escape(f"calling.future: params{why}")):
        Task(made.execute("calling.future", params)).outcome()


def test_what_is_sent_later_is_what_was_given_now() -> None:
    made, office = client()
    office.drop()
    given = {"a": [1]}
    task = Task(made.execute("calling.future", given))
    given["a"].append(2)
    office.reconnect()
    task.outcome()
    assert office.asked_for("calling.future") == [{"a": [1]}]


def test_every_bad_end_of_a_request_has_its_error() -> None:
    made, office = client()
    office.answers |= {"no": 403, "slow": None}
    with pytest.raises(RelayError, match="RELAY error 403: said so"):
        run(office, made.execute("no", {}))
    slow = Task(made.execute("slow", {}))
    office.carry().later(10)
    with pytest.raises(RelayTimeoutError, match="RELAY error -1: Request timeout for slow"):
        slow.outcome()
    lost = Task(made.execute("slow", {}))
    office.carry().drop()
    with pytest.raises(RelayConnectionError, match="RELAY error -1: Connection closed before the answer to slow"):
        lost.outcome()
    waiting = Task(made.execute("slow", {}))
    ended(made)
    with pytest.raises(RelayConnectionError, match="Connection closed"):
        waiting.outcome()
    with pytest.raises(RelayConnectionError, match="there is no connection: the client is closed"):
        Task(made.execute("slow", {})).outcome()
    assert made.waiting == 0


def test_contexts_are_added_and_given_up() -> None:
    made, office = client()
    run(office, made.receive(["sales"]))
    assert made.contexts == ["office", "sales"]
    run(office, made.unreceive(["office"]))
    run(office, made.receive([]))
    assert made.contexts == ["sales"]
    assert office.methods == ["signalwire.receive", "signalwire.unreceive"]
    office.answers["signalwire.receive"] = 403
    with pytest.raises(RelayError, match="said so"):
        run(office, made.receive(["vip"]))
    assert made.contexts == ["sales"]


@pytest.mark.parametrize("wrong", ["sales", [1], [""], [None], ["ok", ""]])
def test_contexts_that_are_none_are_raised(wrong: Any) -> None:
    made, office = client()
    for ask in (made.receive, made.unreceive):
        with pytest.raises(TypeError, match="contexts must be a list of texts"):
            Task(ask(wrong)).outcome()
    assert office.carry().methods == []


def test_contexts_need_a_client_that_has_begun() -> None:
    made = FakeClient(config())
    with pytest.raises(RelayConnectionError, match="no connection"):
        Task(made.receive(["sales"])).outcome()
    assert made.contexts == ["office"]


# -------------------------------------------------------------------------------------------- messages


def sent(made: FakeClient, **arguments: Any) -> Message:
    made.office.answers["messaging.send"] = {"code": "200", "message_id": "m1"}
    message: Message = run(made.office, made.send_message(**NUMBERS, **{"body": "hello", **arguments}))
    return message


def test_a_message_is_sent_and_followed() -> None:
    made, office = client()
    completed: list[Any] = []
    message = sent(made, media=["https://example.com/a.png"], tags=["x"], region="us", on_completed=completed.append)
    assert office.asked_for("messaging.send") == [
        {
            "context": "session-1",
            **NUMBERS,
            "body": "hello",
            "media": ["https://example.com/a.png"],
            "tags": ["x"],
            "region": "us",
        }
    ]
    assert (message.message_id, message.state, message.direction) == ("m1", "queued", "outbound")
    assert (message.context, message.body, message.media, message.tags) == (
        "session-1",
        "hello",
        ["https://example.com/a.png"],
        ["x"],
    )
    office.tell("messaging.state", message_id="m1", message_state="sent")
    assert message.state == "sent"
    task = Task(message.wait())
    office.tell("messaging.state", message_id="m1", message_state="delivered")
    assert task.outcome() is completed[0]
    office.tell("messaging.state", message_id="m1", message_state="failed")
    assert message.state == "delivered"


def test_what_is_not_given_is_not_sent() -> None:
    made, office = client()
    sent(made, context="sales", media=[], tags=[], region="")
    assert office.asked_for("messaging.send") == [{"context": "sales", **NUMBERS, "body": "hello"}]
    made = FakeClient(config())
    made.begin()
    Task(made.send_message(body="x", **NUMBERS))
    made.office.open()
    assert made.office.asked_for("messaging.send")[0]["context"] == "default", "there was no session yet"


@pytest.mark.parametrize("given", [{}, {"body": ""}, {"media": []}, {"body": None, "media": None}])
def test_a_message_needs_something_to_say(given: dict[str, Any]) -> None:
    made, office = client()
    with pytest.raises(ValueError, match="needs a body or media"):
        Task(made.send_message(**NUMBERS, **given)).outcome()
    assert office.carry().methods == []


@pytest.mark.parametrize("wrong", [{"to_number": 1}, {"from_number": None}, {"media": "url"}, {"tags": {1}}])
def test_a_message_needs_params_of_the_right_kind(wrong: dict[str, Any]) -> None:
    made, _ = client()
    with pytest.raises((TypeError, ValueError), match=next(iter(wrong))):
        Task(made.send_message(**{**NUMBERS, "body": "hello", **wrong})).outcome()


def test_a_message_whose_state_overtakes_the_answer_knows_it() -> None:
    made, office = client()
    office.answers["messaging.send"] = None
    task = Task(made.send_message(body="hello", **NUMBERS))
    office.carry().tell("messaging.state", message_id="m1", message_state="delivered")
    office.answer("messaging.send", {"code": "200", "message_id": "m1"})
    message = task.outcome()
    assert (message.state, message.is_done) == ("delivered", True)


def test_a_message_that_was_sent_by_hand_is_nobody_s() -> None:
    made, office = client()
    office.answers["messaging.send"] = {"code": "200", "message_id": "m1"}
    assert run(office, made.execute("messaging.send", {"body": "hello"}))["message_id"] == "m1"
    office.tell("messaging.state", message_id="m1", message_state="delivered")
    assert office.machine.statistics().unrouted == 0


def test_a_refused_message_is_raised() -> None:
    made, office = client()
    office.answers["messaging.send"] = 402
    with pytest.raises(RelayError, match="said so"):
        run(office, made.send_message(body="hello", **NUMBERS))
    assert made.waiting == 0


def test_a_message_that_was_accepted_without_an_id_is_returned_as_it_is() -> None:
    made, office = client()
    message = run(office, made.send_message(body="hello", **NUMBERS))
    assert (message.message_id, message.state) == ("", "")


def test_messages_are_given_up_when_the_client_is_closed() -> None:
    made, office = client()
    message = sent(made)
    task = Task(message.wait())
    office.comes_back(restored=False)
    assert not task.step().done, "the service may still tell"
    ended(made)
    with pytest.raises(RelayError, match="the client was closed"):
        task.outcome()


def test_only_so_many_messages_are_followed_and_the_oldest_is_told() -> None:
    made, office = client()
    messages = []
    for number in range(RELAY_LIMITS.tracked_messages + 1):
        office.answers["messaging.send"] = {"code": "200", "message_id": f"m{number}"}
        messages.append(run(office, made.send_message(body="hello", **NUMBERS)))
    with pytest.raises(RelayError, match="too many messages"):
        Task(messages[0].wait()).outcome()
    office.tell("messaging.state", message_id="m0", message_state="delivered")
    office.tell("messaging.state", message_id="m1", message_state="delivered")
    assert (messages[0].state, messages[1].state, messages[2].is_done) == ("queued", "delivered", False)


def test_a_message_whose_sender_was_cancelled_is_followed_by_its_callback() -> None:
    made, office = client()
    office.answers["messaging.send"] = None
    completed: list[Any] = []
    task = Task(made.send_message(body="hello", on_completed=completed.append, **NUMBERS))
    office.carry()
    task.step(KeyboardInterrupt())
    office.answer("messaging.send", {"code": "200", "message_id": "m1"})
    office.tell("messaging.state", message_id="m1", message_state="delivered")
    assert (len(completed), made.waiting) == (1, 0)


# -------------------------------------------------------------------------------------------- dials


def dialling(made: FakeClient, **arguments: Any) -> Task:
    task = Task(made.dial(DEVICES, **{"tag": "t1", **arguments}))  # type: ignore[arg-type]
    made.office.carry()
    return task


def test_a_dial_returns_the_call_that_answered() -> None:
    made, office = client()
    task = dialling(made, max_duration=60)
    assert office.asked_for("calling.dial") == [{"tag": "t1", "devices": DEVICES, "max_duration": 60}]
    office.leg("l1").leg("l2")
    assert (task.step().done, made.calls) == (False, [])
    office.leg("l2", "answered").dialled("answered", "l2").leg("l1", "ended")
    call = task.outcome()
    assert (call.call_id, call.direction, call.state, call.tag, call.node_id) == (
        "l2",
        "outbound",
        "answered",
        "t1",
        "n1",
    )
    assert made.calls == [call]
    heard: list[Any] = []
    call.on("calling.call.echo", heard.append)
    office.tell("calling.call.echo", call_id="l2")
    office.leg("l2", "ended")
    assert len(heard) == 1
    assert call.state == "ended"
    assert made.waiting == 0


def test_a_dial_without_a_tag_makes_one() -> None:
    made, office = client()
    dialling(made, tag=None, max_duration=0)
    (params,) = office.asked_for("calling.dial")
    assert list(params) == ["tag", "devices"]
    assert len(str(params["tag"])) == 36


def test_two_dials_are_two() -> None:
    made, office = client()
    tasks = [dialling(made, tag=tag) for tag in ("t1", "t2")]
    office.dialled("answered", "b", tag="t2").dialled("answered", "a", tag="t1")
    assert [task.outcome().call_id for task in tasks] == ["a", "b"]


def test_a_dial_that_fails_is_raised_with_its_reason() -> None:
    made, office = client()
    task = dialling(made)
    office.dialled("failed", reason="busy")
    with pytest.raises(RelayError, match="RELAY error -1: busy"):
        task.outcome()
    task = dialling(made)
    office.dialled("failed")
    with pytest.raises(RelayError, match=r"Dial failed \(tag=t1\)"):
        task.outcome()


def test_a_refused_dial_is_raised_with_its_code() -> None:
    made, office = client()
    office.answers["calling.dial"] = 402
    task = dialling(made)
    with pytest.raises(RelayError, match="said so") as caught:
        task.outcome()
    assert caught.value.code == 402
    assert made.waiting == 0


@pytest.mark.parametrize(("given", "within"), [(None, 120), (5, 5)])
def test_a_dial_nobody_answers_hangs_up_what_rings_and_what_answers_late(given: float | None, within: float) -> None:
    made, office = client()
    task = dialling(made, dial_timeout=given)
    office.leg("l1").later(within - 0.1)
    assert not task.step().done
    office.later(0.2)
    with pytest.raises(RelayError, match=r"Dial timed out waiting for answer \(tag=t1\)"):
        task.outcome()
    assert [one["call_id"] for one in office.asked_for("calling.end")] == ["l1"]
    office.leg("l2").dialled("answered", "l2")
    assert [one["call_id"] for one in office.asked_for("calling.end")] == ["l2", "l2"]
    assert made.calls == []


def test_a_tag_in_use_is_raised_and_harms_the_other_dial_not() -> None:
    made, office = client()
    task = dialling(made)
    with pytest.raises(RelayError, match="tag 't1' is in use"):
        dialling(made).outcome()
    office.dialled("answered", "w")
    assert task.outcome().call_id == "w"


@pytest.mark.parametrize("devices", [None, "x", [PROJECT], [[{}]]])
def test_a_dial_needs_devices(devices: Any) -> None:
    made, _ = client()
    with pytest.raises((TypeError, ValueError), match=r"dial\(\): devices"):
        Task(made.dial(devices)).outcome()
    assert made.waiting == 0


def test_a_dial_without_a_connection_waits_for_one() -> None:
    made, office = client()
    office.drop()
    task = dialling(made)
    office.reconnect().dialled("answered", "w")
    assert task.outcome().call_id == "w"


def test_a_dial_that_is_cancelled_is_hung_up_at_every_point() -> None:
    for point in ("offline", "asked", "accepted", "ringing"):
        made, office = client()
        if point == "offline":
            office.drop()
        if point == "asked":
            office.answers["calling.dial"] = None
        task = dialling(made)
        if point == "ringing":
            office.leg("l1")
        assert not task.done
        task.step(KeyboardInterrupt())
        assert isinstance(task.error, KeyboardInterrupt)
        assert made.waiting == 0
        if point == "offline":
            assert office.reconnect().methods == []
            continue
        office.carry()
        if point != "ringing":
            office.leg("l1")
        assert [one["call_id"] for one in office.asked_for("calling.end")] == ["l1"]


def test_a_dial_that_is_answered_while_it_is_cancelled_is_hung_up() -> None:
    made, office = client()
    task = dialling(made)
    office.leg("l1").dialled("answered", "l1")
    task.step(KeyboardInterrupt())
    assert isinstance(task.error, KeyboardInterrupt)
    assert [one["call_id"] for one in office.carry().asked_for("calling.end")] == ["l1"]
    office.leg("l1", "ended")
    assert (made.calls, made.waiting) == ([], 0)


def test_a_dial_that_fails_while_it_is_cancelled_leaves_nothing_behind() -> None:
    made, office = client()
    task = dialling(made)
    office.dialled("failed")
    task.step(KeyboardInterrupt())
    assert made.waiting == 0
    assert office.carry().asked_for("calling.end") == []


def test_a_call_that_is_over_before_its_dialler_wakes_up_is_over() -> None:
    made, office = client()
    task = dialling(made)
    office.leg("l1", "answered").dialled("answered", "l1").leg("l1", "ended", end_reason="hangup")
    call = task.outcome()
    assert call.state == "ended"
    assert Task(call.wait_for_ended()).outcome().params["end_reason"] == "hangup"
    with pytest.raises(RelayError, match="was over"):
        Task(call.wait_for("calling.call.echo")).outcome()
    assert made.calls == []


def test_a_call_that_came_in_and_wins_a_dial_is_one_call() -> None:
    made, office = client()
    office.ring("w")
    (call,) = made.calls
    task = dialling(made)
    office.dialled("answered", "w")
    assert task.outcome() is call


def test_a_dial_ends_with_the_client() -> None:
    made, office = client()
    task = dialling(made)
    office.leg("l1")
    ended(made)
    with pytest.raises(RelayError, match="disconnected"):
        task.outcome()
    assert [one["call_id"] for one in office.asked_for("calling.end")] == ["l1"]


def test_a_dial_after_the_end_is_refused() -> None:
    made, _ = client()
    ended(made)
    with pytest.raises(RelayConnectionError, match="the client is closed"):
        dialling(made).outcome()
    assert made.waiting == 0


def test_an_answer_to_a_dial_nobody_waits_for_is_a_call_of_the_client() -> None:
    made, office = client()
    office.machine.dial({"devices": DEVICES}, tag="t1", now=office.now)
    office.carry().dialled("answered", "w")
    assert [call.call_id for call in made.calls] == ["w"]


def test_time_limits_are_the_adapter_s() -> None:
    made, _ = client()
    with made.time_limit(5) as limit:
        raise TimeUp
    assert limit.cancelled_caught
    assert made.limits == [5]
    assert made.new_control_id() != made.new_control_id()
