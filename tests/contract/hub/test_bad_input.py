"""Input that makes no sense, by HTTP: refused with a reason, and not one row is another than before."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import pytest
import sqlalchemy as sa
from fastapi.testclient import TestClient

from deb_orchestrator.services import agents, people, sources, suites
from deb_orchestrator.store.tables import job
from deb_orchestrator.web.api.app import make_app
from debcore.blobs import BlobStore
from debcore.hub.model import PREFIX, AgentState, Enrol, NeededPackage, SourceFile, TokenAsk
from debcore.hub.suites import SuiteAsk
from tests.contract.hub.test_replays import Builder, Story, begin, dump, sha
from tests.unit.orchestrator.services.farm import ADMIN, SUITE, Farm, make_dsc, only, open_here

FAR = 2**40  # bytes, or a number of an event that is far from now
CHILD = "child-suite"


@dataclass(frozen=True)
class World:
    """hello 1.0 is in the suite, and `child-suite` inherits it; `busy` is being built by *story*'s builder."""

    farm: Farm
    admin: TestClient
    builder: Builder
    story: Story
    build: int
    busy: int

    def call(self, method: str, path: str, **options: Any) -> Any:
        return self.admin.request(method, PREFIX + path, **options)

    def ask(self, package: NeededPackage, **changes: Any) -> Any:
        """Of the hub that *package* is built."""
        body = {"target": SUITE, "arches": ["amd64"], "packages": [{**package.model_dump(mode="json"), **changes}]}
        return self.call("POST", "/requests", json=body)

    def ask_dsc(self, dsc: bytes, tarball: bytes = b"x") -> Any:
        """The same with *dsc* as it is, whatever it is."""
        files = {"evil_1.0.dsc": dsc, "evil_1.0.tar.xz": tarball}
        listed = tuple(SourceFile(name=n, sha256=self.farm.put(d), size=len(d)) for n, d in files.items())
        return self.ask(NeededPackage(source="evil", version="1.0", dsc_sha256=listed[0].sha256, files=listed))

    def job(self, verb: str, method: str = "POST", *, attempt: int | None = None, **options: Any) -> Any:
        """What the builder says of its job; *attempt*: another than its own."""
        headers = dict(self.story.headers)
        if attempt is not None:
            headers["X-Attempt"] = str(attempt)
        headers["Authorization"] = f"Bearer {self.builder.token}"
        return self.builder.app.request(method, f"{PREFIX}/jobs/{self.story.job}/{verb}", headers=headers, **options)


@pytest.fixture
def world(farm: Farm) -> Iterator[World]:
    asked = farm.ask(farm.add_source("hello"))
    farm.finish_well(only(farm.claim()))
    farm.settle()
    suites.make_suite(farm.hub, ADMIN, CHILD, SuiteAsk(arches=("amd64",), parents=(SUITE,)))
    busy = farm.ask(farm.add_source("busy"))
    farm.settle()
    token = "t" * 40
    agents.enrol(farm.hub, Enrol(name="two", token=token, arches=("amd64",)), state=AgentState.APPROVED)
    secret = people.make_token(farm.hub, ADMIN, TokenAsk(name="root", scope="admin")).secret
    app = make_app(farm.hub)
    with TestClient(app, base_url="http://127.0.0.1", raise_server_exceptions=False) as anybody:
        builder = Builder(anybody, token)
        admin = TestClient(app, base_url="http://127.0.0.1", headers={"Authorization": f"Bearer {secret}"})
        yield World(farm, admin, builder, begin(builder), asked.builds[0], busy.builds[0])


def evil_dsc(**fields: str) -> bytes:
    """A good one, but for *fields*: the text of a field, or nothing to leave it out."""
    text = make_dsc("evil", "1.0", binaries=["evil"]).decode()
    for name, value in fields.items():
        field = name.replace("_", "-")
        head, _, tail = text.partition(f"{field}:")
        rest = tail.split("\n")
        while len(rest) > 1 and rest[1].startswith(" "):
            rest.pop(1)
        text = head + (f"{field}: {value}\n" if value else "") + "\n".join(rest[1:])
    return text.encode()


def sums(name: str, data: bytes = b"x") -> str:
    return f"\n {sha(data)} {len(data)} {name}"


def same_version(world: World) -> Any:
    return world.ask(world.farm.add_source("hello", tarball=b"other"))


