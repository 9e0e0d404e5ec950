"""Every read of the API, and every page, asked by one who may not read a private suite: nothing of it is found.

ROUTES and PAGES name each route that there is. A new one needs a line here, and so a thought about who may see it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest
import sqlalchemy as sa
from fastapi import FastAPI
from fastapi.routing import APIRoute
from fastapi.testclient import TestClient

from deb_orchestrator.services import (
    compose_tasks,
    composes,
    people,
    pins,
    queries,
    repos,
    roles,
    snapshots,
    suites,
    targets,
    triggers,
)
from deb_orchestrator.services.hub import Principal
from deb_orchestrator.services.requests import need_packages
from deb_orchestrator.store.clock import now
from deb_orchestrator.store.tables import agent, job
from deb_orchestrator.store.tables_domain import build_arch, build_check
from deb_orchestrator.store.tables_doors import upload, uploader
from deb_orchestrator.web.api import admin
from deb_orchestrator.web.api.app import make_app
from deb_orchestrator.web.api.context import COOKIE
from debcore.hub.composes import ComposeAsk
from debcore.hub.doors import TriggerAsk
from debcore.hub.model import PREFIX, PackagesNeeded, Target, TokenAsk
from debcore.hub.repos import SnapshotAsk, SuiteSettings
from debcore.hub.suites import SuiteAsk
from debcore.hub.tasks import TaskAsk
from debcore.hub.upkeep import PinAsk
from debcore.job import Job
from debcore.job import Target as JobTarget
from tests.unit.orchestrator.services.farm import ADMIN, SUITE, Farm, make_changes, make_deb, only

OPEN = "open-suite"
#: Words of what is hidden; no answer to an outsider may have one.
SECRETS = (SUITE, "sesame", "sly-")
LIST, THING, ADMINS, NOTHING = "list", "thing", "admins", "nothing"
#: Routes with what they are called with, and: a list without what is hidden; a thing that is 404; for admins only; or
#: nothing of any suite.
ROUTES: dict[str, tuple[str, str]] = {
    "/agents": ("", LIST),
    "/agents/me": ("", ADMINS),
    "/agents/{name}": ("name=builder", LIST),
    "/audit": ("", ADMINS),
    "/blobs/{sha256}": ("sha256={deb}", THING),
    "/builds": ("", LIST),
    "/builds/{id_}": ("id_={build}", THING),
    "/builds/{id_}/checks/{check}/{name}/log": ("id_={build}&check={check}&name=lintian", THING),
    "/builds/{id_}/events": ("id_={build}", THING),
    "/builds/{id_}/why": ("id_={build}", THING),
    "/builds/{id_}/{arch}/log": ("id_={build}&arch=amd64", THING),
    "/composes": ("", LIST),
    "/composes/{id_}": ("id_={compose}", THING),
    "/events": ("", LIST),
    "/events/cloudevents": ("", LIST),
    "/events/stream": ("", NOTHING),  # endless: test_the_stream_is_the_list
    "/farm": ("", NOTHING),
    "/gc": ("", ADMINS),
    "/gc/{job}": ("job=1", ADMINS),
    "/health": ("", NOTHING),
    "/history": ("", LIST),
    "/jobs": ("?state=open", LIST),
    "/jobs/{number}": ("number={job}", THING),
    "/packages": ("", LIST),
    "/packages/{name}": ("name=sesame", THING),
    "/pins": ("", LIST),
    "/requests": ("", LIST),
    "/requests/{id_}": ("id_={request}", THING),
    "/retention": ("", NOTHING),
    "/schemas/events": ("", NOTHING),
    "/schemas/events/{type_}": ("type_=suite.made", NOTHING),
    "/search": ("?q=e", LIST),
    "/suites": ("", LIST),
    "/suites/{name}": ("name={suite}", THING),
    "/suites/{name}/archive": ("name={suite}", THING),
    "/suites/{name}/credentials": ("name={suite}", THING),
    "/suites/{name}/diff": ("name={suite}&?old=0", THING),
    "/suites/{name}/history": ("name={suite}", THING),
    "/suites/{name}/keys": ("name={suite}", THING),
    "/suites/{name}/packages": ("name={suite}", THING),
    "/suites/{name}/parents": ("name={suite}", THING),
    "/suites/{name}/roles": ("name={suite}", THING),
    "/suites/{name}/rules": ("name={suite}", THING),
    "/suites/{name}/settings": ("name={suite}", THING),
    "/suites/{name}/snapshots": ("name={suite}", THING),
    "/tasks/{number}": ("number={task}", THING),
    "/targets": ("", LIST),
    "/targets/{name}": ("name={target}", THING),
    "/targets/{name}/distributions": ("name={target}", THING),
    "/targets/{name}/rebuild-plan": ("name={target}&?of=sesame", THING),
    "/tokens": ("", ADMINS),
    "/triggers": ("", LIST),
    "/triggers/due": ("", LIST),
    "/uploaders": ("", ADMINS),
    "/uploads": ("", LIST),
    "/uploads/{id_}": ("id_={upload}", THING),
    "/webhooks": ("", ADMINS),
    "/webhooks/{name}/deliveries": ("name=x", ADMINS),
}
PAGES: dict[str, tuple[str, str]] = {
    "/": ("", LIST),
    "/apt/{path:path}": ("path=dists/{suite}/InRelease", NOTHING),  # test_access.py
    "/audit": ("", ADMINS),
    "/builds": ("", LIST),
    "/builds/{id_}": ("id_={build}", THING),
    "/builds/{id_}/checks/{check}/{name}": ("id_={build}&check={check}&name=lintian", THING),
    "/builds/{id_}/{arch}/log": ("id_={build}&arch=amd64", THING),
    "/builds/{id_}/{arch}/tail": ("id_={build}&arch=amd64", THING),
    "/composes": ("", LIST),
    "/composes/{id_}": ("id_={compose}", THING),
    "/events": ("", LIST),
    "/hosts": ("", LIST),
    "/hosts/{name}": ("name=builder", LIST),
    "/healthz": ("", NOTHING),
    "/login/{secret}": ("secret=x", NOTHING),
    "/metrics": ("", ADMINS),
    "/oidc/callback": ("", NOTHING),
    "/oidc/login": ("", NOTHING),
    "/packages": ("?target={target}", LIST),
    "/packages/{name}": ("name=sesame", THING),
    "/queue": ("", LIST),
    "/readyz": ("", NOTHING),
    "/search": ("?q=e", LIST),
    "/suites": ("", LIST),
    "/suites/{name}": ("name={suite}", THING),
    "/suites/{name}/diff": ("name={suite}&?old=0", THING),
    "/suites/{name}/history": ("name={suite}", THING),
    "/suites/{name}/packages": ("name={suite}", THING),
}
#: What an outsider may not do with what is not there for them: (method, path, body).
WRITES: tuple[tuple[str, str, Any], ...] = (
    ("POST", "/builds/{build}/cancel", None),
    ("POST", "/builds/{build}/resubmit", None),
    ("POST", "/builds/{build}/checks", {}),
    ("POST", "/requests/{request}/cancel", None),
    ("POST", "/targets/{target}/binnmus", {"sources": ["sesame"], "reason": "x"}),
    ("DELETE", "/composes/{compose}", None),
    ("POST", "/tasks/{task}/cancel", None),
    ("POST", "/triggers/sly-trigger/look", None),
    ("PUT", "/triggers/sly-trigger/look", {"head": ""}),
    ("POST", "/suites/{suite}/snapshots", {}),
    ("PUT", "/suites/{suite}/rules/sesame", {"state": "blocked"}),
)


@dataclass
class World:
    farm: Farm
    app: FastAPI
    names: dict[str, str]  #: of what is hidden
    api: TestClient

    def client(self, who: str) -> TestClient:
        scope = "admin" if who == "root" else "client"
        secret = people.make_token(self.farm.hub, ADMIN, TokenAsk.model_validate({"name": who, "scope": scope})).secret
        return TestClient(self.app, base_url="http://127.0.0.1", headers={"Authorization": f"Bearer {secret}"})

    def browser(self, who: str) -> TestClient:
        link, _ = people.make_login_link(self.farm.hub, Principal(name=who, scope="client"))
        session = people.use_login_link(self.farm.hub, link)
        return TestClient(self.app, base_url="http://127.0.0.1", cookies={COOKIE: session}, follow_redirects=False)

    def path(self, route: str, words: str) -> str:
        """*route* with its parameters, and the query of those that begin with a question mark."""
        path, query = route.replace(":path}", "}"), []
        for word in filter(None, words.format(**self.names).split("&")):
            name, _, value = word.partition("=")
            if name.startswith("?"):
                query.append(word[1:])
            path = path.replace(f"{{{name}}}", value)
        return path + ("?" + "&".join(query) if query else "")


@pytest.fixture
def world(farm: Farm) -> Iterator[World]:
    """A private suite with one of everything, and a public one beside it."""
    hub = farm.hub
    names = fill(farm)
    targets.ensure_target(hub, ADMIN, Target(name=OPEN, preset="debian-trixie", suite=OPEN, arches=("amd64",)))
    wanted = PackagesNeeded(target=OPEN, arches=("amd64",), packages=(farm.add_source("plain"),))
    need_packages(hub, ADMIN, wanted)
    repos.set_settings(hub, ADMIN, SUITE, SuiteSettings(private=True))
    roles.set_role(hub, ADMIN, SUITE, "insider", "manager")
    app = make_app(hub)
    with TestClient(app, base_url="http://127.0.0.1") as api:
        yield World(farm, app, names, api)


def fill(farm: Farm) -> dict[str, str]:
    hub, deb = farm.hub, make_deb("sesame", "1.0")
    asked = farm.ask(farm.add_source("sesame"))
    files = {"sesame_1.0_amd64.deb": deb, "sesame_1.0_amd64.build.log": b"the log of sesame"}
    changes = make_changes("sesame", "1.0", {"sesame_1.0_amd64.deb": deb})
    farm.finish(only(farm.claim()), "built", files={**files, "sesame_1.0_amd64.changes": changes})
    farm.settle()
    again = farm.ask(farm.add_source("sly-second"))  # under way
    files_made = farm.build(asked.builds[0]).arches[0].artifacts
    (deb_sha256,) = (one.sha256 for one in files_made if one.kind == "deb")
    triggers.add_trigger(hub, ADMIN, TriggerAsk(name="sly-trigger", url="https://example.org/sesame", target=SUITE))
    snapshots.make_snapshot(hub, ADMIN, SUITE, SnapshotAsk(), base_url="http://127.0.0.1")
    pins.put_pin(hub, ADMIN, "sly-pin", PinAsk(packages=("sesame",), suite=SUITE))
    suites.make_suite(hub, ADMIN, "other", SuiteAsk(arches=("amd64",)))
    made = targets.ensure_target(hub, ADMIN, Target(
        name="sly-target", preset="debian-trixie", suite="other", build_suite=SUITE, arches=("amd64",)
    ))  # fmt: skip
    with_deb = {"name": "sesame", "version": "1.0", "arch": "amd64", "sha256": deb_sha256}
    image = {"name": "server", "arch": "amd64", "packages": [with_deb]}
    told = ComposeAsk.model_validate({"type": "test", "status": "FINISHED", "variants": [image]})
    composes.put_compose(hub, ADMIN, "sly-compose", told)
    spec = Job(kind="task", job="0", target=JobTarget(preset="debian-trixie-amd64", arch="amd64"))
    order = TaskAsk(arch="amd64", job=spec, suite=SUITE)
    task = compose_tasks.order_task(hub, Principal(name="insider", scope="client"), order)
    report = {"name": "lintian", "outcome": "passed", "log": "checks/lintian.log"}
    log = {"path": "checks/lintian.log", "sha256": farm.put(b"lintian of sesame"), "size": 17, "kind": "log"}
    result = {"job": "1", "attempt": 1, "status": "built", "outputs": [log], "checks": [report]}
    lock = farm.put(b"lock of sesame")
    with hub.db.write() as db:
        mine = db.execute(sa.select(build_arch).where(build_arch.c.build_id == asked.builds[0])).one()
        spare = db.execute(sa.select(job.c.id).where(job.c.id != mine.job_id).order_by(job.c.id)).scalars().first()
        values = {"names": ["lintian"], "gate": False, "principal": "test", "result": result, "created_at": now(db)}
        query = build_check.insert().values(build_arch_id=mine.id, job_id=spare, **values).returning(build_check.c.id)
        check = db.execute(query).scalar_one()
        db.execute(build_arch.update().where(build_arch.c.id == mine.id).values(lock_sha256=lock))
        sly = {"name": "sly-uploader", "certificate": "", "fingerprint": "F", "secret_hash": "x", "targets": []}
        db.execute(uploader.insert().values(**sly, created_at=now(db), expires_at=now(db)))
        said = {"uploader": "sly-uploader", "target": SUITE, "name": "sesame_1.0_source.changes", "state": "rejected"}
        number = db.execute(upload.insert().values(**said, reason="no", at=now(db)).returning(upload.c.id)).scalar_one()
        db.execute(agent.update().values(quarantined_until=now(db) + 10**9, quarantine_reason="it broke sesame"))
    return {
        "suite": SUITE, "target": SUITE, "other": made.name, "build": str(asked.builds[0]), "request": asked.id,
        "deb": deb_sha256, "check": str(check), "upload": str(number), "again": str(again.builds[0]),
        "job": str(mine.job_id), "compose": "sly-compose", "task": str(task),
    }  # fmt: skip


def find_secrets(text: str, names: dict[str, str]) -> list[str]:
    return [word for word in (*SECRETS, names["request"], names["deb"]) if word in text]


def api_routes(app: FastAPI) -> set[str]:
    return {path.removeprefix(PREFIX) for path, verbs in app.openapi()["paths"].items() if "get" in verbs}


def page_routes(app: FastAPI) -> set[str]:
    """All that can be asked for by GET and is not in the API's document."""
    paths = set()
    for one in app.routes:
        if not hasattr(one, "original_router"):
            continue
        context: Any = one.include_context  # type: ignore[attr-defined]  # FastAPI does not export its class
        for route in one.original_router.routes:
            if isinstance(route, APIRoute) and not (context.include_in_schema and route.include_in_schema):
                paths |= {context.prefix + route.path} if "GET" in (route.methods or ()) else set()
    return paths


