"""The figures over the number of calls, as pictures."""

import math
from pathlib import Path
from typing import final

import attrs
import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, FuncFormatter, LogLocator, NullFormatter, NullLocator

from benchmarks.speed.results import Results
from benchmarks.speed.tables import label

mpl.use("agg")
_LOOKS = {
    "asyncio": ("#0b5fa5", "o"),
    "anyio-trio": ("#5aa9e6", "v"),
    "trio": ("#2a9d4e", "s"),
    "telcoflow": ("#c1272d", "D"),
    "websockets": ("#8a8a8a", "^"),
    "picows": ("#4a4a4a", "P"),
}


@final
@attrs.frozen
class _Picture:
    """One figure over the number of calls."""

    file: str
    title: str
    figure: str
    factor: float = 1.0
    scale: str = "log"


_PICTURES = (
    _Picture("cpu-per-frame.png", "CPU per frame, µs", "cpu_us"),
    _Picture("added-latency.png", "p99 of the added latency, ms", "p99_ms"),
    _Picture("memory.png", "memory in RAM, MiB", "rss_kib", 1 / 1024, "linear"),
)


def draw_all(results: Results, folder: Path) -> list[tuple[str, str]]:
    """Draw what there are figures for; return the files and what each shows."""
    if len(results.points("echo")) < 2:
        return []
    for picture in _PICTURES:
        _draw(results, picture).savefig(folder / picture.file)
    return [(picture.file, f"{picture.title}, over the number of calls") for picture in _PICTURES]


def _draw(results: Results, picture: _Picture) -> Figure:
    drawing = Figure(figsize=(8, 4.8), dpi=110, layout="constrained")
    axes = drawing.subplots()
    counts = [int(point) for point in results.points("echo")]
    for client in results.clients("echo"):
        _line(axes, results, picture, client)
    logarithmic = picture.scale == "log"
    axes.set_xscale(picture.scale)
    axes.set_yscale(picture.scale)
    if logarithmic:
        axes.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        axes.yaxis.set_minor_formatter(NullFormatter())
    axes.xaxis.set_major_locator(FixedLocator([count for count in counts if logarithmic or count >= 100]))
    axes.xaxis.set_minor_locator(NullLocator())
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_formatter(FuncFormatter(lambda value, _position: f"{value:,.10g}"))
    axes.set_xlabel("calls at once, 20 ms frames both ways" + (" (both axes logarithmic)" if logarithmic else ""))
    axes.set_ylabel(picture.title)
    axes.grid(which="major", color="#dddddd", linewidth=0.8)
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(title="hollow: saturated", loc="center left", bbox_to_anchor=(1.01, 0.5), frameon=False, fontsize=9)
    return drawing


def _line(axes: Axes, results: Results, picture: _Picture, client: str) -> None:
    color, marker = _LOOKS.get(client, ("#000000", "x"))
    values = [
        (point, results.figure("echo", point, client, picture.figure) * picture.factor)
        for point in results.points("echo")
    ]
    known = [(point, value) for point, value in values if math.isfinite(value)]
    counts = [int(point) for point, _ in known]
    heights = [value for _, value in known]
    axes.plot(counts, heights, color=color, marker=marker, markersize=6, linewidth=1.6, label=label(client))
    for point, value in known:
        if results.saturated("echo", point, client):
            axes.plot([int(point)], [value], color=color, marker=marker, markersize=6, markerfacecolor="white")