def changed(key: str, value: Any) -> Callable[[World], Any]:
    return lambda world: world.ask(world.farm.add_source("evil"), **{key: value})


def named(name: str) -> Callable[[World], Any]:
    """A source file of that name."""
    file = {"name": name, "sha256": sha(b"x"), "size": 1}
    return lambda world: world.ask(world.farm.add_source("evil"), files=[file])


def of_dsc(**fields: str) -> Callable[[World], Any]:
    return lambda world: world.ask_dsc(evil_dsc(**fields))


def api(method: str, path: str, body: Any = None, **options: Any) -> Callable[[World], Any]:
    def call(world: World) -> Any:
        return world.call(method, path.format(build=world.build, busy=world.busy), json=body, **options)

    return call


def raw(content: bytes, path: str = "/requests", method: str = "POST") -> Callable[[World], Any]:
    return lambda world: world.call(method, path, content=content, headers={"Content-Type": "application/json"})


def finish(world: World, result: Any = None, **changes: Any) -> Any:
    document = world.story.result if result is None else result
    body = {"attempt": world.story.attempt, "result": document, "hash": sha(b"r"), **changes}
    return world.job("finish", json=body)


def finish_with(path: str, data: bytes = b"x") -> Callable[[World], Any]:
    """A result with one file of that name, which was not sent."""
    output = {"path": path, "sha256": sha(data), "size": len(data), "kind": "deb"}
    return lambda world: finish(world, {**world.story.result, "outputs": [output]})


