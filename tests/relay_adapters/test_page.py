"""The vendor's call reference, block by block: what an application written after that page does runs against ours.

Each scenario is one code block of the page, with its own arguments, on a call that is in a state where the block
makes sense, and with a party who does what the block waits for.
"""

# mypy: disable-error-code="truthy-bool"

from collections.abc import Callable
from typing import Any

import anyio
import pytest

from telcoflow_anyio.gateway.relay import RelayCallee, RelayCaller
from telcoflow_anyio.relay import Call, CollectEvent, PlayEvent, RecordEvent, RelayEvent
from tests.relay_adapters.acts import Later, meanwhile, until
from tests.world.relay import RelayWorld

HELLO = [{"type": "tts", "params": {"text": "Hello"}}]
MENU = [{"type": "tts", "params": {"text": "Press 1 for sales, 2 for support."}}]
SOMEBODY = [[{"type": "phone", "params": {"to_number": "+15551234567", "from_number": "+15559876543"}}]]

# ---------------------------------------------------------------------- properties


async def test_the_properties_of_an_inbound_and_an_outbound_call(world: RelayWorld) -> None:
    client = world.client()
    calls: list[Call] = []

    @client.on_call
    async def handle(call: Call) -> None:
        calls.append(call)

    async with client:
        there = await world.service.place_call()
        await until(lambda: calls)
        inbound, outbound = calls[0], await client.dial(SOMEBODY)
        for call in (inbound, outbound):
            for name in ("call_id", "node_id", "state", "direction", "tag", "segment_id"):
                assert isinstance(getattr(call, name), str), name
            assert call.device["type"] == "phone"
        assert (inbound.call_id, inbound.state, inbound.direction) == (there.call_id, "created", "inbound")
        assert (outbound.state, outbound.direction, bool(outbound.tag)) == ("answered", "outbound", True)


# ---------------------------------------------------------------------- blocking, or not


async def test_waiting_inline_goes_on_when_the_playing_is_over(world: RelayWorld) -> None:
    async with world.client() as client:
        phone = await world.talk(client)
        action = await phone.call.play(HELLO)
        begun = anyio.current_time()
        assert not action.is_done
        await action.wait()
        assert anyio.current_time() - begun == pytest.approx(0.4, abs=0.05)
        assert phone.there.played[0].seconds == pytest.approx(0.4, abs=0.05)


async def test_fire_and_forget_goes_on_at_once(world: RelayWorld) -> None:
    async with world.client() as client:
        phone = await world.talk(client)
        action = await phone.call.play(HELLO)
        await phone.call.send_digits("1234")
        assert not action.is_done
        assert action.result is None
        await anyio.sleep(1)
        assert action.is_done
        assert action.completed
        assert action.result is not None
        assert action.result.params["state"] == "finished"
        assert phone.there.digits_sent == "1234"


async def test_a_sync_callback_fires_when_the_playback_finishes(world: RelayWorld) -> None:
    told: list[Any] = []
    async with world.client() as client:
        phone = await world.talk(client)
        await phone.call.play(HELLO, on_completed=lambda event: told.append(event.params))
        assert told == []
        await until(lambda: told)
        assert told[0]["state"] == "finished"


async def test_an_async_callback_may_use_the_call(world: RelayWorld) -> None:
    urls: list[Any] = []
    async with world.client() as client:
        phone = await world.talk(client)

        async def on_recording_done(event: RelayEvent) -> None:
            urls.append(event.params.get("url"))
            await phone.call.hangup()

        action = await phone.call.record(on_completed=on_recording_done)
        await anyio.sleep(3)
        await action.stop()
        await phone.call.wait_for_ended(5)
        assert urls == [phone.there.recordings[0].url]


async def test_callbacks_fire_for_a_call_that_is_gone(world: RelayWorld) -> None:
    told: list[RelayEvent] = []
    async with world.client() as client:
        phone = await world.talk(client)
        world.service.forget_call(phone.there.call_id)
        action = await phone.call.play(HELLO, on_completed=told.append)
        assert told == [await action.wait()]


