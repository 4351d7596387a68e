"""The life of a call: how it comes in, what is heard of it, what is done with it, and how it ends."""

# mypy: disable-error-code="truthy-bool"

from collections.abc import Awaitable, Callable
from typing import Any

import anyio
import pytest

from telcoflow_anyio.gateway.relay import RelayCallee, RelayCaller
from telcoflow_anyio.relay import (
    ActionEnd,
    Call,
    CallStateEvent,
    ConferenceEvent,
    ConnectEvent,
    DenoiseEvent,
    HoldEvent,
    QueueEvent,
    ReferEvent,
    RelayError,
    RelayEvent,
    SendDigitsEvent,
)
from tests.relay_adapters.acts import DEVICES, LONG, SHORT, Later, meanwhile, outcome, until
from tests.world.relay import PROJECT, Journal, Phone, RelayWorld

# ---------------------------------------------------------------------- coming in


@pytest.mark.parametrize("kind", ["sync", "async"])
async def test_a_call_that_comes_in_is_handed_to_the_handler(world: RelayWorld, kind: str) -> None:
    taken: list[Call] = []
    client = world.client()

    async def take(call: Call) -> None:
        taken.append(call)
        await call.answer()

    handler: Callable[[Call], Any] = taken.append if kind == "sync" else take
    assert client.on_call(handler) is handler
    async with client:
        there = await world.service.place_call(RelayCaller(number="+15550007", to="+15550008"))
        await until(lambda: taken)
        call = taken[0]
        assert (call.call_id, call.node_id, call.segment_id) == (there.call_id, there.node_id, there.segment_id)
        assert (call.direction, call.context, call.tag, call.project_id) == ("inbound", "default", "", PROJECT)
        assert call.device == {"type": "phone", "params": {"from_number": "+15550007", "to_number": "+15550008"}}
        assert call.host is client
        if kind == "async":
            await call.wait_for_answered(5)
        assert call.state in repr(call)
        assert client.calls == [call]


async def test_calls_that_came_before_there_was_a_handler_are_given_to_the_first(world: RelayWorld) -> None:
    taken: list[Call] = []
    async with world.client() as client:
        there = [await world.service.place_call() for _ in range(3)]
        await anyio.sleep(0.1)
        there[1].hang_up()
        await anyio.sleep(0.1)
        client.on_call(taken.append)
        assert [call.call_id for call in taken] == [there[0].call_id, there[2].call_id]
        client.on_call(lambda call: None)
        assert len(taken) == 2


async def test_the_last_handler_wins(world: RelayWorld) -> None:
    first: list[Call] = []
    last: list[Call] = []
    async with world.client() as client:
        client.on_call(first.append)
        client.on_call(last.append)
        await world.service.place_call()
        await until(lambda: last)
        assert first == []


async def test_a_callable_object_that_returns_a_coroutine_is_awaited(world: RelayWorld) -> None:
    answered: list[str] = []

    class Desk:
        async def _take(self, call: Call) -> None:
            await call.answer()
            answered.append(call.call_id)

        def __call__(self, call: Call) -> Awaitable[None]:
            return self._take(call)

    async with world.client() as client:
        client.on_call(Desk())
        await world.service.place_call()
        await until(lambda: answered)


# ---------------------------------------------------------------------- answering, ending


async def test_the_states_of_a_call_are_told_in_order(world: RelayWorld) -> None:
    events: list[Any] = []
    async with world.client() as client:
        phone = await world.call_in(client)
        assert phone.call.state == "created"
        phone.call.on("calling.call.state", events.append)
        assert (await phone.call.answer())["code"] == "200"
        await phone.call.wait_for_answered(5)
        assert (await phone.call.hangup())["code"] == "200"
        ended = await phone.call.wait_for_ended(5)
        assert [event.call_state for event in events] == ["ringing", "answered", "ending", "ended"]
        assert all(type(event) is CallStateEvent for event in events)
        assert ended.params == events[-1].params
        assert (events[-1].end_reason, events[-1].direction) == ("hangup", "inbound")
        assert client.calls == []
        assert phone.call.state == "ended"


