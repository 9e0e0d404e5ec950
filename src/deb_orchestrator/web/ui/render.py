"""Templates, the words in them, and the headers of every page."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode

from fastapi import Request
from fastapi.responses import HTMLResponse
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup, escape

from deb_orchestrator.services.hub import Principal
from debcore.hub.model import Event
from debcore.hub.suites import Moved
from debcore.job import CheckFinding

HERE = Path(__file__).parent
#: Own files only, no inline script or style, no frames. Source: CSP level 3.
POLICY = (
    "default-src 'none'; style-src 'self'; script-src 'self'; connect-src 'self'; img-src 'self'; "
    "form-action 'self'; frame-ancestors 'none'; base-uri 'none'"
)
HEADERS = {
    "Content-Security-Policy": POLICY,
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "Cache-Control": "no-store",
}


def age(at: datetime | None) -> str:
    """`12 s`, `5 min`, `3 h`, `2 d`; "" for never."""
    if at is None:
        return ""
    seconds = max(0, int((datetime.now(UTC) - at).total_seconds()))
    for size, unit in ((86400, "d"), (3600, "h"), (60, "min")):
        if seconds >= size:
            return f"{seconds // size} {unit}"
    return f"{seconds} s"


def ago(at: datetime | None, none: str = "never") -> Markup:
    """`12 min` as a time element that says when exactly."""
    return _time(at, age(at)) if at is not None else escape(none)


def when(at: datetime | None, none: str = "") -> Markup:
    """`2026-11-27 13:04` (UTC) as a time element."""
    return _time(at, f"{at.astimezone(UTC):%Y-%m-%d %H:%M}") if at is not None else escape(none)


def _time(at: datetime, shown: str) -> Markup:
    utc = at.astimezone(UTC)
    machine, exact = f"{utc:%Y-%m-%dT%H:%M:%SZ}", f"{utc:%Y-%m-%d %H:%M:%S} UTC"
    return Markup('<time datetime="{}" title="{}">{}</time>').format(machine, exact, shown)


def took(start: datetime | None, end: datetime | None) -> str:
    """From start to end, or now: `8 s`, `12 min 4 s`, `3 h 2 min`; "" if it has not started."""
    if start is None:
        return ""
    seconds = max(0, int(((end or datetime.now(UTC)) - start).total_seconds()))
    if seconds < 60:
        return f"{seconds} s"
    minutes, seconds = divmod(seconds, 60)
    return f"{minutes} min {seconds} s" if minutes < 60 else f"{minutes // 60} h {minutes % 60} min"


def size(count: int) -> str:
    """Bytes for people: `512 B`, `1.4 MiB`."""
    value = float(count)
    for unit in ("B", "KiB", "MiB"):
        if value < 1024:
            return f"{value:.0f} {unit}" if unit == "B" else f"{value:.1f} {unit}"
        value /= 1024
    return f"{value:.1f} GiB"


def what(event: Event) -> str:
    """The few words of an event's data that tell most."""
    data = event.data
    if "packages" in data and isinstance(data["packages"], list):
        return ", ".join(f"{p.get('source')} {p.get('version')}" for p in data["packages"][:5] if isinstance(p, dict))
    keys = ("source", "version", "suite", "generation", "status", "reason", "name", "target")
    return " ".join(str(data[key]) for key in keys if data.get(key) is not None)[:200]


@dataclass(frozen=True)
class Line:
    """A package that moved in the same way on several architectures."""

    name: str
    old: str
    new: str
    arches: tuple[str, ...]


def grouped(moves: Sequence[Moved]) -> list[Line]:
    """One line for what moved alike, in the order of the first of each."""
    found: dict[tuple[str, str, str], list[str]] = {}
    for one in moves:
        found.setdefault((one.name, one.old, one.new), []).append(one.arch)
    return [Line(*key, tuple(arches)) for key, arches in found.items()]


def minded(findings: Sequence[CheckFinding]) -> list[CheckFinding]:
    """Those that the policy does not let pass in silence."""
    return [finding for finding in findings if finding.action in ("fatal", "warn")]


def path(text: object) -> str:
    """*text* as one segment of a URL's path."""
    return quote(str(text), safe="+")


def link(place: str, **values: object) -> str:
    """*place* with those of *values* that are not empty as its query."""
    query = urlencode({name: str(value) for name, value in values.items() if value not in (None, "", False)})
    return f"{place}?{query}" if query else place


def make_environment() -> Environment:
    environment = Environment(
        loader=FileSystemLoader(HERE / "templates"), autoescape=True, undefined=StrictUndefined, trim_blocks=True
    )
    environment.filters |= {
        "ago": ago,
        "when": when,
        "size": size,
        "what": what,
        "minded": minded,
        "grouped": grouped,
        "path": path,
    }
    environment.globals |= {"took": took, "link": link}
    return environment


TEMPLATES = make_environment()


def page(request: Request, template: str, who: Principal | None, *, status: int = 200, **values: Any) -> HTMLResponse:
    """The *template* with *values*, and the headers that keep it safe."""
    text = TEMPLATES.get_template(f"{template}.html").render(here=request.url.path, who=who, **values)
    return HTMLResponse(text, status_code=status, headers=HEADERS)