TARGET = {"name": "t", "preset": "debian-trixie", "suite": "t", "arches": ["amd64"]}
#: What it is, how it is sent, and words of the reason.
BAD: list[tuple[str, Callable[[World], Any], str]] = [
    # .dsc
    ("noise", lambda w: w.ask_dsc(b"\x00\xff\xfe noise"), "not UTF-8"),
    ("empty", lambda w: w.ask_dsc(b""), "not exactly one stanza"),
    ("html", lambda w: w.ask_dsc(b"<script>alert(1)</script>"), "is no field"),
    ("no source", of_dsc(Source=""), "lacks the field Source"),
    ("no files", of_dsc(Checksums_Sha256="", Files=""), "the .dsc and the files given differ"),
    ("path in dsc", of_dsc(Checksums_Sha256=sums("../../etc/passwd")), "'../../etc/passwd' is not a plain file name"),
    ("root in dsc", of_dsc(Checksums_Sha256=sums("/etc/passwd")), "'/etc/passwd' is not a plain file name"),
    ("bad sums", of_dsc(Checksums_Sha256="\n zz notanumber x"), "is no line of checksums"),
    ("other source", of_dsc(Source="bash"), "the .dsc is of bash 1.0"),
    ("other version", of_dsc(Version="2.0"), "the .dsc is of evil 2.0"),
    ("bad version", of_dsc(Version="1.0;reboot"), "the .dsc is of evil 1.0;reboot"),
    ("lying sums", lambda w: w.ask_dsc(evil_dsc(), b"other"), "the .dsc and the files given differ"),
    ("huge dsc", lambda w: w.ask_dsc(evil_dsc() + b"X-A: " + b"a" * 5_000_000 + b"\n"), "larger than 4194304 bytes"),
    # names and versions
    ("path as source", changed("source", "../../etc/passwd"), "packages.0.source"),
    ("path as version", changed("version", "1/../../2"), "packages.0.version"),
    ("words as version", changed("version", "1.0 OR 1=1"), "packages.0.version"),
    ("other version than the .dsc", changed("version", "3.0"), "the .dsc is of evil 1.0"),
    ("path as file", named("../../etc/passwd"), "files.0.name"),
    ("nul in a file name", named("a\x00b"), "files.0.name"),
    ("line in a file name", named("a\nb"), "files.0.name"),
    (
        "file twice",
        lambda w: w.ask(p := w.farm.add_source("evil"), files=[f.model_dump() for f in p.files] * 2),
        "do not name the .dsc once",
    ),
    ("not uploaded", changed("dsc_sha256", sha(b"never sent")), "it was never uploaded"),
    ("negative size", changed("files", [{"name": "a", "sha256": sha(b"x"), "size": -1}]), "files.0.size"),
    # hashes and sizes
    ("other bytes", lambda w: w.call("PUT", f"/blobs/{sha(b'a')}", content=b"b"), "the content has SHA-256"),
    ("no hash", lambda w: w.call("PUT", "/blobs/..%2F..%2Fetc", content=b"b"), "Not Found"),
    ("huge hold", lambda w: w.call("POST", f"/blobs/{sha(b'a')}/hold", params={"size": FAR**2}), "query.size"),
    ("negative hold", lambda w: w.call("POST", f"/blobs/{sha(b'a')}/hold", params={"size": -1}), "query.size"),
    (
        "gap",
        lambda w: w.call("PUT", f"/blobs/{sha(b'a')}/partial", params={"offset": 5, "size": 9}, content=b"b"),
        "the hub has 0 bytes",
    ),
    (
        "more than said",
        lambda w: w.call("PUT", f"/blobs/{sha(b'a')}/partial", params={"offset": 0, "size": 1}, content=b"bbb"),
        "larger than the 1 bytes announced",
    ),
    ("huge body", raw(b'{"x": "' + b"a" * 70_000_000 + b'"}'), "the body is larger than"),
    ("deep body", raw(b"[" * 100_000), "parsing the body"),
    ("no JSON", raw(b"\xff{"), "parsing the body"),
    ("a list", raw(b"[]"), "valid dictionary"),
    ("huge number", raw(b'{"scratch": 1e999}', "/retention", "PUT"), "scratch"),
    # unknown
    (
        "unknown target",
        lambda w: w.call(
            "POST",
            "/requests",
            json={"target": "no", "arches": ["amd64"], "packages": [w.farm.add_source("evil").model_dump(mode="json")]},
        ),
        "there is no target no",
    ),
    (
        "unknown arch",
        lambda w: w.call(
            "POST",
            "/requests",
            json={"target": SUITE, "arches": ["vax"], "packages": [w.farm.add_source("evil").model_dump(mode="json")]},
        ),
        "does not build for vax",
    ),
    ("unknown suite", api("PUT", "/suites/no-suite/rules/x1", {"state": "blocked"}), "there is no suite no-suite"),
    ("unknown parent", api("PUT", f"/suites/{CHILD}/parents", {"parents": ["no-suite"]}), "there is no suite no-suite"),
    (
        "unknown build suite",
        api("PUT", "/targets/t", {**TARGET, "build_suite": "no-suite"}),
        "there is no suite no-suite",
    ),
    ("unknown package", api("POST", f"/suites/{CHILD}/packages", {"source": "no-source"}), "there is no no-source"),
    ("unknown merge", api("POST", f"/suites/{CHILD}/merge", {"suite": "no-suite"}), "there is no suite no-suite"),
    ("unknown build", api("POST", "/builds/99999/cancel"), "there is no build 99999"),
    ("unknown request", api("POST", "/requests/nothing/cancel"), "there is no request nothing"),
    ("unknown agent", api("POST", "/agents/nobody/approve"), "there is no agent nobody"),
    (
        "unknown binNMU",
        api("POST", f"/targets/{SUITE}/binnmus", {"sources": ["no-source"], "reason": "x"}),
        "has no source no-source",
    ),
    ("path as suite", api("PUT", "/suites/..%2F..%2Fetc", {}), "Not Found"),
    ("path as target", api("PUT", "/targets/t", {**TARGET, "suite": "../../etc"}), "body.suite"),
    # loops
    ("own parent", api("PUT", f"/suites/{SUITE}/parents", {"parents": [SUITE]}), "inherit in a loop"),
    ("loop", api("PUT", f"/suites/{SUITE}/parents", {"parents": [CHILD]}), "child-suite → trixie-local"),
    ("born in a loop", api("PUT", "/suites/fresh", {"parents": ["fresh"]}), "inherit in a loop"),
    # out of order
    ("resubmit what is there", api("POST", "/builds/{build}/resubmit"), "only what ended badly"),
    ("cancel what has ended", api("POST", "/builds/{build}/cancel"), "is installed already"),
    ("check what is not built", api("POST", "/builds/{busy}/checks", {"names": ["lintian"]}), "has no packages"),
    (
        "snapshot of next century",
        api("POST", f"/suites/{SUITE}/snapshots", {"at": "2126-01-01T00:00:00Z"}),
        "in the future",
    ),
    ("back to the future", api("POST", f"/suites/{SUITE}/revert", {"event": FAR}), "has not happened"),
    ("snapshot of the future", api("POST", f"/suites/{SUITE}/snapshots", {"event": FAR}), "has not happened"),
    ("remove what is not there", api("DELETE", f"/suites/{SUITE}/packages/no-source"), "holds nothing of no-source"),
    ("a key that is not there", api("DELETE", f"/suites/{SUITE}/keys/{'A' * 40}"), "no key AAAA"),
    ("beat of the future", lambda w: w.job("beat", attempt=9, json={"attempt": 9}), "attempt 9 of job"),
    ("beat of two minds", lambda w: w.job("beat", json={"attempt": 9}), "attempt 9 of job"),
    ("log with a gap too far", lambda w: w.job("log", "PUT", params={"offset": -1}, content=b"x"), "query.offset"),
    (
        "events before their lock",
        lambda w: w.job(
            "events",
            json={
                "attempt": 1,
                "events": [{"n": 1, "type": "environment.ready", "data": {"lock_sha256": sha(b"?"), "packages": 1}}],
            },
        ),
        "was not uploaded",
    ),
    ("finish of the future", lambda w: finish(w, attempt=9), "not of"),
    ("result of another job", lambda w: finish(w, {**w.story.result, "job": "99"}), "the result is of job 99"),
    ("result without its files", lambda w: finish(w), "was not uploaded"),
    ("result with a path", finish_with("../../etc/passwd"), "leads out of the directory"),
    ("result that is none", lambda w: finish(w, {"status": "wonderful"}), "job: Field required"),
    ("hash that is none", lambda w: finish(w, hash="zz"), "body.hash"),
    (
        "grant of nobody",
        lambda w: w.builder.app.post(
            f"{PREFIX}/jobs/{w.story.job}/release",
            json={"attempt": 1, "reason": "x"},
            headers={"X-Grant": "0" * 64, "X-Attempt": "1", "Authorization": f"Bearer {w.builder.token}"},
        ),
        "is over",
    ),
]