def test_every_route_has_a_line_here(world: World) -> None:
    assert api_routes(world.app) == set(ROUTES), "say above who may read it"
    assert page_routes(world.app) == set(PAGES)


def judge(world: World, outsider: TestClient, insider: TestClient, routes: dict[str, tuple[str, str]], at: str) -> None:
    for route, (words, kind) in routes.items():
        if kind == NOTHING:
            continue
        path = at + world.path(route, words)
        answer = outsider.get(path)
        if kind == ADMINS:
            assert answer.status_code == 403, path
            continue
        shown = insider.get(path)
        assert shown.status_code == 200, (path, shown.text)
        if kind == THING:
            assert answer.status_code == 404, (path, answer.text)
            assert all(word in path for word in find_secrets(answer.text, world.names)), (
                "no words but those of the call"
            )
        else:
            assert answer.status_code == 200, (path, answer.text)
            assert all(word in path for word in find_secrets(answer.text, world.names)), path
            assert find_secrets(shown.text, world.names), f"{path} has nothing to hide: this proves nothing"


def test_an_outsider_finds_nothing_in_the_api(world: World) -> None:
    judge(world, world.client("outsider"), world.client("insider"), ROUTES, PREFIX)


def test_an_outsider_finds_nothing_on_the_pages(world: World) -> None:
    judge(world, world.browser("outsider"), world.browser("insider"), PAGES, "")


