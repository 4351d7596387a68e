"""``python -m fuzz run``: every target in turn, each in a process of its own, and a table at the end."""

import importlib.util
import json
import re
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import final

import attrs

from fuzz.edges import edges_of, smallest_cover
from fuzz.findings import save
from fuzz.seeds import CORPUS
from fuzz.targets import TARGETS

_STATUS = re.compile(r"#(?P<executions>\d+)\s+\S+\s+cov: (?P<coverage>\d+)")
_TOTAL = re.compile(r"stat::number_of_executed_units: (\d+)")
_LIVE_EVERY = 10.0
_GRACE = 60.0


@final
@attrs.define(kw_only=True)
class Row:
    """What one target has done."""

    target: str
    engine: str
    executions: int = 0
    coverage: int = 0
    seconds: float = 0.0
    edges: int = 0
    corpus: int = 0
    findings: list[Path] = attrs.field(factory=list)
    faults: list[str] = attrs.field(factory=list)


def engine() -> str:
    """Return which engine runs here."""
    return "atheris" if importlib.util.find_spec("atheris") else "random"


def run(names: Sequence[str], *, seconds: float, keep: bool) -> int:
    """Run targets for ``seconds`` in all, divided evenly among them; return how many have findings or faults.

    With ``keep``, inputs that reach something new are added to the corpus, which is then reduced to a cover.
    """
    chosen = engine()
    if chosen == "random":
        print("atheris is not installed here: inputs are changed at random, coverage is looked at now and then")
    each = seconds / len(names)
    rows = []
    for number, name in enumerate(names, 1):
        row = _run_one(name, chosen, each, keep=keep, title=f"[{number}/{len(names)}] {name}")
        rows.append(row)
    print()
    print(table(rows))
    for row in rows:
        for page in row.findings:
            print(f"\n--- {page}\n{page.read_text(encoding='utf-8')}")
        for fault in row.faults:
            print(f"\n--- {row.target}: the engine failed\n{fault}")
    return sum(bool(row.findings or row.faults) for row in rows)


def table(rows: Sequence[Row]) -> str:
    """Write the rows as a Markdown table, with a sum below."""
    head = (
        "target",
        "engine",
        "executions",
        "per second",
        "coverage",
        "core edges",
        "corpus",
        "findings",
    )
    lines = [
        (
            row.target,
            row.engine,
            f"{row.executions:,}",
            f"{row.executions / row.seconds:,.0f}" if row.seconds else "-",
            f"{row.coverage:,}",
            f"{row.edges:,}",
            f"{row.corpus:,}",
            f"{len(row.findings) + len(row.faults)}",
        )
        for row in rows
    ]
    executions, seconds = sum(row.executions for row in rows), sum(row.seconds for row in rows)
    findings = sum(len(row.findings) + len(row.faults) for row in rows)
    lines.append(
        (
            "all",
            "",
            f"{executions:,}",
            f"{executions / seconds:,.0f}" if seconds else "-",
            "",
            "",
            f"{sum(row.corpus for row in rows):,}",
            f"{findings}",
        )
    )
    rule = ("---", "---", *["---:"] * 6)
    return "\n".join("| " + " | ".join(line) + " |" for line in (head, rule, *lines))


def _run_one(name: str, chosen: str, seconds: float, *, keep: bool, title: str) -> Row:
    row = Row(target=name, engine=chosen)
    corpus = CORPUS / name
    corpus.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="fuzz-") as folder_name:
        folder = Path(folder_name)
        began = time.monotonic()
        status, log = _watch(row, [name, str(seconds), chosen, str(corpus), str(folder)], seconds, title)
        row.seconds = time.monotonic() - began
        found = folder / "finding"
        if found.exists():
            row.findings.append(save(name, TARGETS[name], found.read_bytes()))
        elif status:
            row.faults.append(f"exit code {status}\n{log}")
        inputs = [path.read_bytes() for path in corpus.iterdir()]
        new = [path.read_bytes() for path in (folder / "corpus").iterdir()] if (folder / "corpus").is_dir() else []
        cover = smallest_cover(TARGETS[name], inputs + new)
        row.edges, row.corpus = len({edge for data in cover for edge in edges_of(TARGETS[name], data)}), len(cover)
        if keep and not row.findings:
            _keep(corpus, cover)
    print(f"{title}: {row.executions:,} executions, {row.edges:,} edges, corpus {row.corpus}", flush=True)
    return row


def _watch(row: Row, arguments: list[str], seconds: float, title: str) -> tuple[int, str]:
    """Run a worker and read its numbers as they come; return its exit code and the end of what it printed."""
    process = subprocess.Popen(  # noqa: S603 - our own module
        [sys.executable, "-m", "fuzz.worker", *arguments],
        cwd=CORPUS.parent.parent,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
    )
    guard = threading.Timer(seconds + _GRACE, process.kill)
    guard.start()
    last: list[str] = []
    shown = time.monotonic()
    with process:
        for line in process.stdout or ():
            last = [*last[-40:], line]
            _read_numbers(row, line)
            if time.monotonic() - shown >= _LIVE_EVERY:
                shown = time.monotonic()
                print(f"{title}: {row.executions:,} executions, coverage {row.coverage:,}", flush=True)
    guard.cancel()
    return process.returncode, "".join(last)


def _read_numbers(row: Row, line: str) -> None:
    if line.startswith("{"):
        numbers = json.loads(line)
        row.executions, row.coverage = numbers["executions"], numbers["coverage"]
    elif found := _STATUS.search(line):
        row.executions, row.coverage = int(found["executions"]), int(found["coverage"])
    elif found := _TOTAL.search(line):
        row.executions = int(found[1])


def _keep(corpus: Path, cover: list[bytes]) -> None:
    """Add what is new in a cover. Seeds and named crashes stay, whatever they cover."""
    for path in corpus.glob("found-*"):
        path.unlink()
    known = {path.read_bytes() for path in corpus.iterdir()}
    for number, data in enumerate(data for data in cover if data not in known):
        (corpus / f"found-{number:03}").write_bytes(data)


def replay(names: Sequence[str]) -> Iterator[tuple[str, Path]]:
    """Run every corpus file through its target, yielding target and file just before."""
    for name in names:
        for path in sorted((CORPUS / name).iterdir()):
            yield name, path
            TARGETS[name](path.read_bytes())
