"""Faxes, payments, taps, conferences, rooms, queues, bindings and the rest of the table."""

from typing import Any

import anyio
import pytest

from telcoflow_anyio.gateway.relay import RelayCaller
from tests.gateway.relay.client import MEDIA, town

CARD = "4111111111111111"

# ---------------------------------------------------------------------------------------------- faxes


@pytest.mark.parametrize(("verb", "direction"), [("send_fax", "send"), ("receive_fax", "receive")])
async def test_a_fax_goes_page_by_page(verb: str, direction: str) -> None:
    async with town() as one:
        _, hand = await one.answered(one.client(), RelayCaller(number="+1777", fax_pages=2))
        params = {"document": "https://example.com/a.pdf", "identity": "us"} if verb == "send_fax" else {}
        await hand.done(verb, control_id="f", **params)
        await anyio.sleep(3)
        told: list[Any] = [event.params for event in hand.client.of("calling.call.fax")]
        pages = [one["fax"] for one in told[:-1]]
        assert pages == [{"type": "page", "params": {"direction": direction, "number": page}} for page in (1, 2)]
        final = told[-1]["fax"]
        assert "state" not in told[-1]
        assert final["type"] == "finished"
        assert final["params"] == {
            "direction": direction,
            "identity": params.get("identity", ""),
            "remote_identity": "+1777",
            "document": params.get("document", "https://files.local/faxes/f.pdf"),
            "format": "pdf",
            "pages": 2,
            "success": True,
            "result": 0,
            "result_text": "OK",
        }


async def test_a_person_is_no_fax_machine() -> None:
    async with town() as one:
        _, hand = await one.answered(one.client())
        await hand.done("receive_fax", control_id="f")
        told: Any = await hand.told("call.fax")
        assert (told["fax"]["params"]["success"], told["fax"]["params"]["pages"]) == (False, 0)
        assert told["fax"]["params"]["result_text"] == "there is no fax machine"


async def test_a_fax_that_is_stopped_has_failed() -> None:
    async with town() as one:
        _, hand = await one.answered(one.client(), RelayCaller(fax_pages=9))
        await hand.done("receive_fax", control_id="f")
        await anyio.sleep(2.5)
        await hand.done("receive_fax.stop", control_id="f")
        told: Any = hand.client.of("calling.call.fax")[-1].params
        assert (told["fax"]["params"]["success"], told["fax"]["params"]["pages"]) == (False, 2)


# ---------------------------------------------------------------------------------------------- payments


async def pay(hand: Any, **params: Any) -> None:
    await hand.done("pay", control_id="p", payment_connector_url="https://pay.example.com", **params)


async def test_a_payment_is_pressed_number_by_number() -> None:
    async with town() as one:
        call, hand = await one.answered(one.client())
        await pay(hand)
        call.press(f"{CARD}#")
        call.press("1230#")
        call.press("123#")
        call.press("90210#")
        told = hand.client.of("calling.call.pay")[-1].params
        assert {
            name: told[name] for name in ("result", "payment_method", "payment_card_number", "expiration_date")
        } == {
            "result": "success",
            "payment_method": "credit-card",
            "payment_card_number": "xxxxxxxxxxxx1111",
            "expiration_date": "1230",
        }
        assert "state" not in told
        assert hand.story("call.pay") == [
            "payment-card-number",
            "expiration-date",
            "security-code",
            "postal-code",
            "success",
        ]


async def test_a_payment_asks_only_for_what_is_wanted() -> None:
    async with town() as one:
        call, hand = await one.answered(one.client())
        await pay(hand, security_code="false", postal_code="false", payment_method="debit-card")
        call.press(f"{CARD}#1230#")
        told = hand.client.of("calling.call.pay")[-1].params
        assert (told["result"], told["payment_method"]) == ("success", "debit-card")