@pytest.fixture(autouse=True)
def in_this_process(monkeypatch: pytest.MonkeyPatch) -> None:
    """The sealed process that opens files has tests of its own, with such files."""
    monkeypatch.setattr(sources, "open_files", open_here)


@pytest.fixture
def uploaded(world: World, monkeypatch: pytest.MonkeyPatch) -> set[str]:
    """Hashes of what the test itself sends before it asks: good bytes, which stay."""
    put, sent = world.farm.put, set[str]()

    def note(data: bytes) -> str:
        sent.add(put(data))
        return BlobStore.name_of(data)

    monkeypatch.setattr(world.farm, "put", note)
    return sent


def read_rows(world: World) -> dict[str, list[Any]]:
    """Every row, but for leases, which any call with a good grant renews, and holds, which run out."""
    rows = dump(world.farm)
    with world.farm.hub.db.read() as db:
        columns = [column for column in job.c if column.name != "lease_until"]
        rows["job"] = sorted((tuple(row) for row in db.execute(sa.select(*columns))), key=repr)
    del rows["hold"]
    return rows


def list_changes(before: dict[str, list[Any]], after: dict[str, list[Any]], uploaded: set[str]) -> list[str]:
    """Tables with other rows than before; of blobs only those that are not *uploaded*."""

    def of(rows: dict[str, list[Any]], table: str) -> list[Any]:
        return [row for row in rows[table] if table != "blob" or not uploaded.intersection(map(str, row))]

    return [table for table in before if of(before, table) != of(after, table)]


def test_bad_input_says_why_and_changes_nothing(world: World, uploaded: set[str]) -> None:
    """All on one farm: to make one takes longer than all of them together."""
    before = read_rows(world)
    assert len(before) > 40
    for name, send, reason in BAD:
        answer = send(world)
        assert 400 <= answer.status_code < 500, (name, answer.status_code, answer.text)
        said = answer.json()
        assert reason in f"{said['error']} {said['hint']}", (name, said)
        assert list_changes(before, read_rows(world), uploaded) == [], name


def test_another_content_under_a_version_that_is_there_ends_its_request(world: World) -> None:
    """A request names many packages: it is answered with what each of them has, and nothing is built of this one."""
    builds = world.call("GET", "/builds").json()
    answer = world.ask(world.farm.add_source("hello", tarball=b"other"))
    assert answer.json()["state"] == "failed"
    assert "hello" in answer.json()["failures"][0]["reason"]
    assert world.call("GET", "/builds").json() == builds
