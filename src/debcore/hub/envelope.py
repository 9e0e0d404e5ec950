"""Events of the hub as CloudEvents 1.0, as webhooks and the event API send them, and the schema of each type.

Source: CloudEvents specification 1.0.2 (required and optional attributes, JSON format), its sequence extension.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any, Literal

from pydantic import Field

from debcore.hub.model import PREFIX, Event
from debcore.job.model import Wire

#: Media types of one event and of several in an array.
MEDIA_TYPE = "application/cloudevents+json"
BATCH_TYPE = "application/cloudevents-batch+json"
#: Goes before the hub's own name of an event.
TYPE_PREFIX = "deb-orchestrator."

#: What `details` of each type of event is sure to have. Further fields may come; none of these ever goes.
DETAILS: dict[str, tuple[str, ...]] = {
    "agent.approved": ("agent",),
    "agent.disabled": ("agent", "by", "reason"),
    "agent.enabled": ("agent", "by"),
    "agent.pool": ("agent", "pool", "by"),
    "agent.quarantined": ("agent", "reason"),
    "agent.released": ("agent", "reason"),
    "agent.enrolled": ("agent", "state", "fingerprint"),
    "agent.revoked": ("agent",),
    "build.complete": ("status",),
    "build.requested": ("source", "version", "target", "suite", "dsc_sha256", "mode"),
    "build.reused": ("source", "version", "suite"),
    "build.unmet": ("source", "suite", "event", "unmet"),
    "checks.complete": (),
    "checks.requested": (),
    "environment.ready": ("lock_sha256",),
    "farm.maintenance": ("reason", "by"),
    "hub.restored": ("backup", "from", "suites"),
    "packages.failed": ("state", "failures"),
    "packages.needed": ("target", "suite", "arches", "packages"),
    "packages.ready": ("suite", "generation", "suite_event", "packages"),
    "pool.trust": ("pool", "trust", "by"),
    "suite.archive": ("suite", "uris"),
    "suite.changed": ("suite", "sources", "binaries"),
    "suite.inherits": ("suite", "parents"),
    "suite.key": ("suite", "fingerprint", "state"),
    "suite.made": ("suite",),
    "suite.published": ("suite", "generation", "event"),
    "suite.refused": ("suite", "generation", "reason"),
    "suite.removed": ("suite", "source"),
    "suite.reverted": ("suite", "to"),
    "suite.rule": ("suite", "source", "state"),
    "suite.set": ("suite", "settings"),
    "target.checks": ("name", "checks"),
    "target.made": ("name", "suite"),
    "target.requires": ("name", "requires"),
    "upload.accepted": ("upload", "uploader", "target", "name", "source", "version"),
    "upload.rejected": ("upload", "uploader", "target", "name", "reason"),
}


class Data(Wire):
    """What an event is about, as far as it is about that, and its details."""

    request: str | None = None
    build: int | None = None
    arch: str | None = None
    attempt: int | None = None
    job: int | None = None
    details: dict[str, Any] = Field(default_factory=dict)


class Envelope(Wire):
    """A CloudEvent. `id` is the event's number and `sequence` the same, of 20 digits: it sorts, and has no gaps."""

    specversion: Literal["1.0"] = "1.0"
    id: str
    source: str  #: the hub's URL
    type: str  #: TYPE_PREFIX and the hub's name of it
    time: datetime
    subject: str | None = None  #: such as `builds/12/amd64`, relative to the source's API
    datacontenttype: Literal["application/json"] = "application/json"
    dataschema: str
    sequence: str
    data: Data


def make_envelope(event: Event, source: str) -> Envelope:
    """*source*: the hub's URL."""
    return Envelope(
        id=str(event.n), source=source, type=TYPE_PREFIX + event.type, time=event.at, subject=_subject(event),
        dataschema=f"{source}{PREFIX}/schemas/events/{event.type}", sequence=f"{event.n:020d}",
        data=Data(
            request=event.request, build=event.build, arch=event.arch, attempt=event.attempt, job=event.job,
            details=event.data,
        ),
    )  # fmt: skip


def _subject(event: Event) -> str | None:
    if event.build is not None:
        return f"builds/{event.build}" + (f"/{event.arch}" if event.arch else "")
    if event.request is not None:
        return f"requests/{event.request}"
    suite = event.data.get("suite")
    return f"suites/{suite}" if isinstance(suite, str) else None


def make_schema(type_: str) -> dict[str, Any]:
    """The JSON Schema of envelopes of one type. Errors: KeyError if there is no such type."""
    schema = Envelope.model_json_schema()
    schema["title"] = TYPE_PREFIX + type_
    schema["properties"]["type"] = {"const": TYPE_PREFIX + type_}
    details = {"type": "object", "required": list(DETAILS[type_])}
    schema["$defs"]["Data"]["properties"]["details"] = details
    return schema
