"""The fuzzer itself: it finds what is broken on purpose, keeps the smallest proof, and counts."""

import random
from pathlib import Path

import pytest

from fuzz import run, worker
from fuzz.__main__ import main
from fuzz.disagreements import KNOWN, explain
from fuzz.edges import edges_of, smallest_cover
from fuzz.findings import failure_of, minimised, save
from fuzz.mutate import mutated
from fuzz.oracles import Finding, random_pieces
from fuzz.run import Row, table
from fuzz.seeds import CORPUS
from fuzz.targets import TARGETS
from fuzz.targets.texts import media_url
from telcoflow_proto.errors import RemoteProtocolError
from telcoflow_proto.media.client import MediaClient
from telcoflow_proto.media.playout import Playout
from telcoflow_proto.roles import Role
from telcoflow_proto.testing import wire_frame
from telcoflow_proto.websocket import LinkLost, WebSocketLink


def fails_on_x(data: bytes) -> None:
    if b"x" in data and len(data) > 2:
        raise ValueError("x")


def seed(target: str, name: str) -> bytes:
    return (CORPUS / target / f"seed-{name}").read_bytes()


# ---------------------------------------------------------------------------------------------- oracles have teeth


def test_an_exception_that_escapes_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object) -> None:
        raise KeyError("deep inside")

    monkeypatch.setattr(MediaClient, "_on_notice", broken)
    with pytest.raises(KeyError):
        TARGETS["media_client"](seed("media_client", "all"))


def test_a_message_that_depends_on_the_split_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    receive = WebSocketLink.receive_data

    def broken(link: WebSocketLink, data: bytes, *, now: float) -> None:
        receive(link, data.replace(b"ll", b"LL"), now=now)

    monkeypatch.setattr(WebSocketLink, "receive_data", broken)
    with pytest.raises(Finding, match="another outcome in small pieces"):
        TARGETS["websocket_client"](seed("websocket_client", "text"))


def test_a_fault_nobody_else_sees_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object) -> None:
        raise RemoteProtocolError("I do not like this")

    monkeypatch.setattr(WebSocketLink, "_take_whole", broken)
    with pytest.raises(Finding, match="websockets says None after 1"):
        TARGETS["websocket_server"](seed("websocket_server", "binary"))


def test_a_fault_we_overlook_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(WebSocketLink, "_fail", lambda *_: None)
    with pytest.raises(Finding):
        TARGETS["websocket_client"](seed("websocket_client", "bad-opcode"))


def test_speech_beyond_credit_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(playout: Playout, requested: int, *, frame_bytes: int) -> None:
        playout.credit += requested * 1000

    monkeypatch.setattr(Playout, "grant", broken)
    with pytest.raises(Finding, match="speech beyond credit"):
        TARGETS["media_client"](seed("media_client", "all"))


def test_a_token_on_its_way_elsewhere_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("telcoflow_proto.origin._matches", lambda *_: True)
    with pytest.raises(Finding, match="host 'evil"):
        media_url(b"wss://evil.example/")


def test_only_known_disagreements_are_excused() -> None:
    def lost(text: str) -> LinkLost:
        return LinkLost(code=1006, reason="", error=RemoteProtocolError(text))

    found = [
        explain(lost("too many control frames in a second"), None),
        explain(lost("bad WebSocket frame: Payload length used 2 bytes when 1 would have sufficed"), None),
        explain(lost("bad WebSocket frame: Control frame with payload len > 125"), None),
        explain(None, "ProtocolError: incomplete fragmented message"),
        explain(lost("bad WebSocket frame: invalid UTF-8"), None),
        explain(lost("bad WebSocket frame: CLOSE with unknown reserved code"), None),
    ]
    assert list(dict.fromkeys(found)) == list(KNOWN)
    assert explain(lost("something else"), None) is None
    assert explain(None, "ProtocolError: invalid opcode") is None


