"""One page on speed: the machine, the verdicts, the figures, and pictures of them."""

from collections.abc import Mapping
from pathlib import Path

from benchmarks.speed.plots import draw_all
from benchmarks.speed.results import Results
from benchmarks.speed.tables import all_tables
from benchmarks.speed.targets import target_table

_PAGE = """\
# Speed, beside the vendor's clients

Written by `make bench`, do not edit: `{command}`

What was slow, what was changed and what that gained is told in [changes.md](changes.md).

{machine}

Every client runs in a process of its own, against a load gateway that is another one: a WebSocket server in C. What a
client costs is CPU time as the operating system counts it, over a window after a warm-up; set-up is not in it where it
is not what is measured. Clients take turns, {rounds} × each; figures are medians. Absolute figures are this machine's
own: compare ratios. A frame is 960 bytes of PCM, 20 ms, heard and said back; each is stamped, and every sample is
checked to come back once and in order. Credit is asked for by the second. Added latency is from when the gateway says a
frame to when it has it back, its own delays included. "Bare" clients do without the checks, limits and API of a client:
they are points of reference. The vendor's Telcoflow client goes deaf after some 50 calls as it is shipped
([T00](../peer-bugs.md)); here its event bus is told to forget old events, as its own message advises.

## Targets

A multiple (×) is of `telcoflow` 1.0.0, of `signalwire-sdk` for RELAY, of wsproto for the core alone. Calls held: where
the p99 crosses 20 ms, between the numbers of calls that were measured. Memory per call: the slope up to 200 calls.
† In most rounds something else than the clients may have been the limit.

{targets}

## Figures

{tables}
{plots}"""


def describe(where: Mapping[str, object]) -> str:
    """Say what was measured on."""
    return (
        f"{where['date']} · {where['cpu']}, {where['cores']} cores · {where['system']} · {where['python']} · "
        f"load average at the start {where['load']} · {where['packages']}"
    )


def write(results: Results, where: Mapping[str, object], *, command: str, rounds: int, folder: Path) -> None:
    """Write the page and its pictures."""
    folder.mkdir(parents=True, exist_ok=True)
    drawn = draw_all(results, folder)
    page = _PAGE.format(
        command=command,
        machine=describe(where),
        rounds=rounds,
        targets=target_table(results),
        tables=all_tables(results),
        plots="".join(f"\n![{shown}]({file})\n" for file, shown in drawn),
    )
    (folder / "README.md").write_text(page, encoding="utf-8")
