"""SQL and HTML in every text that the API takes, as its own document lists them: refused, or kept as text.

Each string of each body and each path of every changing route is made hostile by itself, with a number. Then all pages
and all reads of the API are looked at: what was kept is there as text, and as nothing else.
"""

from __future__ import annotations

import copy
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from html.parser import HTMLParser
from typing import Any
from urllib.parse import quote

import pytest
import sqlalchemy as sa
from fastapi import FastAPI
from fastapi.testclient import TestClient

from deb_orchestrator.services import agents, people
from deb_orchestrator.store.schema import metadata
from deb_orchestrator.web.api.app import make_app
from deb_orchestrator.web.api.context import COOKIE
from debcore.hub.model import PREFIX, AgentState, Enrol, TokenAsk
from tests.contract.hub.dputting import key_of
from tests.contract.hub.test_outsiders import NOTHING, PAGES, ROUTES, World, fill
from tests.contract.hub.test_replays import Builder, Story, begin, sha
from tests.unit.orchestrator.services.farm import ADMIN, SUITE, Farm

#: Short enough for every field that takes more than a name.
HOSTILE = "'\"><script>x{n}()</script>;DROP TABLE job;--"
NUMBERED = re.compile(r"<script>x(\d+)\(\)")
ESCAPED = re.compile(r"&lt;script&gt;x(\d+)\(\)")
#: What the fields of these names hold when they are as they should be.
GOOD: dict[str, Any] = {
    "target": SUITE, "suite": SUITE, "build_suite": SUITE, "parents": "other", "arches": "amd64", "emulates": "arm64",
    "url": "https://example.org/x", "token": "t" * 40, "preset": "debian-trixie", "source": "sesame",
    "sources": "sesame", "version": "1.0", "pool": "default", "boot_id": "boot-of-test", "claim_id": "claim-of-test",
    "packages": "sesame", "types": "suite.made", "names": "lintian", "name": "fresh", "head": "0" * 40,
    "sha256": sha(b"x"), "dsc_sha256": sha(b"x"), "hash": sha(b"x"), "fail_on": "error", "branch": "main",
    "at": "2026-03-14T12:00:00Z", "uris": "https://example.org/debian", "suites": "trixie", "components": "main",
    "keyring": "KEY", "tool": "lintian", "path": "a_1.0.dsc", "request": "r", "type": "environment.ready",
    "maintainer": "T <t@example.org>", "targets": SUITE, "clause": "sesame",
}  # fmt: skip
#: For fields of other names, the first that their pattern allows.
WORDS = ("x", "amd64", "FINISHED", "0" * 32, "0" * 64, f"sha256:{'0' * 64}", "https://example.org/x", "a/b", "")
#: Calls that would end the test's own means; their texts are names, which other routes of the kind take alike.
LAST = ("revoke", "revert", "DELETE")
#: What no body of itself makes possible: there is no delivery.
REFUSED = (f"{PREFIX}/webhooks/{{name}}/replay",)
LEFT_OUT = object()