def test_an_outsider_still_sees_what_is_public(world: World) -> None:
    outsider = world.client("outsider")
    assert [one["source"] for one in outsider.get(f"{PREFIX}/builds").json()] == ["plain"]
    assert [one["target"] for one in outsider.get(f"{PREFIX}/requests").json()] == [OPEN]
    assert [one["name"] for one in outsider.get(f"{PREFIX}/targets").json()] == [OPEN]
    types = {one["type"] for one in outsider.get(f"{PREFIX}/events").json()}
    assert types >= {"packages.needed", "target.made", "suite.made"}
    plain = outsider.get(f"{PREFIX}/builds").json()[0]
    assert outsider.get(f"{PREFIX}/builds/{plain['id']}").status_code == 200
    assert outsider.get(f"{PREFIX}/blobs/{plain['dsc_sha256']}").status_code == 200


def test_the_stream_is_the_list(world: World) -> None:
    outsider = Principal(name="outsider", scope="client")
    listed = queries.list_events(world.farm.hub, 0, 500, who=outsider)
    every = queries.list_events(world.farm.hub, 0, 500)
    assert 0 < len(listed) < len(every)

    async def read() -> str:
        stream = admin._stream(world.farm.hub, world.app.state.parking, outsider, 0, None)
        return "".join([await anext(stream) for _ in listed])

    text = asyncio.run(read())
    assert text.count("\ndata: ") == len(listed)
    assert not find_secrets(text, world.names)


