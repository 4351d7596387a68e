"""The live fuzzers on loopback: the gateway and our client are well, and what is broken on purpose is found."""

import asyncio
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from fuzz.__main__ import main
from fuzz.live import client as live_client
from fuzz.live import service
from fuzz.live.scripts import SCRIPTS, Script
from fuzz.live.wire import Log, Wire
from telcoflow_anyio.gateway import Callee, Caller, Gateway
from telcoflow_proto.handshake import UpgradeRequested
from telcoflow_proto.origin import WsUrl, parse_ws_url
from telcoflow_proto.roles import Role
from telcoflow_proto.testing import entropy
from telcoflow_proto.websocket import WebSocketLink

CREDENTIALS = [("x-api-key", "test-key"), ("x-connector-uuid", "test-connector")]
SETUP = service.text_line('{"type": "setup"}')
BYE = service.Script("bye", (SETUP, service.text_line("bye"), service.text_line("more")))


@pytest.fixture(scope="module")
def anyio_backend() -> str:
    """The live fuzzers are programs on asyncio; what they fuzz runs in processes of its own."""
    return "asyncio"


async def against(behave: Callable[[Wire], Awaitable[None]], script: service.Script) -> service.Violation | None:
    """Play a script on a service that does one thing for everything it hears."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        link = WebSocketLink(Role.SERVER, entropy=entropy())
        link.start(now=0.0)
        wire = Wire(link, reader, writer, name="service", log=Log())

        def decide(_: Wire, event: object) -> None:
            assert isinstance(event, UpgradeRequested)
            link.accept(now=0.0)

        running = asyncio.create_task(wire.run(decide))
        await wire.until(lambda one: any(text == "bye" for text in one.texts) or one.over, within=5)
        if not wire.over:
            await behave(wire)
        await running

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with server:
        port = server.sockets[0].getsockname()[1]
        return await service.play(script, parse_ws_url(f"ws://127.0.0.1:{port}"), CREDENTIALS)


async def do_nothing(wire: Wire) -> None:
    """Hear it."""


async def crash(wire: Wire) -> None:
    wire.cut()


async def hang(wire: Wire) -> None:
    wire.link.data_to_send = lambda: b""  # type: ignore[method-assign]  # it never says anything again


async def talk_nonsense(wire: Wire) -> None:
    await wire.says('{"type": "setup.done", "smWsId": []}')


async def say_what_nobody_knows(wire: Wire) -> None:
    await wire.says('{"type": "setup.undone"}')


async def break_the_wire(wire: Wire) -> None:
    await wire.says_bytes(b"\x83\x00", "an unknown opcode")


@pytest.mark.parametrize(
    ("behave", "what"),
    [
        (crash, "it drops the connection without a close frame"),
        (hang, "it hangs: a ping has no answer after a second"),
        (talk_nonsense, "it says something that is no message: setup.done: field 'smWsId' must be"),
        (say_what_nobody_knows, "it says a message of an unknown type"),
        (break_the_wire, "it breaks RFC 6455: bad WebSocket frame"),
    ],
)
async def test_a_service_that_is_broken_is_found(behave: Callable[[Wire], Awaitable[None]], what: str) -> None:
    found = await against(behave, BYE)
    assert found is not None
    assert found.what.startswith(what)
    assert "control: > bye" in found.transcript


async def test_a_service_that_takes_it_is_fine() -> None:
    assert await against(do_nothing, BYE) is None


async def test_a_service_that_overlooks_an_illegal_frame_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(WebSocketLink, "_fail", lambda *_: None)
    script = service.Script("illegal", (service.text_line("bye"), service.Line(b"\x83\x80\0\0\0\0", "?", legal=False)))
    found = await against(do_nothing, script)
    assert found is not None
    assert found.what == "it goes on after an illegal frame"


async def test_a_service_that_is_not_there_is_told() -> None:
    nowhere = WsUrl(secure=False, host="127.0.0.1", port=1, target="/")
    found = await service.play(BYE, nowhere, CREDENTIALS)
    assert found is not None
    assert found.what.startswith("it cannot be reached")


async def test_a_service_that_refuses_an_honest_upgrade_is_told() -> None:
    async with Gateway() as gateway:
        found = await service.play(BYE, parse_ws_url(gateway.base_url), [("x-api-key", "wrong")])
    assert found is not None
    assert found.what == "it refuses an honest upgrade"


async def test_the_gateway_survives_every_script_that_is_always_tried() -> None:
    async with Gateway() as gateway:
        url = parse_ws_url(gateway.base_url)
        scripts = [script for script in service.fixed_scripts() if script.plane == "control"]
        found = [await service.play(script, url, CREDENTIALS) for script in scripts]
    assert [(one.script, one.what) for one in found if one is not None] == []
    assert len(found) > 40


async def test_the_gateway_survives_what_is_said_on_its_calls() -> None:
    scripts = [script for script in service.fixed_scripts() if script.plane == "media"]
    found: list[service.Violation | None] = []
    for script in scripts:
        async with Gateway() as gateway, asyncio.TaskGroup() as tasks:
            playing = tasks.create_task(service.play(script, parse_ws_url(gateway.base_url), CREDENTIALS))
            await gateway.wait_for_agents(1)
            placed = tasks.create_task(gateway.place_call(Caller(), Callee()))
            found.append(await playing)
            placed.cancel()
    assert [(one.script, one.what) for one in found if one is not None] == []
    assert len(found) > 4


async def test_a_service_without_calls_is_not_blamed_for_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(service, "_CALL_WITHIN", 0.2)
    async with Gateway() as gateway:
        script = next(script for script in service.fixed_scripts() if script.plane == "media")
        assert await service.play(script, parse_ws_url(gateway.base_url), CREDENTIALS) is service.NO_CALL


async def test_the_gateway_survives_the_command_line(capsys: pytest.CaptureFixture[str]) -> None:
    async with Gateway() as gateway:
        arguments = [sys.executable, "-m", "fuzz", "peer", gateway.base_url, "--seconds", "1"]
        process = await asyncio.create_subprocess_exec(*arguments, cwd=Path(__file__).parents[2], stdout=-1, stderr=-1)
        printed, _ = await process.communicate()
    assert process.returncode == 0
    assert b", 0 violations" in printed


# ---------------------------------------------------------------------------------------------- clients

QUICK = ["number_withheld", "answer_answered_in_words", "bad_frame_2", "last_word", "call_offered_twice"]


def by_name(name: str) -> Script:
    return next(script for script in SCRIPTS if script.name == name)


@pytest.mark.parametrize("name", QUICK)
async def test_our_client_survives(name: str) -> None:
    verdict = await live_client.play(by_name(name), "ours")
    assert (verdict.violation, verdict.away) == (None, None), verdict.transcript


async def test_the_official_client_is_seen_to_lose_a_call() -> None:
    verdict = await live_client.play(by_name("number_withheld"), "official")
    assert verdict.violation == "the call is lost: no media connection within 3 seconds"
    assert '"from": null' in verdict.transcript


def test_a_report_names_what_was_found(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    report = tmp_path / "reports" / "clients.md"
    assert main(["client", "--against", "official", "--only", "number_withheld", "--report", str(report)]) == 0
    text = report.read_text()
    assert "## official: 1 findings in 1 scripts" in text
    assert "Rows found again: T12." in text
    assert "### official: `number_withheld` (T12)" in text
    assert "number_withheld (T12): the call is lost" in capsys.readouterr().err


def test_every_script_says_what_it_is_about() -> None:
    assert len({script.name for script in SCRIPTS}) == len(SCRIPTS) > 30
    assert all(script.title.endswith(".") for script in SCRIPTS)


def test_a_transcript_of_many_lines_is_cut_and_repeats_are_counted() -> None:
    async def write() -> str:
        log = Log()
        for number in range(10):
            log.add(f"call {number}")
        for number in range(200):
            log.add("even" if number % 2 else "odd")
        log.add("x" * 1000)
        return log.text()

    text = asyncio.run(write())
    assert "call 0  (and 9 more like this)" in text
    assert "... 178 lines ..." in text
    assert "(1000 characters)" in text