@pytest.mark.parametrize("reason", ["hangup", "busy", "decline"])
async def test_a_call_is_ended_for_a_reason(world: RelayWorld, reason: str) -> None:
    async with world.client() as client:
        phone = await world.call_in(client)
        await phone.call.hangup(reason=reason)
        assert (await phone.call.wait_for_ended(5)).params["end_reason"] == reason
        assert phone.there.end_reason == reason


async def test_a_caller_may_give_up_or_hang_up(world: RelayWorld) -> None:
    async with world.client() as client:
        impatient = await world.call_in(client, RelayCaller(hangs_up_after=3))
        assert (await impatient.call.wait_for_ended(5)).params["end_reason"] == "cancel"
        assert await impatient.call.answer() == {}
        talker = await world.talk(client, RelayCaller(hangs_up_after=3))
        assert (await talker.call.wait_for_ended(5)).params["end_reason"] == "hangup"
        assert await talker.call.hangup() == {}


async def test_a_call_is_passed_on_to_another_client(world: RelayWorld) -> None:
    async with world.client() as first, world.client() as second:
        there = await world.service.place_call()
        await until(lambda: first.calls or second.calls)
        mine, other = (first, second) if first.calls else (second, first)
        journal = Journal(other)
        call = mine.calls[0]
        assert (await call.pass_())["code"] == "200"
        await call.wait_for_ended(5)
        await until(lambda: journal.calls)
        assert journal.calls[0].call_id == there.call_id
        await journal.calls[0].answer()
        await there.wait_state("answered")


async def test_a_call_is_transferred_to_another_context(world: RelayWorld) -> None:
    async with world.client() as first, world.client(contexts=["sales"]) as second:
        journal = Journal(second)
        phone = await world.talk(first)
        action = await phone.call.play(LONG)
        await phone.call.transfer("sales")
        await phone.call.wait_for_ended(5)
        assert (await action.wait(1)).params["state"] == "finished"
        await until(lambda: journal.calls)
        assert journal.calls[0].state == "answered"
        await journal.calls[0].hangup()


async def test_when_both_hang_up_the_call_ends_once(world: RelayWorld) -> None:
    ended: list[Any] = []
    async with world.client() as client, meanwhile() as group:
        phone = await world.talk(client)
        phone.call.on("calling.call.state", ended.append)
        world.net.latency = 0.1
        hanging_up = Later(group, phone.call.hangup)
        phone.there.hang_up()
        assert await hanging_up.done() == {}
        await phone.call.wait_for_ended(5)
        await anyio.sleep(1)
        assert [event.call_state for event in ended] == ["ending", "ended"]


# ---------------------------------------------------------------------- waiting


WAITS: dict[str, str] = {
    "ringing": "wait_for_ringing",
    "answered": "wait_for_answered",
    "ending": "wait_for_ending",
    "ended": "wait_for_ended",
}


@pytest.mark.parametrize("target", WAITS)
async def test_a_state_is_waited_for_before_and_after_it_came(world: RelayWorld, target: str) -> None:
    async with world.client() as client, meanwhile() as group:
        phone = await world.call_in(client)
        wait = getattr(phone.call, WAITS[target])
        for _ in range(3):
            with pytest.raises(TimeoutError, match="still created"):
                await wait(0.1)
        waiting = [Later(group, wait) for _ in range(3)]
        await phone.call.answer()
        await phone.call.hangup()
        order = list(WAITS)
        for one in [*waiting, Later(group, wait)]:
            event = await one.done()
            assert type(event) is CallStateEvent
            assert event.call_id == phone.call.call_id
            assert order.index(event.call_state) >= order.index(target)


