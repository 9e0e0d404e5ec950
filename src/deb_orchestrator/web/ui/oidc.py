"""Logging in by an OpenID provider: out to it, and back."""

from __future__ import annotations

from typing import Annotated, cast

from fastapi import APIRouter, Query, Request
from fastapi.responses import RedirectResponse, Response

from deb_orchestrator.domain.identity import find_way_back
from deb_orchestrator.services import people
from deb_orchestrator.services.hub import LoginNeeded, NotFound
from deb_orchestrator.services.oidc import CALLBACK, FLOW_S, Flow, Provider
from deb_orchestrator.web.ui.frame import HubDep, Page, Text, login_page
from deb_orchestrator.web.ui.login import set_session
from deb_orchestrator.web.ui.render import HEADERS, page

router = APIRouter(route_class=Page)

FLOW_COOKIE = "debootc_oidc"
Long = Annotated[str, Query(max_length=4096)]


def find_provider(request: Request) -> Provider:
    """Errors: NotFound if the hub has none."""
    found = request.app.state.oidc
    if found is None:
        raise NotFound("this hub has no OpenID provider", hint="deb-orchestrator hub --help, --oidc-issuer")
    return cast(Provider, found)


@router.get("/oidc/login")
def begin(request: Request, next: Annotated[str, Query(max_length=2000)] = "/") -> Response:
    place, flow = find_provider(request).begin(find_way_back(next))
    answer = RedirectResponse(place, status_code=303, headers=HEADERS)
    # Lax and not strict: it must come along when the provider sends the browser back.
    answer.set_cookie(
        FLOW_COOKIE, flow.pack(), max_age=FLOW_S, httponly=True, samesite="lax", secure=bool(request.app.state.secure),
        path="/oidc",
    )  # fmt: skip
    return answer


@router.get(CALLBACK)
def end(
    request: Request, hub: HubDep, state: Long = "", code: Long = "", error: Text = "", iss: Long | None = None
) -> Response:  # fmt: skip
    """A page that goes on by itself, and no redirect: a browser sends no strict cookie where another site began."""
    provider = find_provider(request)
    flow = Flow.unpack(request.cookies.get(FLOW_COOKIE, ""))
    try:
        if error:
            raise LoginNeeded(f"{provider.settings.shown} let nobody in.")
        person = provider.end(flow, state=state, code=code, issuer=iss)
    except LoginNeeded as refusal:
        answer: Response = login_page(request, str(refusal))
        answer.delete_cookie(FLOW_COOKIE, path="/oidc")
        return answer
    session = people.start_session(
        hub, person.name, person.scope, {"issuer": provider.settings.issuer, "subject": person.subject}
    )  # fmt: skip
    answer = page(request, "welcome", None, next=find_way_back(flow.next if flow else "/"), name=person.name)
    set_session(request, answer, session)
    answer.delete_cookie(FLOW_COOKIE, path="/oidc")
    return answer