async def test_a_number_that_cannot_be_is_asked_for_again() -> None:
    async with town() as one:
        call, hand = await one.answered(one.client())
        await pay(hand, max_attempts="2", timeout="3")
        call.press("1#")
        call.press(f"{CARD}#1330#")
        told = [event.params for event in hand.client.of("calling.call.pay")]
        assert [(one["for"], one["attempt"], one.get("error_type")) for one in told] == [
            ("payment-card-number", 1, None),
            ("payment-card-number", 2, "invalid-payment-card-number"),
            ("expiration-date", 1, None),
            ("expiration-date", 2, "invalid-expiration-date"),
        ]
        began = anyio.current_time()
        await hand.told("call.pay", result="too-many-failed-attempts")
        assert anyio.current_time() - began == pytest.approx(3, abs=0.01)


async def test_a_payment_can_be_broken_off_by_either_side() -> None:
    async with town() as one:
        call, hand = await one.answered(one.client())
        await pay(hand)
        call.press("41*")
        await pay(hand, max_attempts="high")
        await hand.done("pay.stop", control_id="p")
        assert hand.story("call.pay") == [
            "payment-card-number",
            "caller-interrupted-with-star",
            "payment-card-number",
            "relay-pay-stop",
        ]


async def test_a_payment_can_be_scripted() -> None:
    async with town() as one:
        call, hand = await one.answered(one.client(), RelayCaller(payment="payment-connector-error"))
        await pay(hand)
        await hand.told("call.pay", result="payment-connector-error")
        assert not call.running


# ---------------------------------------------------------------------------------------------- tracking


async def test_a_tap_says_where_the_media_come_from() -> None:
    async with town() as one:
        _, hand = await one.answered(one.client())
        tap: dict[str, Any] = {"type": "audio", "params": {}}
        device: dict[str, Any] = {"type": "ws", "params": {"uri": "wss://example.com"}}
        result: Any = await hand.done("tap", control_id="t", tap=tap, device=device)
        assert result["source_device"]["type"] == "rtp"
        told = await hand.told("call.tap", state="tapping")
        assert (told["tap"], told["device"]) == (tap, device)


async def test_a_stream_says_its_name() -> None:
    async with town() as one:
        _, hand = await one.answered(one.client())
        await hand.done("stream", control_id="s", url="wss://example.com", name="mine")
        await hand.done("stream.stop", control_id="s")
        assert hand.story("call.stream") == ["streaming", "finished"]
        told = await hand.told("call.stream", state="finished")
        assert (told["url"], told["name"]) == ("wss://example.com", "mine")


async def test_one_transcription_at_a_time() -> None:
    async with town() as one:
        _, hand = await one.answered(one.client())
        await hand.done("transcribe", control_id="a")
        assert await hand.refused("transcribe", control_id="b") == (409, "the call is being transcribed already")
        await anyio.sleep(5)
        await hand.done("transcribe.stop", control_id="a")
        told = await hand.told("call.transcribe", state="finished")
        assert told["duration"] == pytest.approx(5, abs=0.01)
        assert str(told["url"]).startswith("https://files.local/transcriptions/")
        await hand.done("transcribe", control_id="b")


@pytest.mark.parametrize(
    ("given", "seconds"), [({}, 60), ({"timeout": 30}, 30), ({"timeout": 1}, 5), ({"timeout": 999}, 120)]
)
async def test_an_echo_ends_in_time(given: dict[str, Any], seconds: float) -> None:
    async with town() as one:
        _, hand = await one.answered(one.client())
        began = anyio.current_time()
        await hand.done("echo", **given)
        told = await hand.told("call.echo", state="finished")
        assert "control_id" not in told
        assert anyio.current_time() - began == pytest.approx(seconds, abs=0.01)


async def test_digits_are_sent_one_after_the_other() -> None:
    async with town() as one:
        call, hand = await one.answered(one.client())
        began = anyio.current_time()
        await hand.done("send_digits", control_id="s", digits="12wW#")
        await hand.told("call.send_digits", state="finished")
        assert call.digits_sent == "12wW#"
        assert anyio.current_time() - began == pytest.approx(1.8, abs=0.01)
        for wrong in ("", "12x"):
            code, message = await hand.refused("send_digits", control_id="s", digits=wrong)
            assert (code, message) == (400, "digits must be keys of a telephone, with w and W for pauses")


