"""Pages of builds: the list, one build with its log, packages and architectures."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Form, Path, Request
from fastapi.responses import Response, StreamingResponse

from deb_orchestrator.services import lists, matrix, queries, sight
from deb_orchestrator.services.checks import find_check_log
from deb_orchestrator.services.composes import list_composes
from deb_orchestrator.services.hub import Hub
from deb_orchestrator.services.requests import cancel_build, resubmit_build
from deb_orchestrator.services.uploads import check_blob
from deb_orchestrator.services.why import explain_build
from deb_orchestrator.web.content import blob_response
from deb_orchestrator.web.ui.frame import HubDep, Number, Page, Text, Visitor, check_form, go
from deb_orchestrator.web.ui.logs import find_window, read_live
from deb_orchestrator.web.ui.render import HEADERS, page
from debcore.hub.model import BuildState

router = APIRouter(route_class=Page)

LOG_STEP = 256 * 1024  #: bytes of a log in one answer to the script, and of one page
PLAIN = "text/plain; charset=utf-8"
Id = Annotated[int, Path(ge=0, lt=2**63)]


@router.get("/builds")
def builds(
    request: Request, hub: HubDep, who: Visitor, source: Text = "", target: Text = "", suite: Text = "",
    arch: Text = "", state: Text = "", before: Number | None = None,
) -> Response:  # fmt: skip
    wanted = lists.Wanted(
        source=source.strip(), target=target, suite=suite, arch=arch, state=_state(state), before=before
    )
    found = lists.list_lines(hub, who, wanted)
    return page(
        request, "builds", who, found=found, wanted=wanted, targets=_targets(hub, who), arches=_arches(hub),
        states=list(BuildState),
    )  # fmt: skip


@router.get("/packages")
def packages(
    request: Request, hub: HubDep, who: Visitor, target: Text = "", part: Text = "", show: Text = "", after: Text = ""
) -> Response:
    targets = _targets(hub, who)
    chosen = target or (targets[0] if targets else "")
    found = matrix.make_matrix(hub, who, chosen, part=part.strip(), bad=show == "bad", after=after)
    return page(
        request, "packages", who, targets=targets, target=chosen, part=part.strip(), bad=show == "bad", found=found,
        after=after,
    )  # fmt: skip


@router.get("/packages/{name}")
def package(request: Request, hub: HubDep, who: Visitor, name: str) -> Response:
    found = matrix.get_source(hub, who, name)
    last = lists.list_lines(hub, who, lists.Wanted(source=name), limit=20)
    return page(request, "package", who, found=found, builds=last)


@router.get("/builds/{id_}")
def build(
    request: Request, hub: HubDep, who: Visitor, id_: Id, arch: Text = "", at: Number | None = None
) -> Response:  # fmt: skip
    sight.check_build(hub, who, id_)
    reasons = explain_build(hub, id_, frank=sight.find_sight(hub, who).whole)
    found = queries.get_build(hub, id_)
    chosen = [one for one in found.arches if one.arch == arch] or [
        one for one in found.arches if one.state == found.state
    ]
    show = (chosen or found.arches)[0]
    window = find_window(hub, id_, show.arch, show.log_size, at=at, limit=LOG_STEP)
    last = window.at_end and show.log_complete
    return page(
        request, "build", who, build=found, reasons=reasons, show=show, window=window,
        log_complete=last, composes=list_composes(hub, who, build_id=id_, limit=20),
        version=lists.shown_version(found.version, found.binnmu),
    )  # fmt: skip


@router.get("/builds/{id_}/{arch}/tail")
def tail(hub: HubDep, who: Visitor, id_: Id, arch: str, offset: Number = 0) -> Response:
    """What comes after *offset*, for the script. Where more than one step is there, only the last step of it.

    X-Log-Offset: of the first byte; X-Log-Size: of the log; X-Log-Complete: 1 if this is the end and nothing will come.
    """
    sight.check_build(hub, who, id_)
    size, complete = queries.find_log_size(hub, id_, arch)
    start = max(offset, size - LOG_STEP)
    text = queries.read_log(hub, id_, arch, start, LOG_STEP)[0]
    ended = complete and start + len(text) >= size
    numbers = {"X-Log-Offset": str(start), "X-Log-Size": str(size), "X-Log-Complete": str(int(ended))}
    return Response(text, media_type=PLAIN, headers=HEADERS | numbers)


@router.get("/builds/{id_}/{arch}/log")
def log(request: Request, hub: HubDep, who: Visitor, id_: Id, arch: str) -> Response:
    """The whole log as a file: a browser saves it, and may ask for ranges of what is complete."""
    sight.check_build(hub, who, id_)
    name = f"{id_}-{_plain(arch)}.log"
    sha256 = queries.find_log_blob(hub, id_, arch)
    if sha256 is not None:
        return _save(request, hub, sha256, name)
    return StreamingResponse(read_live(hub, id_, arch), media_type=PLAIN, headers=_saved(name))


@router.get("/builds/{id_}/checks/{check}/{name}")
def check_log(request: Request, hub: HubDep, who: Visitor, id_: Id, check: Id, name: str) -> Response:
    sight.check_build(hub, who, id_)
    return _save(request, hub, find_check_log(hub, id_, check, name), f"{id_}-{check}-{_plain(name)}.log")


def _save(request: Request, hub: Hub, sha256: str, name: str) -> Response:
    headers = _saved(name) | {"ETag": f'"{sha256}"'}
    return blob_response(hub.blobs, check_blob(hub, sha256), request, media_type=PLAIN, headers=headers)


def _saved(name: str) -> dict[str, str]:
    return {**HEADERS, "Content-Disposition": f'attachment; filename="{name}"'}


@router.post("/builds/{id_}/cancel")
def cancel(hub: HubDep, who: Visitor, id_: Id, csrf: Annotated[str, Form()]) -> Response:
    check_form(who, csrf)
    sight.check_build(hub, who, id_)
    cancel_build(hub, who, id_)
    return go(f"/builds/{id_}")


@router.post("/builds/{id_}/resubmit")
def resubmit(hub: HubDep, who: Visitor, id_: Id, csrf: Annotated[str, Form()]) -> Response:
    check_form(who, csrf)
    sight.check_build(hub, who, id_)
    return go(f"/builds/{resubmit_build(hub, who, id_)}")


def _state(word: str) -> BuildState | None:
    return BuildState(word) if word in {one.value for one in BuildState} else None


def _targets(hub: Hub, who: Visitor) -> list[str]:
    return [one.name for one in queries.list_targets(hub, sight=sight.find_sight(hub, who))]


def _arches(hub: Hub) -> list[str]:
    return sorted({arch for one in queries.list_targets(hub) for arch in one.arches})


def _plain(name: str) -> str:
    """As part of a file's name."""
    return "".join(letter if letter.isascii() and (letter.isalnum() or letter in "+.-") else "_" for letter in name)[
        :64
    ]