def test_what_is_not_there_is_not_changed(world: World) -> None:
    outsider, insider = world.client("outsider"), world.client("insider")
    for method, path, body in WRITES:
        answer = outsider.request(method, PREFIX + path.format(**world.names), json=body)
        assert answer.status_code == 404, (path, answer.text)
    assert insider.get(f"{PREFIX}/requests/{world.names['request']}").json()["state"] == "ready"
    assert insider.post(f"{PREFIX}/builds/{world.names['again']}/cancel").status_code == 200


def test_a_hidden_file_is_reached_by_no_detour(world: World) -> None:
    outsider, insider, farm = world.client("outsider"), world.client("insider"), world.farm
    package = farm.add_source("sesame", "2.0", tarball=b"nobody's")
    needed = PackagesNeeded(target=SUITE, arches=("amd64",), packages=(package,))
    deb = world.names["deb"]
    held = outsider.post(f"{PREFIX}/blobs/{deb}/hold?size=1").json()
    assert held == {"present": False}, "and the hold is no key"
    assert outsider.get(f"{PREFIX}/blobs/{deb}").status_code == 404
    assert outsider.head(f"{PREFIX}/blobs/{deb}").status_code == 404
    assert outsider.put(f"{PREFIX}/blobs/{deb}", content=b"guess").status_code == 422
    assert outsider.get(f"{PREFIX}/blobs/{deb}").status_code == 404
    stolen = needed.model_copy(update={"target": OPEN})
    refused = outsider.post(f"{PREFIX}/requests", json=stolen.model_dump(mode="json"))
    assert (refused.status_code, "was not uploaded" in refused.text) == (422, True)
    asked = outsider.post(f"{PREFIX}/requests", json=needed.model_dump(mode="json"))
    assert (asked.status_code, SUITE in asked.text) == (404, True), "its own words come back, and no more"
    data = insider.get(f"{PREFIX}/blobs/{deb}").content
    assert outsider.put(f"{PREFIX}/blobs/{deb}", content=data).status_code == 201
    assert outsider.get(f"{PREFIX}/blobs/{deb}").status_code == 200, "who has it may have it"
    for kind in ("log_sha256", "lock_sha256"):
        with farm.hub.db.read() as db:
            query = sa.select(build_arch.c[kind]).where(build_arch.c.build_id == int(world.names["build"]))
            sha256 = db.execute(query).scalar_one()
        assert outsider.get(f"{PREFIX}/blobs/{sha256}").status_code == 404, kind
        assert insider.get(f"{PREFIX}/blobs/{sha256}").status_code == 200, kind


def test_what_was_private_is_there_again_when_it_is_public(world: World) -> None:
    outsider = world.client("outsider")
    repos.set_settings(world.farm.hub, ADMIN, SUITE, SuiteSettings(private=False))
    for route, (words, kind) in ROUTES.items():
        if kind == THING and not route.endswith(("/roles", "/credentials", "/tasks/{number}")):
            assert outsider.get(PREFIX + world.path(route, words)).status_code == 200, route
