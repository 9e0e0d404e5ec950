"""What agents send comes twice, late, in any order, cut or spoiled, or is a lie: one result at most, and no trace."""

from __future__ import annotations

import hashlib
import json
import random
import secrets
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import httpx2
import pytest
from fastapi.testclient import TestClient
from sqlalchemy import select

from deb_orchestrator.services import agents
from deb_orchestrator.store.tables import metadata
from deb_orchestrator.web.api.app import make_app
from debcore.hub.model import PREFIX, AgentState, Enrol, RequestState
from tests.unit.orchestrator.services.farm import Farm, make_changes, make_deb

pytestmark = pytest.mark.timeout(600)

#: Rows that say when somebody was last heard of.
OF_PRESENCE = {"agent", "hub_heartbeat"}
#: Rows that any call with a good grant may touch: the lease, and a hold, which comes before the bytes and runs out.
OF_BEATS = {"job", "hold"}
LOG = b"line one\nline two\nthe end\n"


def sha(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


@dataclass(frozen=True)
class Call:
    method: str
    path: str
    json: Any = None
    content: bytes | None = None
    params: tuple[tuple[str, int], ...] = ()
    headers: tuple[tuple[str, str], ...] = ()


@dataclass
class Builder:
    """An agent by hand: makes each call of an attempt, and keeps it to send it again."""

    app: TestClient
    token: str
    sent: list[Call] = field(default_factory=list)

    def send(self, call: Call) -> httpx2.Response:
        self.sent.append(call)
        answer: httpx2.Response = self.app.request(
            call.method, f"{PREFIX}{call.path}", params=dict(call.params),
            content=call.content if call.json is None else json.dumps(call.json).encode(),  # whatever is in it
            headers={"Authorization": f"Bearer {self.token}", "Content-Type": "application/json", **dict(call.headers)},
        )  # fmt: skip
        assert answer.status_code < 500, (call, answer.text)
        return answer

    def claim(self) -> dict[str, Any] | None:
        ask = {"claim_id": secrets.token_urlsafe(12), "boot_id": "boot-of-test", "arches": ["amd64"], "wait": 0}
        answer = self.send(Call("POST", "/jobs/claim", ask))
        assert answer.status_code in (200, 204)
        return dict(answer.json()) if answer.status_code == 200 else None


@dataclass(frozen=True)
class Story:
    """All that an agent says of one attempt, in the order in which it makes sense."""

    job: int
    attempt: int
    grant: str
    source: str

    @cached_property
    def files(self) -> dict[str, bytes]:
        deb = f"{self.source}_1.0_amd64.deb"
        debs = {deb: make_deb(self.source, "1.0")}
        return {**debs, f"{self.source}_1.0_amd64.changes": make_changes(self.source, "1.0", debs), "build.log": LOG}

    @property
    def result(self) -> dict[str, Any]:
        kinds = {"deb": "deb", "changes": "changes", "log": "log"}
        outputs = [
            {"path": name, "sha256": sha(data), "size": len(data), "kind": kinds[name.rpartition(".")[2]]}
            for name, data in self.files.items()
        ]
        return {"job": str(self.job), "attempt": self.attempt, "status": "built", "outputs": outputs}

    def call(self, verb: str, method: str = "POST", **options: Any) -> Call:
        return Call(method, f"/jobs/{self.job}/{verb}", headers=self.headers, **options)

    @property
    def headers(self) -> tuple[tuple[str, str], ...]:
        return (("X-Job", str(self.job)), ("X-Attempt", str(self.attempt)), ("X-Grant", self.grant))

    def finish(self, result: dict[str, Any] | None = None) -> Call:
        document = self.result if result is None else result
        digest = sha(json.dumps(document, sort_keys=True).encode())
        return self.call("finish", json={"attempt": self.attempt, "result": document, "hash": digest})

    def upload(self, data: bytes, name: str = "") -> Call:
        return Call("PUT", f"/blobs/{name or sha(data)}", content=data, headers=self.headers)

    def calls(self) -> list[Call]:
        lock = b'{"packages": []}'
        ready = {"n": 1, "type": "environment.ready", "data": {"lock_sha256": sha(lock), "packages": 0}}
        pieces = [LOG[:9], LOG[9:18], LOG[18:]]
        return [
            self.call("beat", json={"attempt": self.attempt}),
            *(self.call("log", "PUT", content=piece, params=(("offset", LOG.index(piece)),)) for piece in pieces),
            self.upload(lock),
            self.call("events", json={"attempt": self.attempt, "events": [ready]}),
            *map(self.upload, self.files.values()),
            self.finish(),
        ]


def begin(builder: Builder) -> Story:
    got = builder.claim()
    assert got is not None
    dsc = str(got["spec"]["job"]["source"])
    return Story(got["job"], got["attempt"], got["grant"], dsc.rpartition("/")[2].partition("_")[0])


def dump(farm: Farm) -> dict[str, list[tuple[Any, ...]]]:
    """Every row of the database but those of presence."""
    with farm.hub.db.read() as db:
        return {
            table.name: sorted((tuple(row) for row in db.execute(select(table))), key=repr)
            for table in metadata.sorted_tables
            if table.name not in OF_PRESENCE
        }


@pytest.fixture
def app(farm: Farm) -> Iterator[TestClient]:
    with TestClient(make_app(farm.hub), base_url="http://127.0.0.1", raise_server_exceptions=False) as app:
        yield app


@pytest.fixture
def builders(farm: Farm, app: TestClient) -> tuple[Builder, Builder]:
    made = []
    for name in ("one", "two"):
        token = secrets.token_urlsafe(32)
        agents.enrol(farm.hub, Enrol(name=name, token=token, arches=("amd64",)), state=AgentState.APPROVED)
        made.append(Builder(app, token))
    return made[0], made[1]


def test_whatever_is_sent_again_later_changes_nothing(farm: Farm, builders: tuple[Builder, Builder]) -> None:
    """One gives a job back and the other builds it; another fails. Then all comes thrice, by either, in any order."""
    one, two = builders
    asked = [farm.ask(farm.add_source(name)) for name in ("hello", "broken")]
    farm.settle()
    first = begin(one)
    for call in first.calls()[:5]:
        assert one.send(call).status_code < 300
    assert one.send(first.call("release", json={"attempt": 1, "reason": "it stops"})).status_code == 204
    for builder in (two, one):
        story = begin(builder)
        calls = story.calls()
        if story.source == "broken":
            failure = {"stage": "build", "kind": "compile", "message": "no"}
            calls[-1] = story.finish({"job": str(story.job), "status": "failed", "failure": failure, "attempt": 1})
        for call in calls:
            assert builder.send(call).status_code < 300, call
    farm.settle()
    assert [farm.request(one.id).state for one in asked] == [RequestState.READY, RequestState.FAILED]
    before = dump(farm)
    sent = [(builder, call) for builder in builders for call in tuple(builder.sent)] * 3
    random.Random(4).shuffle(sent)
    for builder, call in sent:
        builder.send(call)
        other = one if builder is two else two
        if call.headers:  # the grant of another agent's attempt
            assert other.send(call).status_code in (204, 409) or call.method == "PUT", call
    farm.settle()
    assert dump(farm) == before


@pytest.mark.parametrize("seed", range(2))
def test_what_comes_in_any_order_and_twice_makes_one_result(
    farm: Farm, builders: tuple[Builder, Builder], seed: int
) -> None:
    one, _ = builders
    asked = farm.ask(farm.add_source("hello"))
    farm.settle()
    story = begin(one)
    shuffled = story.calls() * 2
    random.Random(seed).shuffle(shuffled)
    for call in shuffled:
        assert one.send(call).status_code in (200, 201, 204, 409, 422)
    for call in story.calls():  # what was refused comes again, as agents do it
        one.send(call)
    farm.settle()
    assert farm.request(asked.id).state is RequestState.READY
    events = [event for event in farm.events() if event.type in ("build.complete", "environment.ready")]
    assert [event.type for event in events].count("build.complete") == 1
    assert len(farm.build(asked.builds[0]).arches[0].artifacts) == len(story.files)


def test_a_spoiled_upload_is_refused_and_leaves_nothing(farm: Farm, builders: tuple[Builder, Builder]) -> None:
    one, _ = builders
    farm.ask(farm.add_source("hello"))
    farm.settle()
    story = begin(one)
    before = dump(farm)
    kept = {blob for blob, _ in farm.hub.blobs.objects.walk()}
    for data in story.files.values():
        flipped = bytes([data[0] ^ 1]) + data[1:]
        for spoiled in (data[:-1], data[: len(data) // 2], b"", data + b"\0", flipped, data[::-1]):
            assert one.send(story.upload(spoiled, sha(data))).status_code == 422
    for name in ("x" * 64, sha(b"x").upper(), "0" * 63, "..%2f..%2fetc%2fpasswd"):
        assert one.send(story.upload(b"x", name)).status_code in (404, 422)
    after = dump(farm)
    assert {name: after[name] for name in after if name not in OF_BEATS} == {
        name: before[name] for name in before if name not in OF_BEATS
    }
    assert {blob for blob, _ in farm.hub.blobs.objects.walk()} == kept


def lies(story: Story) -> Iterator[tuple[str, dict[str, Any]]]:
    good = story.result
    outputs = good["outputs"]
    text = {"stage": "build", "kind": "compile", "message": "no"}
    yield "another job", {**good, "job": str(story.job + 1)}
    yield "another attempt", {**good, "attempt": story.attempt + 1}
    yield "a file that was never uploaded", {**good, "outputs": [{**outputs[0], "sha256": "0" * 64}]}
    yield "another size", {**good, "outputs": [{**outputs[0], "size": outputs[0]["size"] + 1}]}
    yield "no hash", {**good, "outputs": [{**outputs[0], "sha256": "sha256:x"}]}
    for path in ("../../etc/passwd", "/etc/passwd", "a/../../b", "", "."):
        yield f"the path {path!r}", {**good, "outputs": [{**outputs[0], "path": path}]}
    yield "two files of one name", {**good, "outputs": [outputs[0], {**outputs[1], "path": outputs[0]["path"]}]}
    yield "a status that is none", {**good, "status": "accepted"}
    yield "another api", {**good, "api": [1]}
    yield "a NUL", {**good, "status": "failed", "failure": {**text, "message": "a\0b"}}
    yield "half a character", {**good, "status": "failed", "failure": {**text, "message": "\ud800"}}


def test_a_lying_result_is_refused_and_the_true_one_taken(farm: Farm, builders: tuple[Builder, Builder]) -> None:
    one, two = builders
    asked = farm.ask(farm.add_source("hello"))
    farm.settle()
    story = begin(one)
    for call in story.calls()[:-1]:
        assert one.send(call).status_code < 300, call
    before = dump(farm)
    for what, result in lies(story):
        answer = one.send(story.finish(result))
        assert answer.status_code == 422, (what, answer.text)
        assert answer.json()["error"], what
        assert dump(farm) == before, what
    for forged in (
        Story(story.job, story.attempt + 1, story.grant, story.source),
        Story(story.job, story.attempt - 1, story.grant, story.source),
        Story(story.job, story.attempt, "0" * len(story.grant), story.source),
        Story(story.job + 1, story.attempt, story.grant, story.source),
    ):
        for call in forged.calls():
            assert one.send(call).status_code in (403, 404, 409, 422), (forged, call)
    assert two.send(story.finish()).status_code == 409, "a grant is its agent's own"
    assert dump(farm) == before
    assert one.send(story.finish()).json() == {"accepted": True, "state": "succeeded"}
    farm.settle()
    assert farm.request(asked.id).state is RequestState.READY
