"""What every route needs: the hub, who calls, and how refusals become answers."""

from __future__ import annotations

import base64
import binascii
import logging
import re
from collections.abc import Callable
from typing import Annotated, Any, cast

from fastapi import Depends, FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from sqlalchemy.exc import DataError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from starlette.exceptions import HTTPException

from deb_orchestrator.domain import jobs
from deb_orchestrator.services import access, people, sight
from deb_orchestrator.services.hub import Conflict, Denied, Hub, LoginNeeded, NotFound, Principal
from deb_orchestrator.store.once import AlreadyDone
from deb_orchestrator.web.api.line import Line
from deb_orchestrator.web.api.parking import Parking
from debcore.errors import Failure, HostFailed
from debcore.hub.model import Scope

log = logging.getLogger(__name__)

COOKIE = "debootc_session"
#: In the ASGI scope: a hash of the secret by which a call was let in. Only what checks secrets sets it.
ACCEPTED = "deb_orchestrator.accepted"

#: The first class that fits decides.
_STATUSES: tuple[tuple[type[Failure], int], ...] = (
    (LoginNeeded, 401),
    (Denied, 403),
    (jobs.UnknownAgent, 403),
    (NotFound, 404),
    (jobs.UnknownJob, 404),
    (Conflict, 409),
    (AlreadyDone, 409),
    (jobs.JobError, 409),
    (HostFailed, 503),
    (Failure, 422),
)


def find_hub(request: Request) -> Hub:
    return cast(Hub, request.app.state.hub)


def find_parking(request: Request) -> Parking:
    return cast(Parking, request.app.state.parking)


def find_line(request: Request) -> Line:
    return cast(Line, request.app.state.line)


def mark_accepted(request: Request, secret: str) -> None:
    """Say that *secret* is a good one; the limits of calls tell those who are known by it."""
    request.scope[ACCEPTED] = people.hash_token(secret)


def find_caller(request: Request) -> Principal:
    """By bearer token; a browser's session only for calls that change nothing. Errors: LoginNeeded, Denied."""
    hub = find_hub(request)
    kind, _, secret = request.headers.get("authorization", "").partition(" ")
    if kind.lower() == "bearer" and (secret := secret.strip()):
        who = people.find_principal(hub, secret)
        mark_accepted(request, secret)
        return who
    cookie = request.cookies.get(COOKIE)
    if cookie and request.method in ("GET", "HEAD"):
        found = people.find_session(hub, cookie)
        if found is not None:
            mark_accepted(request, cookie)
            return found
    raise LoginNeeded("who are you?", hint="send a token: Authorization: Bearer …")


def find_password(request: Request) -> str:
    """Of HTTP's Basic authentication; "" if there is none."""
    kind, _, words = request.headers.get("authorization", "").partition(" ")
    if kind.lower() != "basic":
        return ""
    try:
        return base64.b64decode(words, validate=True).decode().partition(":")[2]
    except (binascii.Error, UnicodeDecodeError):
        return ""


def find_apt_caller(request: Request) -> access.Caller:
    """Who fetches from the archive: a token's owner, an apt with a password, or nobody that is known."""
    if password := find_password(request):
        return access.Caller(password=password)
    try:
        return access.Caller(who=find_caller(request))
    except (LoginNeeded, Denied):
        return access.Caller()


def need(*scopes: Scope) -> Callable[[Request], Principal]:
    """A dependency: the caller, who must have one of *scopes*."""

    def check(request: Request) -> Principal:
        who = find_caller(request)
        if not any(who.may(scope) for scope in scopes):
            raise Denied(
                f"{who.name} has scope {who.scope}, and this needs {' or '.join(scopes)}", hint="use another token"
            )
        return who

    return check


def _reader(request: Request) -> Principal:
    """A client that may read the suite NAME of the path. Errors: NotFound, as if it were not there."""
    who = need("client", "agent", "signer")(request)
    with find_hub(request).db.read() as db:
        access.check_read(db, who, request.path_params["name"])
    return who


def _target_reader(request: Request) -> Principal:
    """A client that sees the target NAME of the path. Errors: NotFound, as if it were not there; likewise below."""
    who = need("client")(request)
    sight.check_target(find_hub(request), who, request.path_params["name"])
    return who


def _request_reader(request: Request) -> Principal:
    who = need("client")(request)
    sight.check_request(find_hub(request), who, request.path_params["id_"])
    return who