async def test_an_event_is_waited_for_by_type_and_predicate(world: RelayWorld) -> None:
    async with world.client() as client, meanwhile() as group:
        phone = await world.talk(client)
        finished = Later(group, phone.call.wait_for, "calling.call.play", lambda event: event.state == "finished", 30)
        anything = Later(group, phone.call.wait_for, "calling.call.play")
        in_vain = Later(group, phone.call.wait_for, "calling.call.fax", None, 2)
        cut_off = Later(group, phone.call.wait_for, "calling.call.fax")
        await phone.call.play(SHORT)
        assert (await anything.done()).state == "playing"
        assert (await finished.done()).state == "finished"
        assert isinstance(await in_vain.done(), TimeoutError)
        phone.there.hang_up()
        error = await cut_off.done()
        assert isinstance(error, RelayError)
        assert "over before a calling.call.fax" in str(error)
        assert isinstance(await outcome(phone.call.wait_for, "calling.call.fax"), RelayError)


async def test_the_end_itself_can_be_waited_for_as_an_event(world: RelayWorld) -> None:
    async with world.client() as client, meanwhile() as group:
        phone = await world.talk(client)
        ended = Later(group, phone.call.wait_for, "calling.call.state", lambda event: event.call_state == "ended")
        await phone.call.hangup()
        assert (await ended.done()).end_reason == "hangup"


async def test_listeners_hear_exactly_their_type_in_the_order_they_came(world: RelayWorld) -> None:
    heard: list[str] = []
    async with world.client() as client:
        phone = await world.talk(client)
        phone.call.on("calling.call.hold", lambda event: heard.append("first"))

        async def second(event: RelayEvent) -> None:
            heard.append("second")

        phone.call.on("calling.call.hold", second)
        phone.call.on("calling.call", lambda event: heard.append("wrong"))
        await phone.call.hold()
        await phone.call.unhold()
        await anyio.sleep(0.1)
        assert sorted(heard) == ["first", "first", "second", "second"]
        assert heard[0] == "first"


# ---------------------------------------------------------------------- conveniences


CONVENIENCES: dict[str, tuple[Callable[[Call], Awaitable[Any]], str, dict[str, Any]]] = {
    "play_tts": (
        lambda call: call.play_tts("Hello", language="de-DE", gender="male", voice="Hans", volume=2.0),
        "calling.play",
        {
            "play": [
                {"type": "tts", "params": {"text": "Hello", "language": "de-DE", "gender": "male", "voice": "Hans"}}
            ],
            "volume": 2.0,
        },
    ),
    "play_audio": (
        lambda call: call.play_audio("https://example.com/sound.mp3", volume=-1.0),
        "calling.play",
        {"play": [{"type": "audio", "params": {"url": "https://example.com/sound.mp3"}}], "volume": -1.0},
    ),
    "play_silence": (
        lambda call: call.play_silence(1.5),
        "calling.play",
        {"play": [{"type": "silence", "params": {"duration": 1.5}}]},
    ),
    "play_ringtone": (
        lambda call: call.play_ringtone("us", duration=4.0),
        "calling.play",
        {"play": [{"type": "ringtone", "params": {"name": "us", "duration": 4.0}}]},
    ),
    "prompt_tts": (
        lambda call: call.prompt_tts("Press 1", {"digits": {"max": 1}}, language="en-US"),
        "calling.play_and_collect",
        {
            "play": [{"type": "tts", "params": {"text": "Press 1", "language": "en-US"}}],
            "collect": {"digits": {"max": 1}},
        },
    ),
    "prompt_audio": (
        lambda call: call.prompt_audio("https://example.com/menu.mp3", {"digits": {"max": 1}}, volume=1.0),
        "calling.play_and_collect",
        {
            "play": [{"type": "audio", "params": {"url": "https://example.com/menu.mp3"}}],
            "collect": {"digits": {"max": 1}},
            "volume": 1.0,
        },
    ),
    "detect_digit": (
        lambda call: call.detect_digit(digits="12", timeout=20.0),
        "calling.detect",
        {"detect": {"type": "digit", "params": {"digits": "12"}}, "timeout": 20.0},
    ),
    "detect_answering_machine": (
        lambda call: call.detect_answering_machine(machine_words_threshold=6, detect_interruptions=False),
        "calling.detect",
        {"detect": {"type": "machine", "params": {"machine_words_threshold": 6, "detect_interruptions": False}}},
    ),
    "detect_fax": (lambda call: call.detect_fax(), "calling.detect", {"detect": {"type": "fax", "params": {}}}),
}


