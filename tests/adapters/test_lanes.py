"""What is particular to the lanes for sockets; all other scenarios run on them too."""

import asyncio
import errno
import selectors
import socket
import ssl
import sys
import time
from collections.abc import Callable, Coroutine
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any

import anyio
import pytest
import trio
import trustme

from telcoflow_anyio._asyncio import AsyncioSocket
from telcoflow_anyio._driver import Carrier
from telcoflow_anyio._lanes import Lanes
from telcoflow_anyio._loop import Loop, _find_library, clock_of, spawn_root
from telcoflow_anyio._poller import Poller as AsyncioPoller
from telcoflow_anyio._turn import Turn
from telcoflow_proto.origin import parse_ws_url
from telcoflow_proto.socket_lane import Poller as AnyPoller
from telcoflow_proto.socket_lane import SocketLane
from telcoflow_proto.waiting import Bells
from telcoflow_trio._poller import Poller
from telcoflow_trio._tls import Tls
from tests.adapters.acts import taking, until
from tests.adapters.test_tls import service_with, serving, settings
from tests.world.world import Case


class Ended:
    """A machine that notes what it is told."""

    def __init__(self) -> None:
        self.closed = False
        self.told: list[str] = []
        self.asked = 0
        self.when_asked: Callable[[], None] = lambda: None

    def start(self, *, now: float) -> None:
        self.told.append("start")

    def receive_data(self, data: bytes, *, now: float) -> None:
        self.told.append("data")

    def receive_eof(self, *, now: float) -> None:
        self.told.append("eof")
        self.closed = True

    def fail_transport(self, detail: str, *, now: float) -> None:
        self.told.append(detail)
        self.closed = True

    def data_to_send(self, *, now: float | None = None) -> bytes:
        self.asked += 1
        self.when_asked()
        return b""


class Speaking(Ended):
    """A machine that has something to say until it is over."""

    def data_to_send(self, *, now: float | None = None) -> bytes:
        super().data_to_send(now=now)
        return b"" if self.closed else b"hello"


def nothing() -> None:
    pass


def open_files() -> int:
    return len(list(Path("/dev/fd").iterdir()))


class Far:
    """The service's end of a TLS connection, in memory; in TLS 1.2 data can follow the handshake at once."""

    def __init__(self, ca: trustme.CA) -> None:
        context = serving(ca.issue_cert("localhost"))
        context.maximum_version = ssl.TLSVersion.TLSv1_2
        self._in, self._out = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._end = context.wrap_bio(self._in, self._out, server_side=True)

    def connected(self, client: Tls, *, glued: bytes = b"") -> Tls:
        """Shake hands with a client, and say something in the same bytes."""
        while not client.shake_hands(self._out.read()):
            self._in.write(client.pending())
            with suppress(ssl.SSLWantReadError):
                self._end.do_handshake()
                self._end.write(glued)
        return client

    def leaves(self) -> bytes:
        """Return what is sent to say that nothing more will come."""
        with suppress(ssl.SSLWantReadError):  # it would wait for our farewell
            self._end.unwrap()
        return self._out.read()

    def says(self, *pieces: bytes) -> bytes:
        """Return what is sent for these pieces, a record each."""
        for piece in pieces:
            self._end.write(piece)
        return self._out.read()


@pytest.fixture
def near() -> tuple[Far, Tls]:
    ca = trustme.CA()
    context = ssl.create_default_context()
    ca.configure_trust(context)
    return Far(ca), Tls(context, "localhost")


class Polled:
    """A lane that a poller watches, on any loop."""

    def __init__(self, poller: AnyPoller, door: Ended | None = None, tls: Tls | None = None) -> None:
        ours, self.theirs = socket.socketpair()
        ours.setblocking(False)
        self.theirs.setblocking(False)
        self.door = door or Ended()
        self.lane = SocketLane(ours, tls, poller)

    async def carry(self) -> None:
        with self.theirs:
            await self.lane.carry(self.door, nothing, nothing)


def test_what_is_due_before_the_poller_of_trio_had_its_first_turn_is_written() -> None:
    async def main() -> None:
        async with trio.open_nursery() as nursery:
            polled = Polled(Poller(nursery.start_soon))

            def once() -> None:
                polled.door.when_asked = nothing
                polled.lane.wake()

            polled.door.when_asked = once
            nursery.start_soon(polled.carry)
            await trio.testing.wait_all_tasks_blocked()
            nursery.cancel_scope.cancel()
        assert polled.door.asked == 2

    trio.run(main)