async def test_an_ai_is_spoken_to_while_it_is_there() -> None:
    async with town() as one:
        call, hand = await one.answered(one.client())
        for verb in ("ai_message", "ai_hold", "ai_unhold"):
            assert await hand.refused(verb) == (409, "no AI is on the call")
        await hand.done("ai", control_id="a")
        for verb in ("ai_message", "ai_hold", "ai_unhold"):
            await hand.done(verb)
        await hand.done("ai.stop", control_id="a")
        assert hand.story("call.ai") == ["finished"]
        await hand.done("amazon_bedrock", prompt="be kind")
        await hand.done("ai_message", message_text="hello")
        before = len(hand.client.order)
        call.hang_up()
        assert hand.client.order[before:] == ["calling.call.state:ending", "calling.call.state:ended"]


async def test_hold_and_denoise_are_told() -> None:
    async with town() as one:
        call, hand = await one.answered(one.client())
        await hand.done("hold")
        assert call.on_hold
        await hand.done("denoise")
        assert call.denoised
        await hand.done("unhold")
        await hand.done("denoise.stop")
        assert not call.on_hold
        assert not call.denoised
        assert hand.story("call.hold") == ["hold", "unhold"]
        assert hand.story("call.denoise") == ["True", "False"]


async def test_user_events_come_back() -> None:
    async with town() as one:
        _, hand = await one.answered(one.client())
        await hand.done("user_event", event={"type": "order"}, order_id="12345")
        told = await hand.told("user_event")
        assert (told["event"], told["order_id"]) == ({"type": "order"}, "12345")


# ---------------------------------------------------------------------------------------------- gatherings


async def test_a_conference_opens_and_closes() -> None:
    async with town() as one:
        client = one.client()
        first, hand = await one.answered(client)
        second, other = await one.answered(client)
        joined = await hand.done("join_conference", name="ours", muted=True)
        again = await other.done("join_conference", name="ours")
        assert joined["conference_id"] == again["conference_id"]
        assert await hand.refused("join_conference", name="ours") == (409, "the call is in there already")
        assert await hand.refused("leave_conference", conference_id="other") == (
            409,
            "the call is not in this conference",
        )
        await hand.done("leave_conference", conference_id=joined["conference_id"])
        assert await hand.refused("leave_conference", conference_id="ours") == (
            409,
            "the call is not in this conference",
        )
        second.hang_up()
        assert hand.story("conference") == [
            "conference-start",
            "participant-join",
            "participant-join",
            "participant-leave",
            "participant-leave",
            "conference-end",
        ]
        told = [event.params for event in client.of("calling.conference")]
        assert [one.get("call_id") for one in told] == [
            None,
            first.call_id,
            second.call_id,
            first.call_id,
            second.call_id,
            None,
        ]
        assert [one["size"] for one in told] == [1, 1, 2, 1, 0, 0]
        assert [one.get("muted") for one in told[:3]] == [None, True, False]
        assert not one.service.conferences


async def test_who_ends_a_conference_takes_everybody_out() -> None:
    async with town() as one:
        client = one.client()
        first, hand = await one.answered(client)
        second, other = await one.answered(client)
        await hand.done("join_conference", name="ours", end_on_exit=True)
        await other.done("join_conference", name="ours")
        first.hang_up()
        assert hand.story("conference")[-3:] == ["participant-leave", "participant-leave", "conference-end"]
        assert not second.running
        assert second.state == "answered"


async def test_a_conference_of_calls_nobody_controls_closes_silently() -> None:
    async with town() as one:
        call, hand = await one.answered(one.client())
        await hand.done("join_conference", name="ours")
        one.service.forget_call(call.call_id)
        assert not one.service.conferences
        assert "conference-end" not in hand.story("conference")


