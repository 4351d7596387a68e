"""Which steps from line to line of the core a target takes: the same measure under every engine."""

import sys
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import Any

import telcoflow_proto

_CORE = str(Path(telcoflow_proto.__file__).parent)

Edge = tuple[str, int, int]


def edges_of(target: Callable[[bytes], None], data: bytes) -> set[Edge]:
    """Run a target on one input and return the edges it took in the core, finding or not."""
    seen: set[Edge] = set()
    last: dict[FrameType, int] = {}

    def trace_lines(frame: FrameType, event: str, _argument: Any) -> Any:  # noqa: ANN401 - the interpreter's signature
        if event == "line":
            seen.add((frame.f_code.co_filename, last.get(frame, 0), frame.f_lineno))
            last[frame] = frame.f_lineno
        elif event == "return":
            last.pop(frame, None)
        return trace_lines

    def trace_calls(frame: FrameType, _event: str, _argument: Any) -> Any:  # noqa: ANN401 - as above
        return trace_lines if frame.f_code.co_filename.startswith(_CORE) else None

    before = sys.gettrace()
    sys.settrace(trace_calls)
    try:
        target(data)
    except Exception:  # noqa: BLE001, S110 - a finding is somebody else's business here
        pass
    finally:
        sys.settrace(before)
    return seen


def smallest_cover(target: Callable[[bytes], None], inputs: list[bytes]) -> list[bytes]:
    """Choose inputs, short ones first, that together take every edge all of them take."""
    chosen: list[bytes] = []
    covered: set[Edge] = set()
    for data in sorted(set(inputs), key=lambda one: (len(one), one)):
        new = edges_of(target, data) - covered
        if new:
            covered |= new
            chosen.append(data)
    return chosen
