"""Suites over HTTP: who may change them, and what bad input gets."""

from __future__ import annotations

from typing import Any

import pytest
from fastapi.testclient import TestClient

from tests.unit.orchestrator.services.farm import SUITE, Farm

API = "/api/v1/suites"


def test_a_suite_is_made_inherits_and_tells_its_history(admin: TestClient) -> None:
    made = admin.put(f"{API}/side", json={"arches": ["amd64"], "parents": [SUITE]})
    assert (made.status_code, made.json()["name"]) == (200, "side")
    assert admin.get(f"{API}/side/parents").json()["order"] == ["side", SUITE]
    rules = admin.put(f"{API}/side/rules/libc++", json={"state": "blocked", "owner": "<b>me</b>"}).json()
    assert [(r["source"], r["owner"], r["suite"]) for r in rules] == [("libc++", "<b>me</b>", "side")]
    history = admin.get(f"{API}/side/history").json()
    assert [change["type"] for change in history] == ["suite.rule", "suite.made"]
    assert admin.post(f"{API}/side/revert", json={"event": history[1]["event"]}).json()["event"] > history[0]["event"]
    assert admin.get(f"{API}/side/rules").json() == []
    diff = admin.get(f"{API}/side/diff", params={"old": 0}).json()
    assert (diff["order_before"], diff["order_after"]) == (["side"], ["side", SUITE])
    assert admin.get(f"{API}/side/packages").json()["packages"] == []
    assert admin.delete(f"{API}/side/rules/libc++").status_code == 404


CHANGES: list[tuple[str, str, Any]] = [
    ("PUT", "/x", {}),
    ("PUT", f"/{SUITE}/parents", {"parents": []}),
    ("PUT", f"/{SUITE}/rules/hello", {"state": "blocked"}),
    ("DELETE", f"/{SUITE}/rules/hello", None),
    ("POST", f"/{SUITE}/packages", {"source": "hello"}),
    ("DELETE", f"/{SUITE}/packages/hello", None),
    ("POST", f"/{SUITE}/revert", {"event": 0}),
    ("POST", f"/{SUITE}/merge", {"suite": SUITE}),
]


@pytest.mark.parametrize(("method", "path", "body"), CHANGES)
def test_only_administrators_change_suites(
    client: TestClient, anybody: TestClient, method: str, path: str, body: Any
) -> None:
    assert client.request(method, API + path, json=body).status_code == 403
    assert anybody.request(method, API + path, json=body).status_code == 401


@pytest.mark.parametrize(
    ("method", "path", "body", "status"),
    [
        ("PUT", f"/{SUITE}/parents", {"parents": [SUITE]}, 422),
        ("PUT", f"/{SUITE}/parents", {"parents": ["nowhere"]}, 404),
        ("PUT", f"/{SUITE}/parents", {"parents": ["../etc"]}, 422),
        ("PUT", "/..%2fetc", {}, 404),
        ("PUT", "/-bad-", {}, 422),
        ("PUT", "/side", {"arches": []}, 422),
        ("PUT", "/side", {"components": ["a b"]}, 422),
        ("PUT", f"/{SUITE}/rules/UPPER", {"state": "blocked"}, 422),
        ("PUT", f"/{SUITE}/rules/x';DROP TABLE suite", {"state": "blocked"}, 422),
        ("PUT", f"/{SUITE}/rules/hello", {"state": "perhaps"}, 422),
        ("PUT", f"/{SUITE}/rules/hello", {"state": "blocked", "owner": "x" * 129}, 422),
        ("DELETE", f"/{SUITE}/rules/hello", None, 404),
        ("POST", f"/{SUITE}/packages", {"source": "hello"}, 404),
        ("POST", "/nowhere/packages", {"source": "hello"}, 404),
        ("POST", f"/{SUITE}/packages", {"source": "hello", "version": "1 or 1=1"}, 422),
        ("DELETE", f"/{SUITE}/packages/hello", None, 404),
        ("POST", f"/{SUITE}/revert", {"event": 10**6}, 422),
        ("POST", f"/{SUITE}/revert", {"event": -1}, 422),
        ("GET", f"/{SUITE}/packages?at=999999", None, 422),
        ("GET", f"/{SUITE}/packages?at={2**63}", None, 422),
        ("GET", f"/{SUITE}/diff?old=x", None, 422),
        ("POST", f"/{SUITE}/merge", {"suite": "nowhere"}, 404),
        ("GET", f"/../targets/{SUITE}/rebuild-plan", None, 422),
        ("GET", f"/../targets/{SUITE}/rebuild-plan?of=A'B", None, 422),
        ("GET", f"/../targets/{SUITE}/rebuild-plan?of=libfoo", None, 404),
        ("POST", f"/../targets/{SUITE}/binnmus", {"sources": ["hello"], "reason": "x"}, 404),
        ("POST", f"/../targets/{SUITE}/binnmus", {"sources": ["hello"], "reason": "two\nlines"}, 422),
        ("GET", "/nowhere/history", None, 404),
        ("GET", "/nowhere/diff?old=0", None, 404),
        ("GET", "/nowhere/rules", None, 404),
        ("GET", "/nowhere/parents", None, 404),
    ],
)
def test_bad_input_is_refused_and_changes_nothing(
    farm: Farm, admin: TestClient, method: str, path: str, body: Any, status: int
) -> None:
    before = farm.events_so_far()
    answer = admin.request(method, API + path, json=body)
    assert answer.status_code == status, answer.text
    assert answer.json()["error"]
    assert farm.events_so_far() == before