@dataclass
class Hostile:
    """Numbers the texts that it sends; `kept` are those of calls that were taken."""

    admin: TestClient
    document: Mapping[str, Any]
    names: dict[str, str]
    special: dict[str, dict[str, Any]]  #: what bodies of some routes must have
    sent: dict[int, str] = field(default_factory=dict)
    kept: set[int] = field(default_factory=set)

    def text(self, where: str) -> tuple[int, str]:
        n = len(self.sent) + 1
        self.sent[n] = where
        return n, HOSTILE.format(n=n)

    def resolve(self, schema: Mapping[str, Any]) -> Mapping[str, Any]:
        while "$ref" in schema:
            schema = self.document["components"]["schemas"][schema["$ref"].rpartition("/")[2]]
        choices = [one for one in schema.get("anyOf", ()) if one.get("type") != "null"]
        return self.resolve(choices[0]) if choices else schema

    def sample(self, schema: Mapping[str, Any], name: str) -> Any:
        """A value that fits: every field is there."""
        one = self.resolve(schema)
        if "enum" in one or "const" in one:
            return one.get("const", one.get("enum", [None])[0])
        match one.get("type"):
            case "object":
                return {key: self.sample(value, key) for key, value in one.get("properties", {}).items()}
            case "array":
                return [self.sample(one["items"], name)]
            case "string":
                return find_word(one, name)
            case "boolean":
                return False
            case "integer" | "number":
                return max(1, int(one.get("minimum", 1)))
        return None

    def attack(self, method: str, route: str, operation: Mapping[str, Any]) -> None:
        """One call for each text of *route*."""
        good = self.path(route)
        body = self.body(method, route, operation)
        if body is not None:
            answer = self.admin.request(method, good, json=body)
            assert answer.is_success or route in REFUSED, (method, route, body, answer.text)
        for name in re.findall(r"{(\w+)}", route):
            n, text = self.text(f"{method} {route} {name}")
            path = self.path(route.replace(f"{{{name}}}", quote(text, safe="")))
            self.send(n, method, path, body)
        for where in texts_of(body):
            for prefix in ("", str(get(body, where))):
                n, text = self.text(f"{method} {route} {where}")
                changed = copy.deepcopy(body)
                put(changed, where, prefix + (text.replace(" ", "/") if prefix else text))
                self.send(n, method, good, changed)

    def body(self, method: str, route: str, operation: Mapping[str, Any]) -> Any:
        """One that is taken, but for REFUSED."""
        content = operation.get("requestBody", {}).get("content", {}).get("application/json")
        if content is None:
            return None
        body = {**self.sample(content["schema"], ""), **self.special.get(route, {})}
        return {name: value for name, value in body.items() if value is not LEFT_OUT}

    def path(self, route: str) -> str:
        kind = route.removeprefix(PREFIX).split("/")[1]
        values = {
            "agents": "builder",
            "builds": self.names["build"],
            "requests": self.names["request"],
            "pools": "pool",
        }
        whole = route.endswith(("/suites/{name}", "/targets/{name}"))
        one = values.get(kind, SUITE if kind in ("suites", "targets") and not whole else "fresh")
        for name in ("name", "id_"):
            route = route.replace(f"{{{name}}}", one)
        for name, value in {"source": "sesame", "principal": "insider", "sha256": sha(b"x")}.items():
            route = route.replace(f"{{{name}}}", value)
        return re.sub(r"{\w+}", "1", route)

    def send(self, n: int, method: str, path: str, body: Any) -> None:
        answer = self.admin.request(method, path, json=body)
        assert answer.status_code < 500, (self.sent[n], answer.text)
        if answer.status_code >= 400:
            assert answer.json()["error"], self.sent[n]
        else:
            self.kept.add(n)


def make_task(sha256: str) -> dict[str, Any]:
    """A task of a compose, whose input is there."""
    given = [{"path": "spec.json", "sha256": sha256, "size": 2}]
    target = {"preset": "debian-trixie", "arch": "amd64"}
    return {"kind": "task", "job": "0", "inputs": given, "target": target, "task": {"kind": "tree"}}


def find_word(schema: Mapping[str, Any], name: str) -> str:
    """What a field of that *name* may hold."""
    if schema.get("format") == "date-time":
        return str(GOOD["at"])
    words: list[str] = [str(GOOD[name])] if name in GOOD else []
    pattern = re.compile(str(schema.get("pattern", "")))
    return next(word for word in [*words, *WORDS] if pattern.search(word))


