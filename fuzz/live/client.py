"""``python -m fuzz client``: every script on a client of its own, and a page about what it did not survive."""

import asyncio
import datetime as dt
import subprocess
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import final

import attrs

from fuzz.live.scripts import SCRIPTS, Script
from fuzz.live.stage import ClientAway, Stage
from fuzz.live.wire import Log

_SCRIPT_WITHIN = 90.0
_ROOT = Path(__file__).parents[2]


@final
@attrs.frozen
class Verdict:
    """How a client took a script: what it did wrong, or that it could not be played, or neither."""

    script: Script
    violation: str | None
    away: str | None
    transcript: str


def run(*, port: int, against: str | None, only: Sequence[str], report: Path | None) -> int:
    """Play the scripts, print what was found, and return 1 if a client of ours, or an unknown one, did wrong."""
    scripts = [script for script in SCRIPTS if not only or script.name in only or script.row in only]
    clients = ["official", "ours"] if against == "both" else [against]
    pages: list[str] = []
    wrong = 0
    for client in clients:
        verdicts = asyncio.run(_play_all(scripts, client, port))
        pages.append(_page(client or "the client that came", verdicts))
        if client != "official":
            wrong += sum(verdict.violation is not None or verdict.away is not None for verdict in verdicts)
    text = "\n\n".join(pages) + "\n"
    print(text)
    if report is not None:
        report.parent.mkdir(parents=True, exist_ok=True)
        report.write_text(_head(against, only) + text, encoding="utf-8")
    return min(1, wrong)


async def _play_all(scripts: Sequence[Script], client: str | None, port: int) -> list[Verdict]:
    verdicts = []
    for script in scripts:
        verdict = await play(script, client, port)
        said = verdict.violation or verdict.away or "fine"
        print(f"{client or 'client'}: {script.name} ({script.row}): {said}", file=sys.stderr, flush=True)
        verdicts.append(verdict)
    return verdicts


async def play(script: Script, client: str | None, port: int = 0) -> Verdict:
    """Play one script on a fresh stage; without a client to start, on whoever comes."""
    log = Log()
    stage = await Stage(log).open(port)
    violation = away = None
    transcript = ""
    try:
        async with _started(client, stage), asyncio.timeout(_SCRIPT_WITHIN):
            violation = await script.play(stage)
            transcript = log.text()  # before anybody is sent away
    except ClientAway as error:
        away = str(error)
    except TimeoutError:
        away = f"the script was not over after {_SCRIPT_WITHIN:.0f} seconds"
    finally:
        await stage.close()
    return Verdict(script, violation, away, transcript or log.text())


@asynccontextmanager
async def _started(client: str | None, stage: Stage) -> AsyncIterator[None]:
    base_url = f"ws://127.0.0.1:{stage.port}"
    if client is None:
        print(f"waiting for a client at {base_url}", file=sys.stderr, flush=True)
        yield
        return
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "fuzz.live.agents", client, base_url),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        cwd=_ROOT,
    )
    try:
        yield
    finally:
        process.kill()
        await process.wait()


def _head(against: str | None, only: Sequence[str]) -> str:
    command = f"python -m fuzz client --against {against}" + "".join(f" --only {name}" for name in only)
    return (
        "# What clients do with a hostile service\n\n"
        f"Written on {dt.datetime.now(dt.UTC).date()} by `{command}`: every script is played on a fresh "
        "process of the client, over loopback, and judged from the wire alone.\n\n"
    )


def _page(client: str, verdicts: Sequence[Verdict]) -> str:
    found = [verdict for verdict in verdicts if verdict.violation is not None]
    away = [verdict for verdict in verdicts if verdict.away is not None]
    rows = sorted({verdict.script.row for verdict in found})
    lines = [
        f"## {client}: {len(found)} findings in {len(verdicts)} scripts",
        "",
        f"Rows found again: {', '.join(rows) or 'none'}.",
        "",
        "| script | row | what it is about | what happened |",
        "| --- | --- | --- | --- |",
    ]
    for verdict in verdicts:
        happened = verdict.violation or (f"not played: {verdict.away}" if verdict.away else "fine")
        script = verdict.script
        lines.append(f"| `{script.name}` | {script.row} | {script.title} | {happened} |")
    for verdict in (*found, *away):
        title = f"### {client}: `{verdict.script.name}` ({verdict.script.row})"
        lines += ["", title, "", f"{verdict.violation or verdict.away}.", "", "```", verdict.transcript, "```"]
    return "\n".join(lines)