def test_what_becomes_due_while_another_is_written_is_written_too() -> None:
    async def main() -> None:
        async with trio.open_nursery() as nursery:
            poller = Poller(nursery.start_soon)
            first, second = Polled(poller), Polled(poller)
            for one in (first, second):
                nursery.start_soon(one.carry)
            await trio.testing.wait_all_tasks_blocked()
            first.door.asked = second.door.asked = 0
            first.door.when_asked = second.lane.wake
            first.lane.wake()
            await trio.testing.wait_all_tasks_blocked()
            nursery.cancel_scope.cancel()
        assert (first.door.asked, second.door.asked) == (1, 1)

    trio.run(main)


def test_the_poller_of_trio_ends_with_its_last_socket_and_begins_anew_with_the_next() -> None:
    async def main() -> None:
        async with trio.open_nursery() as nursery:
            poller = Poller(nursery.start_soon)
            for _ in range(2):
                polled = Polled(poller)
                nursery.start_soon(polled.carry)
                await trio.testing.wait_all_tasks_blocked()
                assert len(nursery.child_tasks) == 2
                polled.theirs.shutdown(socket.SHUT_WR)
                while not polled.door.closed:
                    await trio.testing.wait_all_tasks_blocked()
                await trio.testing.wait_all_tasks_blocked()
                assert not nursery.child_tasks

    trio.run(main)


def test_the_poller_of_asyncio_needs_a_file_only_as_long_as_it_has_sockets() -> None:
    async def main() -> list[int]:
        loop = asyncio.get_running_loop()
        files = [open_files()]
        poller = AsyncioPoller(loop, Turn(loop))
        for _ in range(2):
            polled = Polled(poller)
            carrying = asyncio.create_task(polled.carry())
            await asyncio.sleep(0)
            files.append(open_files())
            polled.theirs.shutdown(socket.SHUT_WR)
            await carrying
            assert polled.door.told == ["start", "eof"]
            files.append(open_files())
        return files

    before, *files = asyncio.run(main())
    assert files == [before + 3, before] * 2, "a pair of sockets, and what waits for them"


def test_what_the_system_did_not_take_is_written_before_the_socket_is_closed() -> None:
    speech = bytes(range(256)) * 8192

    class Leaving(Ended):
        def data_to_send(self, *, now: float | None = None) -> bytes:
            data = b"" if self.closed else speech
            self.closed = True
            return data

    async def main() -> bytes:
        loop = asyncio.get_running_loop()
        polled = Polled(AsyncioPoller(loop, Turn(loop)), Leaving())
        heard = b""
        with polled.theirs.dup() as theirs:  # for what is still under way when the lane has closed
            carrying = asyncio.create_task(polled.carry())
            while piece := await loop.sock_recv(theirs, 65536):
                heard += piece
            await carrying
        polled.lane.ready(loop.time())  # which a poller may still say, and changes nothing
        return heard

    assert asyncio.run(main()) == speech


def test_a_tls_peer_that_says_it_leaves_has_left(near: tuple[Far, Tls]) -> None:
    far, tls = near
    far.connected(tls)

    async def main() -> list[str]:
        loop = asyncio.get_running_loop()
        polled = Polled(AsyncioPoller(loop, Turn(loop)), tls=tls)
        carrying = asyncio.create_task(polled.carry())
        await asyncio.sleep(0)
        polled.theirs.send(far.leaves())
        await carrying
        return polled.door.told

    assert asyncio.run(main()) == ["start", "eof"]


def test_a_socket_that_cannot_be_watched_is_a_lost_connection() -> None:
    """As where no file descriptor is left, or the system watches as many as it can."""

    class Full(selectors.DefaultSelector):
        def register(self, *_arguments: Any) -> Any:
            raise OSError(errno.ENOSPC, "no room to watch one more")

    async def main(monkeypatch: pytest.MonkeyPatch) -> list[str]:
        loop = asyncio.get_running_loop()
        poller = AsyncioPoller(loop, Turn(loop))
        others = Polled(poller)
        carrying = asyncio.create_task(others.carry())
        await asyncio.sleep(0)
        monkeypatch.setattr(poller, "_selector", Full())
        polled = Polled(poller)
        await polled.carry()
        monkeypatch.undo()
        assert not others.door.closed
        carrying.cancel()
        await asyncio.gather(carrying, return_exceptions=True)
        return polled.door.told

    with pytest.MonkeyPatch.context() as monkeypatch:
        told = asyncio.run(main(monkeypatch))
    assert told == ["start", "the connection broke: [Errno 28] no room to watch one more"]


def test_no_file_descriptor_left_for_a_socket_is_a_failed_connection(monkeypatch: pytest.MonkeyPatch) -> None:
    def dup(_number: int) -> int:
        raise OSError(errno.EMFILE, "too many open files")

    async def main() -> None:
        with socket.create_server(("127.0.0.1", 0)) as server:
            url = parse_ws_url(f"ws://127.0.0.1:{server.getsockname()[1]}/")
            monkeypatch.setattr("os.dup", dup)
            with pytest.raises(OSError, match="too many open files"):
                await Lanes().open(url, None, None)

    asyncio.run(main())