async def test_errors_in_callbacks_are_logged_and_crash_nothing(
    world: RelayWorld, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(event: RelayEvent) -> None:
        raise ZeroDivisionError

    async with world.client() as client:
        phone = await world.talk(client)
        await (await phone.call.play(HELLO, on_completed=fail)).wait()
        assert (await phone.call.hold())["code"] == "200"
    assert "on_completed of play" in caplog.text


# ---------------------------------------------------------------------- lifecycle


async def test_answer_hangup_and_pass(world: RelayWorld) -> None:
    async with world.client() as client:
        phone = await world.call_in(client)
        await phone.call.answer()
        await phone.call.wait_for_answered(5)
        await phone.call.hangup()
        await phone.call.wait_for_ended(5)
        busy = await world.call_in(client)
        await busy.call.hangup(reason="busy")
        assert (await busy.call.wait_for_ended(5)).params["end_reason"] == "busy"
        declined = await world.call_in(client)
        await declined.call.pass_()
        await declined.call.wait_for_ended(5)


# ---------------------------------------------------------------------- audio and recording


@pytest.mark.parametrize(
    ("item", "seconds"),
    [
        ({"type": "tts", "params": {"text": "Hello!"}}, 0.4),
        ({"type": "audio", "params": {"url": "https://example.com/sound.mp3"}}, 3.0),
        ({"type": "silence", "params": {"duration": 2}}, 2.0),
        ({"type": "ringtone", "params": {"name": "us"}}, 4.0),
    ],
    ids=["tts", "audio", "silence", "ringtone"],
)
async def test_every_kind_of_media_is_played(world: RelayWorld, item: dict[str, Any], seconds: float) -> None:
    async with world.client() as client:
        phone = await world.talk(client)
        begun = anyio.current_time()
        event = await (await phone.call.play([item])).wait()
        assert type(event) is PlayEvent
        assert anyio.current_time() - begun == pytest.approx(seconds, abs=0.05)
        assert phone.there.played[0].item == item


async def test_playback_is_controlled(world: RelayWorld) -> None:
    states: list[Any] = []
    async with world.client() as client:
        phone = await world.talk(client)
        phone.call.on("calling.call.play", lambda event: states.append(event.params["state"]))
        action = await phone.call.play([{"type": "audio", "params": {"url": "https://example.com/sound.mp3"}}])
        await anyio.sleep(1)
        await action.pause()
        await anyio.sleep(10)
        await action.resume()
        await action.volume(-3.0)
        await action.stop()
        await action.wait()
        assert states == ["playing", "paused", "playing", "finished"]
        assert phone.there.played[0].seconds == pytest.approx(1.0, abs=0.05)


async def test_a_recording_is_stopped_later_and_has_an_address(world: RelayWorld) -> None:
    async with world.client() as client:
        phone = await world.talk(client)
        action = await phone.call.record(audio={"format": "wav", "stereo": True, "direction": "both"})
        await anyio.sleep(7)
        await action.stop()
        event = await action.wait()
        assert type(event) is RecordEvent
        url = event.params.get("url")
        assert isinstance(url, str)
        assert url.endswith(".wav")
        assert event.duration == pytest.approx(7.0, abs=0.05)


# ---------------------------------------------------------------------- input


async def test_a_menu_is_played_and_the_digit_collected(world: RelayWorld) -> None:
    async with world.client() as client:
        phone = await world.talk(client, RelayCaller(presses=((2.0, "2"),)))
        action = await phone.call.play_and_collect(MENU, {"digits": {"max": 1, "digit_timeout": 5.0}})
        event: Any = await action.wait()
        digit = event.params.get("result", {}).get("params", {}).get("digits", "")
        assert digit == "2"
        assert type(event) is CollectEvent


async def test_digits_or_speech_are_collected_with_partial_results(world: RelayWorld) -> None:
    heard: list[Any] = []
    async with world.client() as client:
        phone = await world.talk(client, RelayCaller(presses=((1.0, "1"), (2.0, "2"), (3.0, "3#"))))
        phone.call.on("calling.call.collect", heard.append)
        action = await phone.call.collect(
            digits={"max": 4, "terminators": "#"},
            speech={"language": "en-US"},
            partial_results=True,
        )
        event: Any = await action.wait()
        assert event.params["result"]["params"]["digits"] == "123"
        assert len(heard) == 4
        assert [one.final for one in heard] == [False, False, False, True]


# ---------------------------------------------------------------------- other parties


async def test_a_call_is_bridged_with_a_ringback_and_unbridged(world: RelayWorld) -> None:
    async with world.client() as client, meanwhile() as group:
        phone = await world.talk(client)
        connected = Later(
            group,
            phone.call.wait_for,
            "calling.call.connect",
            lambda event: event.params["connect_state"] == "connected",
            10.0,
        )
        await phone.call.connect(SOMEBODY, ringback=[{"type": "ringtone", "params": {"name": "us"}}])
        await connected.done()
        assert phone.there.peer is not None
        assert phone.there.played[0].item["type"] == "ringtone"
        gone = Later(group, phone.call.wait_for, "calling.call.connect")
        await phone.call.disconnect()
        assert (await gone.done()).params["connect_state"] == "disconnected"
        assert phone.call.state == "answered"


async def test_digits_are_sent(world: RelayWorld) -> None:
    async with world.client() as client, meanwhile() as group:
        phone = await world.talk(client)
        sent = Later(group, phone.call.wait_for, "calling.call.send_digits")
        await phone.call.send_digits("1234#")
        assert (await sent.done()).params["state"] == "finished"
        assert phone.there.digits_sent == "1234#"


async def test_a_machine_is_detected_without_any_params(world: RelayWorld) -> None:
    async with world.client() as client:
        phone = await world.talk(client, RelayCaller(machine=True))
        action = await phone.call.detect({"type": "machine"}, timeout=30.0)
        event: Any = await action.wait()
        assert event.params["detect"]["params"]["event"] == "MACHINE"


async def test_a_call_is_referred(world: RelayWorld) -> None:
    async with world.client() as client, meanwhile() as group:
        phone = await world.talk(client)
        told = Later(group, phone.call.wait_for, "calling.call.refer", lambda event: event.params["state"] == "success")
        await phone.call.refer({"type": "sip", "params": {"to": "sip:user@example.com"}})
        assert (await told.done()).params["sip_refer_to"] == "sip:user@example.com"


async def test_a_call_is_transferred(world: RelayWorld) -> None:
    async with world.client() as client:
        phone = await world.talk(client)
        await phone.call.transfer("https://example.com/swml-endpoint")
        await phone.call.wait_for_ended(5)
        assert phone.there.transferred_to == "https://example.com/swml-endpoint"


# ---------------------------------------------------------------------- fax, tap, stream, payment


async def test_faxes_are_sent_and_received(world: RelayWorld) -> None:
    async with world.client() as client:
        phone = await world.talk(client, RelayCaller(fax_pages=2))
        action = await phone.call.send_fax("https://example.com/document.pdf", identity="+15551234567")
        event: Any = await action.wait()
        assert event.params["fax"]["params"]["document"] == "https://example.com/document.pdf"
        action = await phone.call.receive_fax()
        event = await action.wait()
        assert event.params["fax"]["params"]["pages"] == 2


async def test_media_is_tapped_and_streamed(world: RelayWorld) -> None:
    async with world.client() as client:
        phone = await world.talk(client)
        tap = await phone.call.tap(
            {"type": "audio", "params": {"direction": "both"}},
            {"type": "rtp", "params": {"addr": "192.168.1.100", "port": 5000}},
        )
        stream = await phone.call.stream(
            "wss://example.com/audio", name="my_stream", codec="PCMU", track="inbound_track"
        )
        for action in (tap, stream):
            await action.stop()
            assert (await action.wait()).params["state"] == "finished"


async def test_a_payment_is_taken_by_keys(world: RelayWorld) -> None:
    keys = ((1.0, "4111111111111111#"), (2.0, "1230#"), (3.0, "123#"), (4.0, "90210#"))
    async with world.client() as client:
        phone = await world.talk(client, RelayCaller(presses=keys))
        action = await phone.call.pay(
            "https://pay.example.com", charge_amount="25.99", currency="usd", input_method="dtmf"
        )
        event = await action.wait(30)
        assert event.params["result"] == "success"
        assert phone.asked("calling.pay")[0]["input"] == "dtmf"


# ---------------------------------------------------------------------- conference, hold, denoise, rooms, queue


async def test_a_conference_is_joined_and_left(world: RelayWorld) -> None:
    async with world.client() as client:
        phone = await world.talk(client)
        joined = await phone.call.join_conference("my_conference", muted=False, beep="onEnter")
        assert phone.there in world.service.conferences["my_conference"].members
        await phone.call.leave_conference(str(joined["conference_id"]))
        assert world.service.conferences == {}


async def test_a_call_is_held_and_the_noise_taken_away(world: RelayWorld) -> None:
    async with world.client() as client:
        phone = await world.talk(client)
        await phone.call.hold()
        assert phone.there.on_hold
        await phone.call.unhold()
        assert not phone.there.on_hold
        await phone.call.denoise()
        assert phone.there.denoised
        await phone.call.denoise_stop()
        assert not phone.there.denoised


async def test_a_room_and_a_queue_are_entered_and_left(world: RelayWorld) -> None:
    async with world.client() as client:
        phone = await world.talk(client)
        await phone.call.join_room("my_room")
        assert phone.there in world.service.rooms["my_room"].members
        await phone.call.leave_room()
        assert world.service.rooms == {}
        await phone.call.queue_enter("support")
        queue = world.service.queues["support"]
        assert phone.there in queue.members
        await phone.call.queue_leave("support", queue_id=queue.gathering_id)
        assert world.service.queues == {}


# ---------------------------------------------------------------------- transcription, echo, AI


async def test_a_call_is_transcribed_and_translated(world: RelayWorld) -> None:
    async with world.client() as client:
        phone = await world.talk(client)
        action = await phone.call.transcribe(status_url="https://example.com/transcription")
        await anyio.sleep(2)
        await action.stop()
        assert (await action.wait()).params["url"]
        await phone.call.live_transcribe({"start": {"language": "en-US"}})
        await phone.call.live_translate({"start": {"source": "en-US", "target": "es"}})
        assert phone.asked("calling.live_translate")[0]["action"] == {"start": {"source": "en-US", "target": "es"}}
        await phone.call.live_transcribe(action_obj={"stop": {}})
        assert phone.asked("calling.live_transcribe")[1]["action"] == {"stop": {}}
        with pytest.raises(TypeError, match="give one"):
            await phone.call.live_transcribe({"stop": {}}, action_obj={"stop": {}})


async def test_audio_is_echoed(world: RelayWorld) -> None:
    async with world.client() as client, meanwhile() as group:
        phone = await world.talk(client)
        over = Later(group, phone.call.wait_for, "calling.call.echo", lambda event: event.params["state"] == "finished")
        await phone.call.echo(timeout=30.0)
        await over.done()
        assert over.took == pytest.approx(30.0, abs=0.1)


async def test_an_ai_agent_is_put_on_the_call_told_things_and_held(world: RelayWorld) -> None:
    async with world.client() as client:
        phone = await world.talk(client)
        action = await phone.call.ai(
            prompt={"text": "You are a helpful support agent."},
            SWAIG={"functions": []},
            ai_params={"end_of_speech_timeout": 3000},
        )
        await phone.call.ai_message(message_text="The customer is a member", role="system")
        await phone.call.ai_hold(timeout="30", prompt="One moment")
        await phone.call.ai_unhold(prompt="Here I am again")
        assert not action.is_done
        await action.stop()
        assert (await action.wait()).event_type == "calling.call.ai"
        assert phone.asked("calling.ai")[0]["params"] == {"end_of_speech_timeout": 3000}
        await phone.call.amazon_bedrock(prompt={"text": "Help."}, SWAIG={"functions": []})


# ---------------------------------------------------------------------- digit bindings, user events


async def test_digits_are_bound_and_the_bindings_cleared(world: RelayWorld) -> None:
    async with world.client() as client:
        phone = await world.talk(client)
        await phone.call.bind_digit(
            "*1",
            "calling.play",
            bind_params={"play": [{"type": "tts", "params": {"text": "You pressed star-1"}}]},
        )
        phone.there.press("*1")
        await until(lambda: phone.there.played)
        assert phone.there.played[0].item["params"] == {"text": "You pressed star-1"}
        await phone.call.clear_digit_bindings()
        phone.there.press("*1")
        await anyio.sleep(1)
        assert len(phone.there.played) == 1


async def test_a_user_event_is_sent_with_what_belongs_to_it(world: RelayWorld) -> None:
    async with world.client() as client:
        phone = await world.talk(client)
        await phone.call.user_event(event="order_placed", order_id="12345")
        sent = phone.asked("calling.user_event")[0]
        assert (sent["event"], sent["order_id"]) == ("order_placed", "12345")


# ---------------------------------------------------------------------- events


async def test_a_listener_is_told_of_the_playing(world: RelayWorld) -> None:
    states: list[Any] = []
    async with world.client() as client:
        phone = await world.talk(client)

        def on_play(event: RelayEvent) -> None:
            states.append(event.params.get("state"))

        phone.call.on("calling.call.play", on_play)
        await (await phone.call.play(HELLO)).wait()
        assert states == ["playing", "finished"]


async def test_an_event_and_the_end_are_waited_for(world: RelayWorld) -> None:
    async with world.client() as client, meanwhile() as group:
        phone = await world.talk(client)
        playing = Later(group, lambda: phone.call.wait_for("calling.call.play", timeout=30.0))
        await phone.call.play(HELLO)
        assert (await playing.done()).params["state"] == "playing"
        ending = Later(group, phone.call.wait_for_ended)
        phone.there.hang_up()
        assert (await ending.done()).params.get("end_reason") == "hangup"


# ---------------------------------------------------------------------- all of it, as an application does it


async def test_an_application_after_the_page(world: RelayWorld) -> None:
    """A small support line: greet, ask, record or connect, and say goodbye."""
    log: list[str] = []
    client = world.client()
    world.service.on_dial = lambda device: RelayCallee(answers_after=2.0, hangs_up_after=20.0)

    async def sales(call: Call) -> None:
        await call.connect(SOMEBODY, ringback=[{"type": "ringtone", "params": {"name": "us"}}])
        await call.wait_for("calling.call.connect", lambda event: event.params["connect_state"] == "disconnected", 60)
        log.append("talked to sales")

    async def support(call: Call) -> None:
        action = await call.record({"terminators": "#", "beep": True})
        event = await action.wait(60)
        log.append(f"left a message of {event.params['duration']:.0f} s")

    branches: dict[str, Callable[[Call], Any]] = {"1": sales, "2": support}

    @client.on_call
    async def take(call: Call) -> None:
        await call.answer()
        await (await call.play_tts("Welcome!")).wait()
        action = await call.play_and_collect(MENU, {"digits": {"max": 1, "digit_timeout": 5.0}})
        event: Any = await action.wait()
        await branches[event.result["params"]["digits"]](call)
        await (await call.play(HELLO, on_completed=lambda event: log.append("goodbye"))).wait()
        await call.hangup()

    async with client:
        for presses in (((3.0, "1"),), ((3.0, "2"), (10.0, "#"))):
            there = await world.service.place_call(RelayCaller(presses=presses))
            await there.wait_state("ended")
        assert log == ["talked to sales", "goodbye", "left a message of 7 s", "goodbye"]
        await until(lambda: not client.calls)
