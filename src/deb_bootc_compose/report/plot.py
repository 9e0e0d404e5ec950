"""Plots: a row of HTML text for each bar, the bar itself SVG in percent of what room there is. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from deb_bootc_compose.report.html import Child, Html, element, join, text

#: Distances between two ticks, in seconds.
STEPS = (1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 14400, 43200, 86400)
TICKS = 6  #: at most


@dataclass(frozen=True)
class Bar:
    """One bar. `style`: a class of style.css. `was`: an older value, drawn below it."""

    label: str
    size: int
    style: str = "bar"
    was: int | None = None
    note: str = ""  #: beside the figure's place when there is something to say


def top(sizes: Iterable[tuple[str, int]], most: int) -> Iterator[Bar]:
    """The *most* largest, and what the others have together."""
    ordered = sorted(sizes, key=lambda item: (-item[1], item[0]))
    yield from (Bar(name, size) for name, size in ordered[:most])
    if rest := ordered[most:]:
        yield Bar(f"{len(rest)} others", sum(size for _, size in rest), "rest")


def bars(rows: Sequence[Bar], *, label: str) -> Html:
    """Horizontal bars on one scale, each with its name and size. *label*: what is shown, for who cannot see it."""
    largest = max([1, *(max(row.size, row.was or 0) for row in rows)])
    made = [
        _row(
            text(row.label),
            _svg(_bar_parts(row, largest), f"{row.label}: {size_text(row.size)}"),
            row.note or size_text(row.size),
            title=row.label,
        )
        for row in rows
    ]
    return element("div", made, class_="plot", role="list", aria_label=label)


def _bar_parts(row: Bar, largest: int) -> Html:
    if row.was is None:
        return _rect(0, row.size / largest, row.style)
    return join(
        _rect(0, row.was / largest, "was", y="60%", height="40%"), _rect(0, row.size / largest, row.style, height="55%")
    )


@dataclass(frozen=True)
class Span:
    """One task's time: seconds from the beginning of what is shown. `state`: done, failed, stopped."""

    name: str
    start: float
    end: float
    state: str = "done"


def spans(rows: Sequence[Span], *, total: float, breaks: Sequence[float], label: str) -> Html:
    """A Gantt: tasks in the order in which they first began. *breaks*: where the compose was stopped and resumed."""
    total = max(total, 0.001)
    ticks = list(find_ticks(total))
    lines = [_line(at / total) for at, _ in ticks]
    by_name: dict[str, list[Span]] = {}
    for row in rows:
        by_name.setdefault(row.name, []).append(row)
    made = []
    for name, own in by_name.items():
        rects = [_rect(s.start / total, (s.end - s.start) / total, STYLES[s.state], least=0.3) for s in own]
        took = sum(s.end - s.start for s in own)
        made.append(_row(text(name), _svg(join(lines, rects), f"{name}: {duration(took)}"), duration(took), title=name))
    words = [
        element("text", word, x=_percent(at / total), y="80%", text_anchor="start" if at == 0 else "middle")
        for at, word in ticks
    ]
    axis = element("div", element("span"), element("svg", words, class_="axis"), element("span"), class_="row ticks",
                   aria_hidden="true")  # fmt: skip
    used = {STYLES[row.state]: WORDS[row.state] for row in rows}
    key = (
        element("div", [_key(style, word) for style, word in used.items()], class_="legend") if len(used) > 1 else None
    )
    marks = element("p", _resumed(breaks), class_="note") if breaks else None
    return join(marks, key, element("div", made, axis, class_="plot", role="list", aria_label=label))


STYLES = {"done": "bar", "failed": "failed", "stopped": "stopped"}
WORDS = {"done": "done", "failed": "failed", "stopped": "stopped before its end"}


def _resumed(breaks: Sequence[float]) -> str:
    times = "once" if len(breaks) == 1 else f"{len(breaks)} times"
    return f"Stopped and resumed {times}; the pauses are left out."


def _key(style: str, word: str) -> Html:
    return element("span", element("svg", _rect(0, 1, style), aria_hidden="true"), word)


def find_ticks(total: float) -> Iterator[tuple[float, str]]:
    """(second, words) of at most TICKS marks below *total*, at round distances."""
    step = next((step for step in STEPS if total / step <= TICKS), 86400 * (int(total / 86400 / TICKS) + 1))
    at = 0
    while at <= total * 0.97:
        yield at, duration(at)
        at += step


def duration(seconds: float) -> str:
    if seconds < 10:
        return f"{seconds:.1f} s" if seconds % 1 else f"{seconds:.0f} s"
    if seconds < 90:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    if seconds < 5400:
        return f"{int(seconds) // 60}:{int(seconds) % 60:02} min"
    return f"{minutes // 60}:{minutes % 60:02} h"


def size_text(size: int) -> str:
    """Bytes in the unit that fits; powers of 1000, as elsewhere in the tool."""
    sign, amount, units = "−" if size < 0 else "", float(abs(size)), ["TB", "GB", "MB", "kB", "B"]
    while amount >= 999.5 and len(units) > 1:
        amount /= 1000
        units.pop()
    plain = units[-1] == "B" or amount >= 99.95
    return f"{sign}{amount:.0f} {units[-1]}" if plain else f"{sign}{amount:.1f} {units[-1]}"


def _row(label: Child, svg: Html, figure: Child, *, title: str) -> Html:
    return element(
        "div", element("span", label, title=title), svg, element("span", figure), class_="row", role="listitem"
    )


def _svg(parts: Html, label: str) -> Html:
    return element("svg", parts, role="img", aria_label=label)


def _percent(share: float) -> str:
    return f"{min(max(share, 0.0), 1.0) * 100:.2f}%"


def _rect(start: float, share: float, style: str, *, least: float = 0.0, y: str = "0", height: str = "100%") -> Html:
    """*least*: percent below which a bar would not be seen."""
    width = max(min(max(share, 0.0), 1.0) * 100, least)
    return element("rect", x=_percent(start), y=y, width=f"{width:.2f}%", height=height, class_=style)


def _line(share: float) -> Html:
    at = _percent(share)
    return element("line", x1=at, x2=at, y1="0", y2="100%", class_="tick")