def test_a_machine_that_breaks_does_not_keep_other_sockets_from_being_read_and_written() -> None:
    told: list[str] = []

    class Broken(Ended):
        def receive_data(self, data: bytes, *, now: float) -> None:
            raise RuntimeError("broken by data")

        def data_to_send(self, *, now: float | None = None) -> bytes:
            if super().data_to_send(now=now) or self.asked > 1:
                raise RuntimeError("broken by a question")
            return b""

    async def main() -> None:
        loop = asyncio.get_running_loop()
        loop.set_exception_handler(lambda _loop, about: told.append(str(about["exception"])))
        poller = AsyncioPoller(loop, Turn(loop))
        both = [Polled(poller, Broken()), Polled(poller)]
        tasks = [asyncio.create_task(one.carry()) for one in both]
        await asyncio.sleep(0)
        for one in both:
            one.lane.wake()
            one.theirs.send(b"data")
        for _ in range(5):
            await asyncio.sleep(0)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        assert both[1].door.told == ["start", "data"]
        assert both[1].door.asked > 1

    asyncio.run(main())
    assert set(told) == {"broken by data", "broken by a question"}


async def a_call(case: Case, folder: Path, *, secure: bool) -> None:
    """Take a call over real sockets, hear something, and leave."""
    ca = trustme.CA()
    ca.cert_pem.write_to_path(folder / "ca.pem")
    async with service_with(serving(ca.issue_cert("localhost")) if secure else None) as (service, port):
        adapter, config = settings(case, port, secure=secure, ca_path=str(folder / "ca.pem"))
        async with adapter.TelcoflowClient(config) as client:
            calls = taking(client)
            there = await service.announce_call(url=f"{'wss' if secure else 'ws'}://localhost:{port}/media/1")
            await until(lambda: calls, within=5)
            await calls[0].answer()
            there.say(b"\1\1")
            assert await anext(aiter(calls[0].audio_stream())) == b"\1\1"
            await calls[0].close()


