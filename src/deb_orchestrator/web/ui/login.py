"""Logging in by a one-time link, and out."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Form, Request
from fastapi.responses import RedirectResponse, Response

from deb_orchestrator.services import people
from deb_orchestrator.services.hub import LoginNeeded
from deb_orchestrator.web.api.context import COOKIE
from deb_orchestrator.web.ui.frame import HubDep, Page, Visitor, check_form, login_page
from deb_orchestrator.web.ui.render import page

router = APIRouter(route_class=Page)


@router.get("/login/{secret}")
def login_form(request: Request, secret: str) -> Response:
    return page(request, "login", None, secret=secret)


@router.post("/login/{secret}")
def login(request: Request, hub: HubDep, secret: str) -> Response:
    try:
        session = people.use_login_link(hub, secret)
    except LoginNeeded as error:
        return login_page(request, str(error))
    answer = RedirectResponse("/", status_code=303)
    set_session(request, answer, session)
    return answer


def set_session(request: Request, answer: Response, session: str) -> None:
    """The cookie: no script reads it, no other site sends it, and over TLS it never leaves TLS."""
    secure = bool(request.app.state.secure)
    answer.set_cookie(COOKIE, session, max_age=people.SESSION_S, httponly=True, samesite="strict", secure=secure)


@router.post("/logout")
def logout(request: Request, hub: HubDep, who: Visitor, csrf: Annotated[str, Form()]) -> Response:
    check_form(who, csrf)
    people.end_session(hub, who, request.cookies.get(COOKIE, ""))
    answer = RedirectResponse("/", status_code=303)
    answer.delete_cookie(COOKIE)
    return answer
