"""What to keep of a finding: the smallest input that still shows it, and a page a person can read."""

import hashlib
import time
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import final

import attrs

FINDINGS = Path(__file__).parent / "findings"
_MINIMISE_SECONDS = 20.0


@final
@attrs.frozen
class Failure:
    """How a target failed: what was raised, and where, so that two inputs can be told to show the same."""

    kind: str
    where: str
    text: str


def failure_of(target: Callable[[bytes], None], data: bytes) -> Failure | None:
    """Run a target; None if all is well."""
    try:
        target(data)
    except Exception as error:  # noqa: BLE001 - whatever it is, it is a finding
        places = [
            f"{step.filename.rpartition('/')[2]}:{step.name}" for step in traceback.extract_tb(error.__traceback__)
        ]
        where = " < ".join(reversed([place for place in places if not place.startswith("oracles.py")][-2:]))
        return Failure(type(error).__name__, where, "".join(traceback.format_exception(error)))
    return None


def minimised(target: Callable[[bytes], None], data: bytes, *, seconds: float = _MINIMISE_SECONDS) -> bytes:
    """Cut and simplify an input as long as it fails in the same place."""
    first = failure_of(target, data)
    until = time.monotonic() + seconds

    def still_fails(candidate: bytes) -> bool:
        now = failure_of(target, candidate)
        return now is not None and first is not None and (now.kind, now.where) == (first.kind, first.where)

    size = max(1, len(data) // 2)
    while size and time.monotonic() < until:
        at, shrunk = 0, False
        while at < len(data) and time.monotonic() < until:
            candidate = data[:at] + data[at + size :]
            if still_fails(candidate):
                data, shrunk = candidate, True
            else:
                at += size
        size = size if shrunk and size == 1 else size // 2
    return data


def save(name: str, target: Callable[[bytes], None], data: bytes, folder: Path = FINDINGS) -> Path:
    """Minimise, and write the input and a page about it; return the page."""
    small = minimised(target, data)
    failure = failure_of(target, small)
    text = "it did not fail a second time: it depends on something but its input" if failure is None else failure.text
    folder.mkdir(parents=True, exist_ok=True)
    stem = f"{name}-{hashlib.blake2b(small, digest_size=4).hexdigest()}"
    (folder / f"{stem}.bin").write_bytes(small)
    page = folder / f"{stem}.txt"
    page.write_text(
        f"target: {name}\nagain:  python -m fuzz replay {name} {folder.name}/{stem}.bin\n"
        f"bytes:  {small!r}\nhex:    {small.hex(' ')}\n\n{text}",
        encoding="utf-8",
    )
    return page