async def test_one_room_at_a_time() -> None:
    async with town() as one:
        _, hand = await one.answered(one.client())
        assert await hand.refused("leave_room") == (409, "the call is in no room")
        await hand.done("join_room", name="a")
        assert await hand.refused("join_room", name="b") == (409, "the call is in a room already")
        await hand.done("leave_room")
        await hand.done("join_room", name="b")
        assert hand.story("call.room") == ["joined", "leave", "joined"]
        assert hand.client.of("calling.call.room")[-1].params["room_name"] == "b"


async def test_a_queue_knows_who_is_where() -> None:
    async with town() as one:
        client = one.client()
        _, hand = await one.answered(client)
        _, other = await one.answered(client)
        await hand.done("queue.enter", control_id="a", queue_name="support")
        await other.done("queue.enter", control_id="b", queue_name="support")
        told = [event.params for event in client.of("calling.call.queue")]
        assert [(one["status"], one["position"], one["size"]) for one in told] == [("enqueue", 1, 1), ("enqueue", 2, 2)]
        assert told[0]["name"] == "support"
        assert await hand.refused("queue.enter", control_id="c", queue_name="support") == (
            409,
            "the call is in there already",
        )
        nowhere = (409, "the call is not in this queue")
        assert await hand.refused("queue.leave", control_id="c", queue_name="sales") == nowhere
        assert await hand.refused("queue.leave", control_id="c", queue_name="support", queue_id="q") == nowhere
        await other.done("queue.leave", control_id="c", queue_name="support", queue_id=told[0]["id"])
        left = client.of("calling.call.queue")[-1].params
        assert (left["status"], left["position"], left["size"], left["control_id"]) == ("leave", 2, 1, "c")


# ---------------------------------------------------------------------------------------------- bindings


async def test_bound_keys_perform_a_method() -> None:
    async with town() as one:
        call, hand = await one.answered(one.client())
        await hand.done("bind_digit", digits="*1", bind_method="calling.play", params={"play": MEDIA})
        call.press("1*2*11")
        await hand.told("call.play", state="finished")
        call.press("*1")
        assert hand.story("call.play") == ["playing", "finished", "playing"]
        ids = {event.params["control_id"] for event in hand.client.of("calling.call.play")}
        assert len(ids) == 2


async def test_bound_keys_work_as_often_as_allowed() -> None:
    async with town() as one:
        call, hand = await one.answered(one.client())
        await hand.done("bind_digit", digits="1", bind_method="calling.hold", max_triggers=2)
        call.press("1111")
        assert hand.story("call.hold") == ["hold", "hold"]
        assert call.bindings == []


async def test_bindings_are_cleared_by_realm() -> None:
    async with town() as one:
        call, hand = await one.answered(one.client())
        for realm in ({}, {"realm": "menu"}, {"realm": "other"}):
            await hand.done("bind_digit", digits="1", bind_method="calling.hold", **realm)
        await hand.done("clear_digit_bindings")
        assert [binding.realm for binding in call.bindings] == ["menu", "other"]
        await hand.done("clear_digit_bindings", realm="menu")
        assert [binding.realm for binding in call.bindings] == ["other"]
        await hand.done("clear_digit_bindings", realm="all")
        assert call.bindings == []


async def test_a_bound_method_that_cannot_be_done_is_an_error_on_the_call() -> None:
    async with town() as one:
        call, hand = await one.answered(one.client())
        await hand.done("bind_digit", digits="1", bind_method="calling.play")
        call.press("1")
        assert (await hand.told("error"))["message"] == "play is required"


async def test_only_methods_of_calls_are_bound_to_keys() -> None:
    async with town() as one:
        _, hand = await one.answered(one.client())
        for wrong in ("calling.fly", "calling.dial"):
            code, message = await hand.refused("bind_digit", digits="1", bind_method=wrong)
            assert (code, message) == (400, f"bind_method: there is no {wrong}")
        assert (await hand.refused("bind_digit", digits="", bind_method="calling.hold"))[0] == 400