@pytest.mark.parametrize("name", CONVENIENCES)
async def test_a_shorter_way_says_the_same(world: RelayWorld, name: str) -> None:
    say, wire, expected = CONVENIENCES[name]
    async with world.client() as client:
        phone = await world.talk(client, RelayCaller(presses=((1.0, "1"),), fax_pages=1))
        action = await say(phone.call)
        arrived = dict(phone.asked(wire)[0])
        for added in ("call_id", "node_id", "control_id"):
            del arrived[added]
        assert arrived == expected
        await action.wait(30)
        assert action.end is ActionEnd.COMPLETED


# ---------------------------------------------------------------------- what is heard of it


async def on_the_phone(phone: Phone, event_type: str, count: int, act: Callable[[], Awaitable[Any]]) -> list[Any]:
    """Do something, and return the events of a type that come of it."""
    heard: list[Any] = []
    phone.call.on(event_type, heard.append)
    await act()
    await until(lambda: len(heard) >= count)
    return heard


async def test_a_bridge_is_told_from_ringing_to_the_end(world: RelayWorld) -> None:
    async with world.client() as client:
        phone = await world.talk(client)
        heard = await on_the_phone(phone, "calling.call.connect", 2, lambda: phone.call.connect(DEVICES))
        assert [event.connect_state for event in heard] == ["connecting", "connected"]
        assert type(heard[1]) is ConnectEvent
        peer = phone.there.peer
        assert peer is not None
        assert heard[1].peer["call_id"] == peer.call_id
        peer.hang_up()
        await until(lambda: len(heard) == 3)
        assert heard[2].connect_state == "disconnected"
        assert phone.call.state == "answered"
        world.service.on_dial = lambda device: RelayCallee(busy=True)
        await phone.call.connect(DEVICES)
        await until(lambda: len(heard) == 5)
        assert heard[4].params["failed_reason"] == "busy"
        with pytest.raises(RelayError, match="not connected"):
            await phone.call.disconnect()


async def test_events_of_every_other_kind_are_typed(world: RelayWorld) -> None:
    async with world.client() as client:
        phone = await world.talk(client)
        call = phone.call

        async def both(first: Awaitable[Any], then: Callable[[], Awaitable[Any]]) -> None:
            await first
            await then()

        held = await on_the_phone(phone, "calling.call.hold", 2, lambda: both(call.hold(), call.unhold))
        assert [type(held[0]), held[0].state, held[1].state] == [HoldEvent, "hold", "unhold"]
        denoised = await on_the_phone(phone, "calling.call.denoise", 2, lambda: both(call.denoise(), call.denoise_stop))
        assert [type(denoised[0]), denoised[0].denoised, denoised[1].denoised] == [DenoiseEvent, True, False]
        digits = await on_the_phone(phone, "calling.call.send_digits", 1, lambda: call.send_digits("12w#"))
        assert [type(digits[0]), digits[0].state, phone.there.digits_sent] == [SendDigitsEvent, "finished", "12w#"]
        device = {"type": "sip", "params": {"to": "sip:user@example.com"}}
        referred = await on_the_phone(phone, "calling.call.refer", 2, lambda: call.refer(device))
        assert [type(referred[1]), referred[1].state, referred[1].sip_refer_to] == [
            ReferEvent,
            "success",
            "sip:user@example.com",
        ]
        queued = await on_the_phone(
            phone,
            "calling.call.queue",
            2,
            lambda: both(call.queue_enter("support"), lambda: call.queue_leave("support")),
        )
        assert [type(queued[0]), queued[0].status, queued[0].queue_name] == [QueueEvent, "enqueue", "support"]
        assert queued[1].status == "leave"
        room = await on_the_phone(
            phone, "calling.call.room", 2, lambda: both(call.join_room("my_room"), call.leave_room)
        )
        assert [event.params["join_status"] for event in room] == ["joined", "leave"]
        conference = await on_the_phone(phone, "calling.conference", 1, lambda: call.join_conference("my_conference"))
        assert [type(conference[0]), conference[0].status] == [ConferenceEvent, "participant-join"]
        said = await on_the_phone(
            phone, "calling.user_event", 1, lambda: call.user_event(event="order_placed", order_id="12345")
        )
        assert said[0].params["order_id"] == "12345"
        failed: list[Any] = []
        call.on("calling.error", failed.append)
        phone.there.raise_error("the AI is tired")
        await until(lambda: failed)
        assert failed[0].message == "the AI is tired"