def texts_of(body: Any, where: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Where in *body* there are strings."""
    if isinstance(body, str):
        yield where
    elif isinstance(body, dict | list):
        for key, value in body.items() if isinstance(body, dict) else enumerate(body):
            yield from texts_of(value, (*where, key))


def get(body: Any, where: tuple[Any, ...]) -> Any:
    for key in where:
        body = body[key]
    return body


def put(body: Any, where: tuple[Any, ...], value: str) -> None:
    get(body, where[:-1])[where[-1]] = value


class Watch(HTMLParser):
    """Fails on what none of our pages has: a script of its own, and an attribute that runs one."""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        names = {name for name, _ in attrs}
        assert tag != "script" or "src" in names, self.get_starttag_text()
        assert not [name for name in names if name.startswith("on")], self.get_starttag_text()


def attack_as_builder(hostile: Hostile, builder: Builder, story: Story) -> None:
    """What only the builder of a job says: its log, what it reports, why it failed."""

    def said(where: str) -> str:
        n, text = hostile.text(f"the builder's {where}")
        hostile.kept.add(n)
        return text

    log = f"{said('log')}\n".encode()
    assert builder.send(story.call("log", "PUT", content=log, params=(("offset", 0),))).status_code == 200
    assert builder.send(story.upload(log)).status_code == 201
    failure = {"stage": said("stage"), "kind": said("kind"), "message": said("message")}
    outputs = [{"path": "build.log", "sha256": sha(log), "size": len(log), "kind": "log"}]
    result = {"job": str(story.job), "attempt": 1, "status": "failed", "failure": failure, "outputs": outputs}
    assert builder.send(story.finish(result)).status_code == 200


@dataclass(frozen=True)
class Stage:
    farm: Farm
    app: FastAPI
    hostile: Hostile
    builder: Builder
    story: Story


@pytest.fixture
def stage(farm: Farm) -> Iterator[Stage]:
    """One of everything, a builder with a job, and an admin."""
    names = fill(farm)
    token = "b" * 40
    agents.enrol(farm.hub, Enrol(name="two", token=token, arches=("amd64",)), state=AgentState.APPROVED)
    app = make_app(farm.hub)
    secret = people.make_token(farm.hub, ADMIN, TokenAsk(name="root", scope="admin")).secret
    with TestClient(app, base_url="http://127.0.0.1", headers={"Authorization": f"Bearer {secret}"}) as admin:
        builder = Builder(TestClient(app, base_url="http://127.0.0.1"), token)
        story = begin(builder)
        package = farm.add_source("sesame").model_dump(mode="json")
        special: dict[str, dict[str, Any]] = {
            f"{PREFIX}/requests": {"packages": [package]},
            f"{PREFIX}/suites/{{name}}/snapshots": {"at": LEFT_OUT, "event": LEFT_OUT},
            f"{PREFIX}/pins/{{name}}": {"files": [{"sha256": package["dsc_sha256"], "label": "x"}]},
            f"{PREFIX}/tasks": {"job": make_task(farm.put(b"{}"))},
        }  # fmt: skip
        yield Stage(farm, app, Hostile(admin, app.openapi(), names, special), builder, story)


def test_sql_and_html_stay_text_wherever_they_are_sent(stage: Stage) -> None:
    hostile, farm = stage.hostile, stage.farm
    GOOD["certificate"] = key_of("alice").public_key()
    attack_as_builder(hostile, stage.builder, stage.story)
    farm.settle()
    routes = [
        (method.upper(), path, operation)
        for path, methods in stage.app.openapi()["paths"].items()
        for method, operation in methods.items()
        if method in ("put", "post", "delete") and "/jobs/" not in path
    ]
    assert len(routes) > 50
    for method, path, operation in sorted(routes, key=lambda one: any(word in " ".join(one[:2]) for word in LAST)):
        hostile.attack(method, path, operation)
    farm.settle()
    with farm.hub.db.read() as db:
        assert {table.name for table in metadata.sorted_tables} <= {*sa.inspect(db).get_table_names()}
        assert "job" in sa.inspect(db).get_table_names()
    assert len(hostile.kept) > 30, "most texts were refused: this proves little"
    on_pages, in_answers = look_at_pages(stage), look_at_api(stage)
    assert len(on_pages) >= 10, "what was kept is not looked at"
    assert len(on_pages | in_answers) >= 20
    assert on_pages | in_answers <= hostile.kept


def look_at_pages(stage: Stage) -> set[int]:
    """The numbers of the texts that pages show."""
    world = World(stage.farm, stage.app, stage.hostile.names, stage.hostile.admin)
    link, _ = people.make_login_link(stage.farm.hub, ADMIN)
    session = people.use_login_link(stage.farm.hub, link)
    browser = TestClient(stage.app, base_url="http://127.0.0.1", cookies={COOKIE: session}, follow_redirects=False)
    shown: set[int] = set()
    paths = [world.path(route, words) for route, (words, kind) in PAGES.items() if kind != NOTHING]
    failed = f"/builds/{stage.hostile.names['again']}"
    for path in (*paths, failed, f"{failed}/amd64/log", "/search?q=%3Cscript%3Ex1()", "/hosts/fresh"):
        answer = browser.get(path)
        assert answer.status_code in (200, 404), (path, answer.status_code)
        if answer.headers["content-type"].startswith("text/html"):
            assert not NUMBERED.search(answer.text), path
            Watch().feed(answer.text)
            assert "default-src 'none'" in answer.headers["content-security-policy"]
        else:
            assert answer.headers["content-type"].startswith("text/plain"), path
            assert answer.headers["x-content-type-options"] == "nosniff", path
        shown |= {int(n) for n in ESCAPED.findall(answer.text)}
    return shown


def look_at_api(stage: Stage) -> set[int]:
    world = World(stage.farm, stage.app, stage.hostile.names, stage.hostile.admin)
    shown: set[int] = set()
    for route, (words, _) in ROUTES.items():
        if route == "/events/stream":
            continue
        answer = stage.hostile.admin.get(PREFIX + world.path(route, words))
        assert answer.status_code < 500, (route, answer.text)
        assert answer.headers["x-content-type-options"] == "nosniff", route
        assert not answer.headers.get("content-type", "").startswith("text/html"), route
        shown |= {int(n) for n in NUMBERED.findall(answer.text)}
    return shown