def _build_reader(request: Request) -> Principal:
    who = need("client")(request)
    number = request.path_params["id_"]
    if not re.fullmatch(r"[0-9]{1,18}", number):
        raise NotFound(f"there is no build {number[:32]}", hint="list them with: deb-orchestrator list-builds")
    sight.check_build(find_hub(request), who, int(number))
    return who


def _manager(request: Request) -> Principal:
    """An admin, or a client that has the role of manager for the suite NAME of the path. Errors: Denied, NotFound."""
    who = need("client")(request)
    with find_hub(request).db.read() as db:
        access.check_manage(db, who, request.path_params["name"])
    return who


HubDep = Annotated[Hub, Depends(find_hub)]
ParkingDep = Annotated[Parking, Depends(find_parking)]
LineDep = Annotated[Line, Depends(find_line)]
Anybody = Annotated[Principal, Depends(need("client", "agent", "signer"))]
Client = Annotated[Principal, Depends(need("client"))]
Admin = Annotated[Principal, Depends(need("admin"))]
SuiteReader = Annotated[Principal, Depends(_reader)]
TargetReader = Annotated[Principal, Depends(_target_reader)]
RequestReader = Annotated[Principal, Depends(_request_reader)]
BuildReader = Annotated[Principal, Depends(_build_reader)]
SuiteManager = Annotated[Principal, Depends(_manager)]
Claimant = Annotated[Principal, Depends(need("agent", "signer"))]


def base_url(request: Request) -> str:
    """The hub's URL as the caller reached it (or as the declared proxy says)."""
    return str(request.base_url).rstrip("/")


def add_problem_handlers(app: FastAPI) -> None:
    """Every refusal is `{"error", "hint"}`."""
    app.add_exception_handler(Failure, _failure)
    app.add_exception_handler(RequestValidationError, _invalid)
    app.add_exception_handler(HTTPException, _http)
    app.add_exception_handler(OperationalError, _database_away)
    app.add_exception_handler(PoolTimeout, _too_busy)
    app.add_exception_handler(DataError, _no_text)
    app.add_exception_handler(UnicodeEncodeError, _no_text)
    app.add_exception_handler(Exception, _broken)


def status_of(failure: Failure) -> int:
    return next(status for kind, status in _STATUSES if isinstance(failure, kind))


def problem(status: int, error: str, hint: str = "") -> JSONResponse:
    headers = {"WWW-Authenticate": "Bearer"} if status == 401 else None
    return JSONResponse({"error": error, "hint": hint}, status_code=status, headers=headers)


def _failure(_request: Request, error: Exception) -> JSONResponse:
    failure = cast(Failure, error)
    return problem(status_of(failure), str(failure), failure.hint)


def _invalid(_request: Request, error: Exception) -> JSONResponse:
    first: Any = cast(RequestValidationError, error).errors()[0]
    where = ".".join(str(part) for part in first["loc"])
    return problem(422, f"{where}: {first['msg']}", "see /api/v1/openapi.json")


def _http(_request: Request, error: Exception) -> JSONResponse:
    http = cast(HTTPException, error)
    hints = {404: "see /api/v1/openapi.json for what there is", 405: "see /api/v1/openapi.json"}
    return problem(http.status_code, str(http.detail), hints.get(http.status_code, ""))


def _no_text(request: Request, error: Exception) -> JSONResponse:
    log.warning("%s %s: %s", request.method, getattr(request.scope.get("route"), "path", "?"), type(error).__name__)
    return problem(422, "the input has text that cannot be stored: a NUL, half a character, or a number too large")


def _database_away(request: Request, error: Exception) -> JSONResponse:
    """It was stopped, is being started, or its disk is full: 503, which clients and agents try again."""
    fault = str(cast(OperationalError, error).orig).strip().partition("\n")[0]
    log.error("%s %s: the database: %s", request.method, getattr(request.scope.get("route"), "path", "?"), fault)
    return problem(503, "the hub's database does not answer", "try again; its log says more")


def _too_busy(request: Request, _error: Exception) -> JSONResponse:
    """All connections, or SQLite's one writer, were in use for a minute: nothing was changed."""
    log.error("%s %s: the database is too busy", request.method, getattr(request.scope.get("route"), "path", "?"))
    return problem(503, "the hub's database is too busy", "try again; a farm that has this often needs PostgreSQL")


def _broken(request: Request, error: Exception) -> JSONResponse:
    # The route and not the path: paths hold secrets of uploads and hooks, and what a stranger likes to write.
    log.error("%s %s broke", request.method, getattr(request.scope.get("route"), "path", "?"), exc_info=error)
    return problem(500, "the hub has a fault", "its log has the details")