async def test_keys_that_are_bound_do_what_they_are_bound_to(world: RelayWorld) -> None:
    async with world.client() as client:
        phone = await world.talk(client)
        await phone.call.bind_digit("*1", "calling.play", bind_params={"play": SHORT}, max_triggers=1)
        heard: list[Any] = []
        phone.call.on("calling.call.play", heard.append)
        phone.there.press("*1")
        await until(lambda: len(heard) == 2)
        assert heard[1].state == "finished"
        phone.there.press("*1")
        await phone.call.bind_digit("*2", "calling.play", bind_params={"play": SHORT})
        await phone.call.clear_digit_bindings()
        phone.there.press("*2")
        await anyio.sleep(1)
        assert len(heard) == 2


# ---------------------------------------------------------------------- collecting, recording, detecting


async def test_partial_results_do_not_end_a_collect_unless_it_is_wanted(world: RelayWorld) -> None:
    caller = RelayCaller(presses=((1.0, "1"), (2.0, "2"), (3.0, "#")))
    digits = {"max": 4, "terminators": "#"}
    async with world.client() as client:
        phone = await world.talk(client, caller)
        patiently = await phone.call.collect(digits=digits, partial_results=True, send_start_of_input=True)
        eagerly = await phone.call.collect(digits=digits, partial_results=True, resolve_on="first")
        heard: list[Any] = []
        phone.call.on("calling.call.collect", heard.append)
        first: Any = await eagerly.wait(10)
        assert first.result["params"]["digits"] == "1"
        assert not patiently.is_done
        event: Any = await patiently.wait(10)
        assert event.result["params"] == {"digits": "12", "terminator": "#"}
        assert [one.final for one in heard if one.control_id == patiently.control_id] == [False, False, False, True]
        with pytest.raises(ValueError, match="resolve_on"):
            await phone.call.collect(digits=digits, resolve_on="last")  # type: ignore[arg-type]


async def test_a_continuous_collect_ends_when_it_is_stopped(world: RelayWorld) -> None:
    async with world.client() as client:
        phone = await world.talk(client)
        action = await phone.call.collect(digits={"max": 1}, continuous=True)
        heard: list[Any] = []
        phone.call.on("calling.call.collect", heard.append)
        for digit in "123":
            phone.there.press(digit)
        await anyio.sleep(0.1)
        assert [event.params["result"]["params"]["digits"] for event in heard] == ["1", "2", "3"]
        assert not action.is_done
        await action.stop()
        assert (await action.wait(5)).params["state"] == "finished"


async def test_a_collect_nobody_answers_ends_without_input(world: RelayWorld) -> None:
    async with world.client() as client:
        phone = await world.talk(client)
        action = await phone.call.collect(digits={"max": 1}, initial_timeout=3, start_input_timers=False)
        await anyio.sleep(5)
        assert not action.is_done
        await action.start_input_timers()
        assert (await action.wait(5)).params["result"] == {"type": "no_input"}


async def test_speech_is_collected(world: RelayWorld) -> None:
    async with world.client() as client:
        phone = await world.talk(client, RelayCaller(says=((1.0, "sales please"),)))
        action = await phone.call.prompt_tts("Sales or support?", {"speech": {"language": "en-US"}})
        event: Any = await action.wait(30)
        assert event.result["params"]["text"] == "sales please"


