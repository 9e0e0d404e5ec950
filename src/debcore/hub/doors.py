"""Wire models of the ways into a hub and out of it: who uploads with dput, and what became of what they sent."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import Annotated, Any, Literal

from pydantic import Field, StringConstraints

from debcore.hub.model import Name
from debcore.job.model import Wire

Distribution = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9.+_/-]{0,63}$")]


class UploaderAsk(Wire):
    """Who may upload. `certificate`: an armoured OpenPGP key, or several. `targets` (): all.

    A name that is known gets this key and a new secret instead of the old ones.
    """

    name: Name
    certificate: Annotated[str, StringConstraints(min_length=1, max_length=1024 * 1024)]
    targets: tuple[Name, ...] = Field(default=(), max_length=100)
    days: int = Field(default=365, ge=1, le=3650)


class Uploader(Wire):
    """`secret` is shown once, in the answer that makes it: it is a part of the path that dput uploads to."""

    name: str
    fingerprint: str
    targets: tuple[str, ...] = ()
    expires_at: datetime
    revoked: bool = False
    secret: str | None = None


class UploadState(StrEnum):
    ACCEPTED = "accepted"
    REJECTED = "rejected"


class Upload(Wire):
    """A .changes that came. An accepted one is request `request`; a rejected one changed nothing."""

    id: int
    uploader: str
    target: str
    name: str
    state: UploadState
    source: str | None = None
    version: str | None = None
    reason: str = ""
    request: str | None = None
    at: datetime


class Distributions(Wire):
    """What the field Distribution of an upload may say, beside the names of the target and of its suite."""

    names: tuple[Distribution, ...] = Field(default=(), max_length=32)


class WebhookAsk(Wire):
    """Tell *url* of events. `types` (): of all; `build.` stands for all that begin so."""

    name: Name
    url: Annotated[str, StringConstraints(pattern=r"^https?://[^\s]+$", max_length=2000)]
    types: tuple[Annotated[str, StringConstraints(pattern=r"^[a-z][a-z.-]{0,63}$")], ...] = Field(
        default=(), max_length=64
    )
    after: int | None = Field(default=None, ge=0, lt=2**63)  #: events above this number; null: those to come


class Webhook(Wire):
    """`secret` signs what is sent, and is shown once. `pending` and `dead` count deliveries."""

    name: str
    url: str
    types: tuple[str, ...] = ()
    pending: int = 0
    dead: int = 0
    secret: str | None = None


class DeliveryState(StrEnum):
    PENDING = "pending"
    DELIVERED = "delivered"
    DEAD = "dead"  # given up; `replay` sends it again


class Delivery(Wire):
    """One event for one webhook. `status` and `error` are of the last try."""

    id: int
    webhook: str
    event: int
    state: DeliveryState
    tries: int
    status: int | None = None
    error: str = ""
    next_at: datetime


class ReplayAsk(Wire):
    """Send again: one delivery, or all that are dead."""

    delivery: int | None = Field(default=None, ge=0, lt=2**63)


class SuiteRole(Wire):
    """What somebody who is no admin may do with a suite: `manager` changes it; `reader` reads it, be it private."""

    principal: str
    role: Literal["manager", "reader"]


class RoleAsk(Wire):
    role: Literal["manager", "reader"]


class AptCredentialAsk(Wire):
    """By which one host, or one group of them, reads a private suite."""

    name: Name
    days: int = Field(default=365, ge=1, le=3650)


class AptCredential(Wire):
    """`secret`, the password, is shown once. The user name is `name`."""

    suite: str
    name: str
    expires_at: datetime
    secret: str | None = None


class AuditEntry(Wire):
    """Who did what; the log is only ever appended to."""

    id: int
    at: datetime
    principal: str
    action: str
    subject: str
    data: dict[str, Any] = Field(default_factory=dict)


class TriggerAsk(Wire):
    """Build *branch* of a git repository for *target* when it moves. `poll_s` null: only when its host calls."""

    name: Name
    url: Annotated[str, StringConstraints(pattern=r"^(https?|ssh|git|file)://[^\s#]+$", max_length=2000)]
    branch: Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9._/+-]{0,199}$")] = "debian/latest"
    target: Name
    poll_s: int | None = Field(default=None, ge=60, le=86400 * 7)


class Trigger(Wire):
    """`hook` is the path that the repository's host calls, shown once. `request`: what the last commit became."""

    name: str
    url: str
    branch: str
    target: str
    poll_s: int | None = None
    head: str = ""
    request: str | None = None
    error: str = ""
    looked_at: datetime | None = None
    hook: str | None = None


class Looked(Wire):
    """What a runner found: the branch's commit, the request it became if it is new, or what went wrong."""

    head: Annotated[str, StringConstraints(pattern=r"^([0-9a-f]{40,64})?$")] = ""
    request: Annotated[str, StringConstraints(max_length=64)] | None = None
    error: Annotated[str, StringConstraints(max_length=2000)] = ""
