"""Who may upload with dput, what became of uploads, and who is told of events."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Path, Query, Request, Response

from deb_orchestrator.services import audits, dput, roles, sight, uploaders, webhooks
from deb_orchestrator.services.hub import NotFound
from deb_orchestrator.web.api.context import Admin, Client, HubDep, SuiteManager, TargetReader, base_url
from debcore.hub import doors, envelope, model

router = APIRouter()

Limit = Annotated[int, Query(ge=1, le=1000)]
Principal = Annotated[str, Path(min_length=1, max_length=64)]
Id = Annotated[int, Query(ge=0, lt=2**63)]


@router.post("/uploaders", status_code=201)
def add_uploader(hub: HubDep, who: Admin, ask: doors.UploaderAsk) -> doors.Uploader:
    """Let somebody upload with dput; who is known gets a new secret."""
    return uploaders.add_uploader(hub, who, ask)


@router.get("/uploaders")
def list_uploaders(hub: HubDep, _who: Admin) -> list[doors.Uploader]:
    return uploaders.list_uploaders(hub)


@router.delete("/uploaders/{name}", status_code=204)
def revoke_uploader(hub: HubDep, who: Admin, name: str) -> Response:
    uploaders.revoke_uploader(hub, who, name)
    return Response(status_code=204)


@router.get("/uploads")
def list_uploads(
    hub: HubDep, who: Client, name: str | None = None, target: str | None = None, before: Id | None = None,
    limit: Limit = 50,
) -> list[doors.Upload]:  # fmt: skip
    """Newest first; *name* is a .changes file's, *before* an upload's id."""
    seen = sight.find_sight(hub, who)
    return dput.list_uploads(hub, name=name, target=target, before=before, limit=limit, sight=seen)


@router.get("/uploads/{id_}")
def get_upload(hub: HubDep, who: Client, id_: int) -> doors.Upload:
    return dput.get_upload(hub, id_, sight=sight.find_sight(hub, who))


@router.get("/targets/{name}/distributions")
def get_distributions(hub: HubDep, _who: TargetReader, name: model.Name) -> doors.Distributions:
    """What uploads for the target may name, beside its own name and its suite's."""
    return uploaders.get_distributions(hub, name)


@router.put("/targets/{name}/distributions")
def set_distributions(hub: HubDep, who: Admin, name: model.Name, wanted: doors.Distributions) -> doors.Distributions:
    return uploaders.set_distributions(hub, who, name, wanted)


@router.post("/webhooks", status_code=201)
def add_webhook(hub: HubDep, who: Admin, ask: doors.WebhookAsk, request: Request) -> doors.Webhook:
    """Tell a URL of events; `secret` signs what it is sent."""
    return webhooks.add_webhook(hub, who, ask, source=base_url(request))


@router.get("/webhooks")
def list_webhooks(hub: HubDep, _who: Admin) -> list[doors.Webhook]:
    return webhooks.list_webhooks(hub)


@router.delete("/webhooks/{name}", status_code=204)
def remove_webhook(hub: HubDep, who: Admin, name: model.Name) -> Response:
    webhooks.remove_webhook(hub, who, name)
    return Response(status_code=204)


@router.get("/webhooks/{name}/deliveries")
def list_deliveries(
    hub: HubDep, _who: Admin, name: model.Name, state: doors.DeliveryState | None = None, before: Id | None = None,
    limit: Limit = 50,
) -> list[doors.Delivery]:  # fmt: skip
    """Newest first; *before* is a delivery's id."""
    return webhooks.list_deliveries(hub, name, state=state, before=before, limit=limit)


@router.post("/webhooks/{name}/replay")
def replay(hub: HubDep, who: Admin, name: model.Name, ask: doors.ReplayAsk) -> dict[str, int]:
    """Send again one delivery, or all that were given up; `deliveries` says how many."""
    return {"deliveries": webhooks.replay(hub, who, name, ask)}


@router.get("/schemas/events")
def list_event_types() -> list[str]:
    """The types of events; each has a schema. Needs no token."""
    return sorted(envelope.DETAILS)


@router.get("/schemas/events/{type_}")
def get_event_schema(type_: str) -> dict[str, Any]:
    """The JSON Schema of an event of this type as a CloudEvent. Needs no token."""
    if type_ not in envelope.DETAILS:
        raise NotFound(f"there is no event {type_[:64]}", hint=f"list them: {model.PREFIX}/schemas/events")
    return envelope.make_schema(type_)


@router.get("/suites/{name}/roles")
def list_roles(hub: HubDep, _who: SuiteManager, name: str) -> list[doors.SuiteRole]:
    """Who may do what with the suite, beside the admins."""
    return roles.list_roles(hub, name)


@router.put("/suites/{name}/roles/{principal}")
def set_role(hub: HubDep, who: Admin, name: str, principal: Principal, ask: doors.RoleAsk) -> list[doors.SuiteRole]:
    """*principal* is the name of one token or several."""
    return roles.set_role(hub, who, name, principal, ask.role)


@router.delete("/suites/{name}/roles/{principal}")
def remove_role(hub: HubDep, who: Admin, name: str, principal: Principal) -> list[doors.SuiteRole]:
    return roles.set_role(hub, who, name, principal, None)


@router.post("/suites/{name}/credentials", status_code=201)
def add_credential(hub: HubDep, who: SuiteManager, name: str, ask: doors.AptCredentialAsk) -> doors.AptCredential:
    """A user name and password by which apt reads the suite; the same name again gets a new password."""
    return roles.add_credential(hub, who, name, ask)


@router.get("/suites/{name}/credentials")
def list_credentials(hub: HubDep, _who: SuiteManager, name: str) -> list[doors.AptCredential]:
    return roles.list_credentials(hub, name)


@router.delete("/suites/{name}/credentials/{credential}", status_code=204)
def remove_credential(hub: HubDep, who: SuiteManager, name: str, credential: model.Name) -> Response:
    roles.remove_credential(hub, who, name, credential)
    return Response(status_code=204)


@router.get("/audit")
def list_audit(
    hub: HubDep, _who: Admin, principal: str | None = None, action: str | None = None, subject: str | None = None,
    before: Id | None = None, limit: Limit = 100,
) -> list[doors.AuditEntry]:  # fmt: skip
    """Who did what, newest first. *action* `suite.` stands for all that begin so; *before* is an entry's id."""
    return audits.list_audit(hub, principal=principal, action=action, subject=subject, before=before, limit=limit)
