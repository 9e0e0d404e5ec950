"""Pages: who may see them, that they render, that nothing others wrote becomes markup."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient

from deb_orchestrator.dispatch.events import NewEvent, append_events
from deb_orchestrator.services import people
from deb_orchestrator.services.hub import Hub, Principal, log_audit
from deb_orchestrator.services.targets import ensure_target
from deb_orchestrator.web.ui import add_ui
from deb_orchestrator.web.ui.logs import Window, clean
from deb_orchestrator.web.ui.render import TEMPLATES, age, size
from debcore.blobs import BlobStore
from debcore.hub.checks import BuildCheck, CheckState
from debcore.hub.model import Build, BuildArch, BuildState, Target
from debcore.job import CheckFinding, CheckReport
from tests.unit.orchestrator.empty import open_empty

ADMIN = Principal(name="test", scope="admin")


@pytest.fixture
def hub(tmp_path: Path) -> Iterator[Hub]:
    database = open_empty(tmp_path / "hub.db")
    made = Hub(db=database, blobs=BlobStore(tmp_path / "blobs"), state=tmp_path)
    ensure_target(
        made, ADMIN, Target(name="trixie-local", preset="debian-trixie", suite="trixie-local", arches=("amd64",))
    )
    yield made
    database.close()


@pytest.fixture
def client(hub: Hub) -> Iterator[TestClient]:
    app = FastAPI()
    add_ui(app, hub)
    with TestClient(app, follow_redirects=False) as made:
        yield made


@pytest.fixture
def signed_in(hub: Hub, client: TestClient) -> TestClient:
    secret, _ = people.make_login_link(hub, ADMIN)
    assert client.get(f"/login/{secret}").status_code == 200, "looking at the link does not use it up"
    answer = client.post(f"/login/{secret}")
    assert (answer.status_code, answer.headers["location"]) == (303, "/")
    assert client.post(f"/login/{secret}").status_code == 401, "a link works once"
    return client


PAGES = (
    "/",
    "/builds",
    "/packages",
    "/queue",
    "/hosts",
    "/suites",
    "/suites/trixie-local",
    "/events",
    "/search?q=nothing",
)
PARTS = ("", "/packages", "/history", "/diff?old=0")


@pytest.mark.parametrize("path", [*PAGES, "/builds/1", "/builds/1/amd64/log", "/builds/1/amd64/tail", "/audit"])
def test_a_stranger_is_asked_to_log_in(client: TestClient, path: str) -> None:
    answer = client.get(path)
    assert answer.status_code == 401
    assert "deb-orchestrator login" in answer.text


@pytest.mark.parametrize("path", [*PAGES, *(f"/suites/trixie-local{part}" for part in PARTS)])
def test_pages_render_under_a_strict_policy(signed_in: TestClient, path: str) -> None:
    answer = signed_in.get(path)
    assert answer.status_code == 200
    assert "default-src 'none'" in answer.headers["content-security-policy"]
    assert "style=" not in answer.text


def test_what_is_missing_is_a_page_with_a_next_step(signed_in: TestClient) -> None:
    answer = signed_in.get("/builds/7")
    assert answer.status_code == 404
    assert "list-builds" in answer.text


def test_what_others_wrote_is_no_markup(hub: Hub, signed_in: TestClient) -> None:
    with hub.db.write() as db:
        append_events(db, [NewEvent(type="packages.failed", data={"reason": "<script>alert(1)</script>"})])
    page = signed_in.get("/events").text
    assert "<script>alert" not in page
    assert "&lt;script&gt;alert" in page


def test_a_form_needs_the_secret_of_its_page(signed_in: TestClient) -> None:
    assert signed_in.post("/logout", data={"csrf": "guess"}).status_code == 403
    assert signed_in.get("/").status_code == 200


def test_the_log_of_a_build_is_text_and_not_markup() -> None:
    arch = BuildArch(arch="amd64", state=BuildState.BUILDING, log_size=9)
    build = Build(
        id=3, source="x", version="1", target="t", suite="s", request=None, state=BuildState.BUILDING,
        created_at=datetime.now(UTC), dsc_sha256="0" * 64, arches=(arch,),
    )  # fmt: skip
    text = TEMPLATES.get_template("build.html").render(
        here="/builds/3", who=ADMIN, build=build, version="1", reasons=[], composes=[], show=arch, log_complete=False,
        window=Window(text="</pre><b>bold", start=0, end=9, size=9, earlier=None, later=None),
    )  # fmt: skip
    assert "&lt;/pre&gt;&lt;b&gt;bold" in text
    assert 'data-offset="9" data-complete="0"' in text


def test_what_checks_found_is_text_and_not_markup() -> None:
    evil = "<script>alert(1)</script>"
    finding = CheckFinding(level="error", tag=evil, subject=evil, text=evil, action="fatal")
    quiet = finding.model_copy(update={"action": "ignore", "subject": "quiet"})
    report = CheckReport(
        name=evil, outcome="failed", fatal=True, tool=evil, log="x.log", findings=(*[finding] * 60, quiet),
        counts={evil: 61},
    )  # fmt: skip
    away = CheckReport(name="piuparts", outcome="not-run", reason=evil)
    check = BuildCheck(
        id=4, arch="amd64", job=9, state=CheckState.FAILED, gate=True, by=evil, reason=evil, agent=evil,
        created_at=datetime.now(UTC), reports=(report, away),
    )  # fmt: skip
    build = Build(
        id=3, source="x", version="1", target="t", suite="s", request=None, state=BuildState.FAILED,
        created_at=datetime.now(UTC), dsc_sha256="0" * 64, checks=(check,),
        arches=(BuildArch(arch="amd64", state=BuildState.FAILED),),
    )  # fmt: skip
    text = TEMPLATES.get_template("build.html").render(
        here="/builds/3", who=ADMIN, build=build, version="1", reasons=[], composes=[], show=build.arches[0],
        log_complete=True, window=Window(text="", start=0, end=0, size=0, earlier=None, later=None),
    )  # fmt: skip
    assert "<script>alert" not in text
    assert "Gate 4, amd64" in text
    assert text.count("<li>fatal: error") == 50
    assert "and 10 more" in text
    assert "quiet" not in text
    assert "/builds/3/checks/4/%3Cscript%3E" in text


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/builds/7", 404), ("/builds/x", 422), ("/builds/-1", 422), (f"/builds/{2**70}", 422),
        ("/packages/nothing", 404),
        ("/hosts/nobody", 404), ("/suites/nowhere", 404), ("/suites/nowhere/packages", 404),
        ("/suites/nowhere/diff?old=0", 404),
        ("/suites/trixie-local/diff?old=999", 400), ("/suites/trixie-local/packages?at=99999", 400),
        (f"/builds?before={2**70}", 422), ("/nothing", 404), ("/builds?state=nonsense", 200), ("/queue?offset=-1", 422),
        ("/builds/1/amd64/tail", 404), ("/packages?part=%25_%27", 200), ("/events?type=%3Cb%3E", 200),
    ],
)  # fmt: skip
def test_what_makes_no_sense_is_refused_by_a_page(signed_in: TestClient, path: str, status: int) -> None:
    answer = signed_in.get(path, headers={"Accept": "text/html"})
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "text/html; charset=utf-8"


def test_what_a_terminal_would_obey_is_not_on_the_page() -> None:
    assert clean("a\x1b[31mred\x1b[0m\rb\r\nc\x00\x9b\u202ed\te") == "ared\nb\nc\ufffd\ufffd\ufffdd\te"


def test_words_for_times_and_sizes() -> None:
    assert age(datetime.now(UTC) - timedelta(hours=3, minutes=5)) == "3 h"
    assert [size(n) for n in (512, 1536, 3 * 2**20)] == ["512 B", "1.5 KiB", "3.0 MiB"]


def test_who_did_what_is_shown_to_admins_and_is_no_markup(hub: Hub, client: TestClient, signed_in: TestClient) -> None:
    with hub.db.write() as db:
        log_audit(db, ADMIN, "suite.rule", "<script>alert(1)</script>", {"note": "</code><b>x"})
    shown = signed_in.get("/audit?action=suite.")
    assert shown.status_code == 200
    assert "suite.rule" in shown.text
    assert "<script>" not in shown.text
    assert "<b>x" not in shown.text
    assert "target.make" not in shown.text
    assert "target.make" in signed_in.get("/audit").text
    assert 'href="/audit"' in signed_in.get("/").text
    client.cookies.clear()
    secret, _ = people.make_login_link(hub, Principal(name="alice", scope="client"))
    client.post(f"/login/{secret}")
    assert client.get("/audit").status_code == 403
    assert 'href="/audit"' not in client.get("/").text