@pytest.mark.parametrize("secure", [True, False], ids=["wss", "ws"])
def test_trio_where_nothing_can_be_polled_uses_streams(
    secure: bool, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr("telcoflow_trio._dial.CAN_POLL", False)
    trio.run(partial(a_call, Case("trio", "telcoflow_trio"), tmp_path, secure=secure))


@pytest.mark.parametrize("secure", [True, False], ids=["wss", "ws"])
def test_asyncio_may_be_uvloop(secure: bool, tmp_path: Path) -> None:
    act = partial(a_call, Case("asyncio", "telcoflow_anyio"), tmp_path, secure=secure)
    anyio.run(act, backend="asyncio", backend_options={"use_uvloop": True})


async def on_asyncio(act: Callable[[AsyncioSocket, socket.socket, Ended], Coroutine[Any, Any, None]]) -> Ended:
    """Do something with a lane, the other end of its socket, and a machine."""
    ours, theirs = socket.socketpair()
    with theirs:
        loop, door = asyncio.get_running_loop(), Ended()
        _, lane = await loop.create_connection(lambda: AsyncioSocket(Turn(loop)), sock=ours)
        await act(lane, theirs, door)
    return door


def test_a_transport_that_is_gone_before_it_has_a_machine_is_told_to_it() -> None:
    async def act(lane: AsyncioSocket, _theirs: socket.socket, door: Ended) -> None:
        assert lane._transport is not None  # noqa: SLF001 - as below
        lane._transport.abort()  # noqa: SLF001 - the peer may leave at any time, but not by a test's command
        await asyncio.sleep(0)
        await lane.carry(door, lambda: None, lambda: None)

    door = asyncio.run(on_asyncio(act))
    assert door.told == ["start", "the connection broke: the stream was closed"]


def test_nothing_is_read_before_there_is_a_machine() -> None:
    async def act(lane: AsyncioSocket, theirs: socket.socket, door: Ended) -> None:
        theirs.send(b"early")
        theirs.shutdown(socket.SHUT_WR)
        for _ in range(3):
            await asyncio.sleep(0)
        lane.wake()
        assert not door.told
        await lane.carry(door, lambda: None, lambda: None)

    assert asyncio.run(on_asyncio(act)).told == ["start", "data", "eof"]


def test_a_machine_that_ended_while_its_socket_was_connected_is_not_started() -> None:
    async def act(lane: AsyncioSocket, theirs: socket.socket, door: Ended) -> None:
        door.closed = True
        await lane.carry(door, lambda: None, lambda: None)
        await asyncio.sleep(0)
        theirs.setblocking(False)
        assert theirs.recv(1) == b""

    assert asyncio.run(on_asyncio(act)).told == []


def test_anyio_is_told_its_loop_only_where_it_asks_sniffio(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "sniffio", None)
    assert _find_library() is None


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_a_root_task_that_is_cancelled_before_its_first_turn_does_nothing(backend: str) -> None:
    done: list[str] = []

    async def work() -> None:
        await anyio.lowlevel.checkpoint()
        done.append("work")

    async def main() -> None:
        spawn_root(work)()
        cancel = spawn_root(anyio.sleep_forever)
        await anyio.wait_all_tasks_blocked()
        cancel()

    anyio.run(main, backend=backend)
    assert done == []


def test_a_certificate_that_is_no_good_leaves_no_socket_open() -> None:
    ours, theirs = socket.socketpair()
    theirs.send(b"this is no TLS at all, and the handshake says so")

    async def main() -> None:
        with pytest.raises(ssl.SSLError):
            await Lanes().open(parse_ws_url("wss://localhost/"), ssl.create_default_context(), ours)

    with theirs:
        asyncio.run(main())
        assert ours.fileno() == -1


class Gone(anyio.abc.ByteStream):
    """What a TLS stream is when its peer has left: writing to it meets the end too."""

    async def receive(self, max_bytes: int = 65536) -> bytes:
        await anyio.sleep_forever()
        return b""

    async def send(self, item: bytes) -> None:
        await anyio.lowlevel.checkpoint()
        raise anyio.EndOfStream

    async def send_eof(self) -> None:
        raise NotImplementedError

    async def aclose(self) -> None:
        await anyio.lowlevel.checkpoint()


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_the_end_of_a_stream_that_a_write_meets_is_a_lost_connection(backend: str) -> None:
    door = Speaking()

    async def main() -> None:
        carrier = Carrier(door, lambda: None, lambda: None)
        with anyio.fail_after(10):
            await carrier.run(Gone())

    anyio.run(main, backend=backend)
    assert door.told == ["start", "the connection broke: the stream was closed"]


def test_what_stands_before_a_bad_tls_record_is_heard(near: tuple[Far, Tls]) -> None:
    far, tls = near
    far.connected(tls, glued=b"first")
    assert list(tls.decrypt(b"")) == [b"first"]
    sent = bytearray(far.says(b"good", b"bad"))
    sent[-1] ^= 1
    heard = tls.decrypt(bytes(sent))
    assert next(heard) == b"good"
    with pytest.raises(ssl.SSLError):
        next(heard)
    assert not tls.ended


@pytest.mark.parametrize("spoilt", [False, True], ids=["good", "with a bad record behind"])
def test_what_comes_glued_behind_the_tls_handshake_is_heard_at_once(near: tuple[Far, Tls], spoilt: bool) -> None:
    far, tls = near
    far.connected(tls, glued=b"glued")
    if spoilt:
        tls.shake_hands(b"this is no record")
    door = Ended()

    async def main() -> None:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(Polled(Poller(nursery.start_soon), door, tls).carry)
            await trio.testing.wait_all_tasks_blocked()
            assert door.told[:2] == ["start", "data"]
            assert door.closed is spoilt
            assert bool(nursery.child_tasks) is not spoilt
            nursery.cancel_scope.cancel()

    trio.run(main)


def test_who_gives_up_waiting_leaves_nothing_to_be_woken() -> None:
    async def main() -> None:
        bells = Bells(Loop().new_bell)
        staying = asyncio.create_task(bells.wait("key"))
        for _ in range(100):
            with anyio.move_on_after(0):
                await bells.wait("key")
        assert len(bells) == 1
        bells.ring("key")
        await staying
        assert len(bells) == 0

    asyncio.run(main())


def test_who_is_cancelled_in_the_moment_it_is_woken_leaves_the_others_to_be_woken() -> None:
    async def main() -> list[str]:
        woken: list[str] = []
        bells = Bells(Loop().new_bell)

        async def wait(name: str) -> None:
            await bells.wait("key")
            woken.append(name)

        tasks = [asyncio.create_task(wait(name)) for name in ("one", "left", "two")]
        await asyncio.sleep(0)
        tasks[1].cancel()
        bells.ring("key")
        await asyncio.gather(*tasks, return_exceptions=True)
        return woken

    assert asyncio.run(main()) == ["one", "two"]


def test_a_loop_with_a_clock_of_its_own_is_asked_for_the_time() -> None:
    class Late(asyncio.SelectorEventLoop):
        def time(self) -> float:
            return super().time() + 1000

    plain, late = asyncio.SelectorEventLoop(), Late()
    try:
        assert clock_of(plain) is time.monotonic
        assert clock_of(late)() > time.monotonic() + 500
    finally:
        plain.close()
        late.close()
