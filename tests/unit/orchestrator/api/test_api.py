"""Who may do what, what is refused and how, and what parks."""

from __future__ import annotations

import hashlib
import secrets
import threading
import time
from typing import Any

import pytest
from fastapi.testclient import TestClient

from deb_orchestrator.services import people
from deb_orchestrator.web.api.app import MAX_BODY
from tests.unit.orchestrator.api.conftest import make_token, with_token
from tests.unit.orchestrator.services.farm import ADMIN, SUITE, Farm, make_dsc

API = "/api/v1"


def sha(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def enrol(anybody: TestClient, name: str = "amd64-01", token: str = "") -> tuple[dict[str, Any], str]:
    token = token or secrets.token_urlsafe(32)
    answer = anybody.post(f"{API}/agents", json={"name": name, "token": token, "arches": ["amd64"]})
    assert answer.status_code == 201, answer.text
    body: dict[str, Any] = answer.json()
    return body, token


def claim(agent: TestClient, **more: Any) -> Any:
    ask = {"claim_id": secrets.token_urlsafe(12), "boot_id": "boot", **more}
    return agent.post(f"{API}/jobs/claim", json=ask)


def submit(client: TestClient, name: str = "hello") -> dict[str, Any]:
    tarball = b"x"
    dsc = make_dsc(name, "1.0", binaries=[name], tarball=tarball)
    files = {f"{name}_1.0.dsc": dsc, f"{name}_1.0.tar.xz": tarball}
    for data in files.values():
        assert client.put(f"{API}/blobs/{sha(data)}", content=data).status_code == 201
    listed = [{"name": n, "sha256": sha(d), "size": len(d)} for n, d in files.items()]
    package = {"source": name, "version": "1.0", "dsc_sha256": sha(dsc), "files": listed}
    answer = client.post(f"{API}/requests", json={"target": SUITE, "arches": ["amd64"], "packages": [package]})
    assert answer.status_code == 200, answer.text
    body: dict[str, Any] = answer.json()
    return body


def test_health_needs_no_token_and_all_else_does(anybody: TestClient) -> None:
    assert anybody.get(f"{API}/health").json()["ok"] is True
    for path in ("/builds", "/events", "/suites", "/tokens", f"/blobs/{'0' * 64}"):
        answer = anybody.get(API + path)
        assert answer.status_code == 401
        assert answer.json()["hint"]
    assert with_token(anybody, "no-such-token").get(f"{API}/builds").status_code == 401


def test_scopes_keep_apart(farm: Farm, client: TestClient, anybody: TestClient) -> None:
    assert client.get(f"{API}/builds").json() == []
    assert client.get(f"{API}/tokens").status_code == 403
    assert client.post(f"{API}/agents/x/approve").status_code == 403
    assert claim(client).status_code == 403
    with_session = people.use_login_link(farm.hub, people.make_login_link(farm.hub, ADMIN)[0])
    anybody.cookies.set("debootc_session", with_session)
    assert anybody.get(f"{API}/builds").status_code == 200
    assert anybody.post(f"{API}/builds/1/cancel").status_code == 401, "a cookie alone changes nothing"


def test_a_revoked_token_is_no_token(farm: Farm, admin: TestClient) -> None:
    made = admin.post(f"{API}/tokens", json={"name": "ci", "scope": "client", "days": 1}).json()
    ci = with_token(admin, made["secret"])
    assert ci.get(f"{API}/builds").status_code == 200
    assert admin.delete(f"{API}/tokens/{made['id']}").status_code == 204
    assert ci.get(f"{API}/builds").status_code == 401
    assert "secret" not in [key for token in admin.get(f"{API}/tokens").json() for key, value in token.items() if value]


def test_an_upload_that_lies_is_refused_and_nothing_kept(farm: Farm, client: TestClient) -> None:
    lie = client.put(f"{API}/blobs/{sha(b'truth')}", content=b"a lie")
    assert lie.status_code == 422
    assert "SHA-256" in lie.json()["error"]
    assert client.get(f"{API}/blobs/{sha(b'truth')}").status_code == 404
    assert client.get(f"{API}/blobs/{sha(b'a lie')}").status_code == 404
    assert not list(farm.hub.blobs._incoming.iterdir())
    too_much = client.post(f"{API}/blobs/{sha(b'x')}/hold", params={"size": 2**50})
    assert too_much.status_code == 422
    assert client.put(f"{API}/blobs/NOT-A-HASH", content=b"x").status_code == 422


def test_an_upload_comes_back_as_it_was(client: TestClient) -> None:
    data = secrets.token_bytes(3_000_000)
    assert client.post(f"{API}/blobs/{sha(data)}/hold", params={"size": len(data)}).json() == {"present": False}
    assert client.put(f"{API}/blobs/{sha(data)}", content=data).status_code == 201
    assert client.post(f"{API}/blobs/{sha(data)}/hold", params={"size": len(data)}).json() == {"present": True}
    assert client.get(f"{API}/blobs/{sha(data)}").content == data


def test_bodies_are_bounded(client: TestClient) -> None:
    assert client.post(f"{API}/requests", content=b"x" * (MAX_BODY + 1)).status_code == 413


def test_refusals_are_json_with_a_hint(client: TestClient) -> None:
    for answer in (
        client.get(f"{API}/builds/99"),
        client.get(f"{API}/targets/none"),
        client.get(f"{API}/nothing"),
        client.post(f"{API}/requests", json={"target": 7}),
    ):
        assert answer.status_code in (404, 422)
        assert set(answer.json()) == {"error", "hint"}
        assert answer.json()["error"]


def test_agents_enrol_wait_are_approved_and_revoked(admin: TestClient, anybody: TestClient) -> None:
    known, token = enrol(anybody)
    agent = with_token(anybody, token)
    assert known["state"] == "pending"
    assert agent.get(f"{API}/agents/me").status_code == 403
    assert claim(agent).status_code == 403
    assert admin.post(f"{API}/agents/amd64-01/approve").json()["fingerprint"] == sha(token.encode())[:16]
    assert agent.get(f"{API}/agents/me").json()["state"] == "approved"
    assert claim(agent).status_code == 204
    taken = anybody.post(f"{API}/agents", json={"name": "amd64-01", "token": "x" * 40, "arches": ["amd64"]})
    assert taken.status_code == 409
    assert enrol(anybody, token=token)[0]["state"] == "approved", "asking again is the same agent"
    assert admin.post(f"{API}/agents/amd64-01/revoke").json()["state"] == "revoked"
    assert claim(agent).status_code == 403
    assert anybody.post(f"{API}/agents/none/approve").status_code == 401


def test_the_life_of_a_job_over_http(farm: Farm, client: TestClient, admin: TestClient, anybody: TestClient) -> None:
    _, token = enrol(anybody)
    admin.post(f"{API}/agents/amd64-01/approve")
    agent = with_token(anybody, token)
    request = submit(client)
    got = claim(agent).json()
    headers = {"X-Job": str(got["job"]), "X-Attempt": str(got["attempt"]), "X-Grant": got["grant"]}
    job = f"{API}/jobs/{got['job']}"
    assert agent.post(f"{job}/beat", json={"attempt": 1}, headers=headers).json()["cancel"] is False
    assert agent.put(f"{job}/log", params={"offset": 0}, content=b"hello\n", headers=headers).json() == {"next": 6}
    build = request["builds"][0]
    log = client.get(f"{API}/builds/{build}/amd64/log", params={"offset": 1})
    assert (log.content, log.headers["x-log-complete"]) == (b"ello\n", "0")
    # Without the grant, or with another one, nothing goes.
    evil = {**headers, "X-Grant": "0" * 64}
    assert agent.post(f"{job}/beat", json={"attempt": 1}, headers=evil).status_code == 409
    assert agent.put(f"{job}/log", params={"offset": 0}, content=b"x", headers=evil).status_code == 409
    assert agent.put(f"{API}/blobs/{sha(b'z')}", content=b"z").status_code == 403
    assert agent.put(f"{API}/blobs/{sha(b'y')}", content=b"y").status_code == 403
    assert agent.put(f"{API}/blobs/{sha(b'y')}", content=b"y", headers=evil).status_code == 409
    lock = b"{}"
    ready = {"n": 1, "type": "environment.ready", "data": {"lock_sha256": sha(lock), "packages": 3}}
    early = agent.post(f"{job}/events", json={"attempt": 1, "events": [ready]}, headers=headers)
    assert early.status_code == 422, "the lock comes first"
    assert agent.put(f"{API}/blobs/{sha(lock)}", content=lock, headers=headers).status_code == 201
    for _ in range(2):
        sent = agent.post(f"{job}/events", json={"attempt": 1, "events": [ready]}, headers=headers)
        assert sent.status_code == 204
    result = {"job": str(got["job"]), "status": "failed", "failure": {"stage": "build", "kind": "x", "message": "no"}}
    done = agent.post(f"{job}/finish", json={"attempt": 1, "result": result, "hash": sha(b"r")}, headers=headers)
    assert done.json() == {"accepted": True, "state": "failed"}
    again = agent.post(f"{job}/finish", json={"attempt": 1, "result": result, "hash": sha(b"r")}, headers=headers)
    assert again.json() == done.json()
    other = agent.post(f"{job}/finish", json={"attempt": 1, "result": result, "hash": sha(b"s")}, headers=headers)
    assert other.status_code == 409
    farm.settle()
    ended = client.get(f"{API}/requests/{request['id']}", params={"wait": 5}).json()
    assert (ended["state"], ended["failures"][0]["reason"]) == ("failed", "no")
    types = [event["type"] for event in client.get(f"{API}/events", params={"request": request["id"]}).json()]
    assert types == ["packages.needed", "build.requested", "environment.ready", "build.complete", "packages.failed"]


def test_a_parked_claim_wakes_at_once(client: TestClient, admin: TestClient, anybody: TestClient) -> None:
    _, token = enrol(anybody)
    admin.post(f"{API}/agents/amd64-01/approve")
    agent, answers = with_token(anybody, token), []

    def park() -> None:
        answers.append((claim(agent, wait=20), time.monotonic()))

    # One loop for both calls, as in a real hub: entering the client starts it.
    with agent:
        thread = threading.Thread(target=park)
        thread.start()
        time.sleep(0.5)
        assert not answers
        submit(agent_client := with_token(agent, make_token_of(client)))
        asked = time.monotonic()
        thread.join(18)
        agent_client.close()
    assert answers[0][0].status_code == 200
    assert answers[0][1] - asked < 15, "it waited for its time to end"


def make_token_of(client: TestClient) -> str:
    return str(client.headers["authorization"].removeprefix("Bearer "))


def test_events_come_in_pages_and_wait(farm: Farm, client: TestClient) -> None:
    submit(client)
    everything = client.get(f"{API}/events").json()
    assert [event["n"] for event in everything] == list(range(1, len(everything) + 1))
    page = client.get(f"{API}/events", params={"after": 2, "limit": 1}).json()
    assert [event["n"] for event in page] == [3]
    start = time.monotonic()
    assert client.get(f"{API}/events", params={"after": 10_000, "wait": 1}).json() == []
    assert time.monotonic() - start >= 1


def test_targets_are_made_once(client: TestClient) -> None:
    wanted = {"name": "mine", "preset": "debian-trixie", "suite": "mine", "arches": ["amd64"]}
    assert client.put(f"{API}/targets/mine", json=wanted).json()["suite"] == "mine"
    assert client.put(f"{API}/targets/mine", json=wanted).status_code == 200
    assert client.put(f"{API}/targets/mine", json={**wanted, "preset": "debian-sid"}).status_code == 409
    assert client.put(f"{API}/targets/mine", json={**wanted, "name": "other"}).status_code == 422
    assert client.get(f"{API}/suites/mine").json()["apt_uri"] == "http://127.0.0.1/apt"


def test_the_archive_is_open_and_knows_what_it_has(anybody: TestClient) -> None:
    assert anybody.get("/apt/dists/none/InRelease").status_code == 404
    assert anybody.get("/apt/../hub.sqlite").status_code == 404
    assert anybody.get(f"/apt/keys/{SUITE}.asc").text == "KEY"


def test_the_openapi_document_names_every_route(anybody: TestClient) -> None:
    document = anybody.get(f"{API}/openapi.json").json()
    paths = {path.removeprefix(API) for path in document["paths"]}
    assert {
        "/blobs/{sha256}", "/requests", "/requests/{id_}", "/builds", "/builds/{id_}", "/builds/{id_}/why",
        "/builds/{id_}/{arch}/log", "/suites/{name}", "/targets/{name}", "/events", "/events/stream", "/agents",
        "/agents/{name}/approve", "/jobs/claim", "/jobs/{job_id}/finish", "/jobs/{job_id}/log", "/tokens", "/health",
    } <= paths  # fmt: skip


def test_a_login_link_is_a_url_of_the_hub(farm: Farm, anybody: TestClient) -> None:
    admin = with_token(anybody, make_token(farm, "admin"))
    link = admin.post(f"{API}/login-links").json()
    assert link["url"].startswith("http://127.0.0.1/login/")


def test_a_database_with_too_much_to_do_is_told_as_such_and_tried_again(
    farm: Farm, anybody: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(farm.hub.db.write_engine.pool, "_timeout", 0.01)
    ask = {"name": "amd64-07", "token": "t" * 43, "arches": ["amd64"]}
    with farm.hub.db.write():  # the only one who writes to SQLite
        answer = anybody.post("/api/v1/agents", json=ask)
    assert (answer.status_code, answer.json()["error"]) == (503, "the hub's database is too busy")
    assert anybody.post("/api/v1/agents", json=ask).status_code == 201