def test_an_input_that_takes_too_long_is_a_finding(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(worker, "SLOW_SECONDS", -1.0)
    with pytest.raises(TimeoutError):
        worker.guarded(lambda data: None, tmp_path)(b"slow")
    assert (tmp_path / "finding").read_bytes() == b"slow"


# ---------------------------------------------------------------------------------------------- what is kept


def test_a_finding_is_cut_down_to_what_shows_it(tmp_path: Path) -> None:
    assert minimised(fails_on_x, b"a" * 100 + b"x" + b"b" * 100) in (b"aax", b"axb", b"xbb")
    page = save("fails_on_x", fails_on_x, b"a" * 50 + b"x", tmp_path)
    assert page.with_suffix(".bin").read_bytes() == b"aax"
    assert "ValueError: x" in page.read_text()
    assert "python -m fuzz replay fails_on_x" in page.read_text()


def test_a_finding_that_does_not_come_again_says_so(tmp_path: Path) -> None:
    assert "did not fail a second time" in save("fine", lambda data: None, b"a", tmp_path).read_text()


def test_two_failures_are_told_apart_by_where_they_are() -> None:
    def other(data: bytes) -> None:
        raise ValueError("x")

    one, two = failure_of(fails_on_x, b"xxx"), failure_of(other, b"xxx")
    assert one is not None
    assert two is not None
    assert one.kind == two.kind == "ValueError"
    assert one.where != two.where
    assert failure_of(fails_on_x, b"") is None


def test_a_cover_is_smaller_and_takes_the_same_edges() -> None:
    target = TARGETS["media_url"]
    inputs = [path.read_bytes() for path in (CORPUS / "media_url").iterdir()] * 2
    cover = smallest_cover(target, inputs)

    def taken(chosen: list[bytes]) -> set[tuple[str, int, int]]:
        return {edge for data in chosen for edge in edges_of(target, data)}

    assert len(cover) < len(inputs) / 2
    assert taken(cover) == taken(inputs)
    assert len(taken(cover)) > 20


def test_mutation_is_repeatable_and_changes_something() -> None:
    def made(number: int) -> list[bytes]:
        chance = random.Random(number)
        return [mutated(b"hello world", [b"other input"], chance) for _ in range(200)]

    assert made(1) == made(1) != made(2)
    assert len(set(made(1))) > 150


def test_random_pieces_lose_nothing() -> None:
    chance = random.Random(3)
    for size in (0, 1, 5, 100):
        assert b"".join(random_pieces(bytes(size), chance)) == bytes(size)


# ---------------------------------------------------------------------------------------------- commands


@pytest.fixture
def without_atheris(monkeypatch: pytest.MonkeyPatch) -> None:
    """Run as where atheris cannot be installed."""
    monkeypatch.setattr(run, "engine", lambda: "random")


@pytest.mark.usefixtures("without_atheris")
def test_a_run_without_atheris_says_so_and_counts(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["run", "media_url", "--seconds", "0.2"]) == 0
    printed = capsys.readouterr().out
    assert "atheris is not installed here" in printed
    assert "| media_url | random | " in printed


@pytest.mark.skipif(run.engine() != "atheris", reason="atheris has no wheel for this interpreter")
def test_a_run_with_atheris_counts(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["run", "media_url", "--seconds", "1"]) == 0
    (row,) = [line for line in capsys.readouterr().out.splitlines() if line.startswith("| media_url | atheris | ")]
    executions, coverage = row.split("|")[3], row.split("|")[5]
    assert int(executions.replace(",", "")) > 100
    assert int(coverage) > 10


@pytest.mark.usefixtures("without_atheris")
def test_a_run_with_a_finding_fails_and_shows_it(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr("fuzz.findings.FINDINGS", tmp_path)
    monkeypatch.setitem(TARGETS, "fails_on_x", fails_on_x)
    monkeypatch.setattr(run, "CORPUS", tmp_path / "corpus")

    def watch(row: Row, arguments: list[str], *_: object) -> tuple[int, str]:
        (Path(arguments[-1]) / "finding").write_bytes(b"aax")
        return 1, ""

    monkeypatch.setattr(run, "_watch", watch)
    monkeypatch.setattr(run, "save", lambda name, target, data: save(name, target, data, tmp_path))
    assert main(["run", "fails_on_x", "--seconds", "1"]) == 1
    assert "ValueError: x" in capsys.readouterr().out


def test_a_worker_keeps_the_input_that_failed(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setitem(TARGETS, "fails_on_x", fails_on_x)
    (tmp_path / "corpus").mkdir()
    (tmp_path / "corpus" / "seed").write_bytes(b"aax")
    (tmp_path / "work").mkdir()
    arguments = ["fails_on_x", "5", "random", str(tmp_path / "corpus"), str(tmp_path / "work")]
    assert worker.main(arguments) == 1
    assert b"x" in (tmp_path / "work" / "finding").read_bytes()


def test_an_unknown_target_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["run", "nonsense"]) == 2
    assert "there are: websocket_client" in capsys.readouterr().err


def test_targets_are_listed_and_replayed(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    assert main(["list"]) == 0
    assert "media_audio" in capsys.readouterr().out
    assert main(["replay", "media_url"]) == 0
    assert "no findings" in capsys.readouterr().out
    (tmp_path / "one").write_bytes(wire_frame(Role.SERVER, 1, b"x"))
    assert main(["replay", "websocket_client", str(tmp_path / "one")]) == 0


def test_the_table_adds_up() -> None:
    rows = [
        Row(target="a", engine="random", executions=10, seconds=2.0),
        Row(target="b", engine="random", executions=5),
    ]
    lines = table(rows).splitlines()
    assert lines[2] == "| a | random | 10 | 5 | 0 | 0 | 0 | 0 |"
    assert lines[-1] == "| all |  | 15 | 8 |  |  | 0 | 0 |"
