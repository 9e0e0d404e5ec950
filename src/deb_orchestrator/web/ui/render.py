"""Templates, the words in them, and the headers of every page."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from fastapi import Request
from fastapi.responses import HTMLResponse
from jinja2 import Environment, FileSystemLoader, StrictUndefined

from deb_orchestrator.services.hub import Principal
from debcore.hub.model import Event
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


def minded(findings: Sequence[CheckFinding]) -> list[CheckFinding]:
    """Those that the policy does not let pass in silence."""
    return [finding for finding in findings if finding.action in ("fatal", "warn")]


def make_environment() -> Environment:
    environment = Environment(
        loader=FileSystemLoader(HERE / "templates"), autoescape=True, undefined=StrictUndefined, trim_blocks=True
    )
    environment.filters |= {"age": age, "size": size, "what": what, "minded": minded}
    return environment


TEMPLATES = make_environment()


def page(request: Request, name: str, who: Principal | None, *, status: int = 200, **values: Any) -> HTMLResponse:
    """The template *name* with *values*, and the headers that keep it safe."""
    text = TEMPLATES.get_template(f"{name}.html").render(here=request.url.path, who=who, **values)
    return HTMLResponse(text, status_code=status, headers=HEADERS)