async def test_a_recording_ends_by_a_key_or_because_nobody_speaks(world: RelayWorld) -> None:
    async with world.client() as client:
        phone = await world.talk(client, RelayCaller(presses=((4.0, "#"),)))
        by_key = await phone.call.record({"terminators": "#"})
        unheard = await phone.call.record({"initial_timeout": 2.0, "terminators": ""})
        assert (await unheard.wait(10)).params["state"] == "no_input"
        event: Any = await by_key.wait(10)
        assert event.duration == pytest.approx(4.0, abs=0.1)
        assert phone.there.recordings[-1].url == event.url


async def test_a_machine_is_told_from_a_person(world: RelayWorld) -> None:
    async with world.client() as client:
        for machine, expected in ((True, "MACHINE"), (False, "HUMAN")):
            phone = await world.talk(client, RelayCaller(machine=machine))
            event: Any = await (await phone.call.detect({"type": "machine"})).wait(10)
            assert event.detect["params"]["event"] == expected
            assert phone.asked("calling.detect")[0]["detect"] == {"type": "machine", "params": {}}


# ---------------------------------------------------------------------- actions and their call


@pytest.mark.parametrize("how", ["the caller hangs up", "we hang up", "the call is forgotten", "events are lost"])
async def test_no_action_outlives_its_call(world: RelayWorld, how: str) -> None:
    completed: list[Any] = []
    async with world.client() as client, meanwhile() as group:
        phone = await world.talk(client)
        actions: list[Any] = [
            await phone.call.play(LONG, on_completed=completed.append),
            await phone.call.stream("wss://example.com/audio", on_completed=completed.append),
        ]
        waiting = [Later(group, action.wait) for action in actions]
        if how == "events are lost":
            world.service.faults.lose_events = {"calling.call.play", "calling.call.stream"}
        if how == "we hang up":
            await phone.call.hangup()
        elif how == "the call is forgotten":
            world.service.forget_call(phone.there.call_id)
            assert (await phone.call.play(SHORT)).end is ActionEnd.CALL_GONE
        else:
            phone.there.hang_up()
        await phone.call.wait_for_ended(5)
        expected = {"the call is forgotten": ActionEnd.CALL_GONE, "events are lost": ActionEnd.CALL_ENDED}
        for action, one in zip(actions, waiting, strict=True):
            assert action.end is expected.get(how, ActionEnd.COMPLETED)
            assert await one.done() is action.result
        assert sorted(map(id, completed)) == sorted(id(action.result) for action in actions)
        assert client.statistics().actions_live == 0


async def test_events_may_overtake_the_answer(world: RelayWorld) -> None:
    completed: list[Any] = []
    async with world.client() as client:
        phone = await world.talk(client)
        world.service.faults.events_first = True
        world.service.faults.delay_of["calling.play"] = 6
        action = await phone.call.play(SHORT, on_completed=completed.append)
        assert action.is_done
        assert completed == [action.result]
        assert (await action.wait()).params["state"] == "finished"


async def test_an_action_that_is_refused_never_was(world: RelayWorld) -> None:
    completed: list[Any] = []
    async with world.client() as client:
        phone = await world.talk(client)
        await phone.call.transcribe()
        with pytest.raises(RelayError, match="transcribed already") as caught:
            await phone.call.transcribe(on_completed=completed.append)
        assert caught.value.code == 409
        assert completed == []
        assert client.statistics().actions_live == 1


async def test_the_handler_of_one_call_does_not_hold_up_another(world: RelayWorld) -> None:
    answered: list[str] = []
    client = world.client()

    @client.on_call
    async def take(call: Call) -> None:
        if not answered:
            answered.append(call.call_id)
            await anyio.sleep(1000)
        await call.answer()
        answered.append(call.call_id)

    async with client:
        for _ in range(3):
            await world.service.place_call()
        await until(lambda: len(answered) == 3)
