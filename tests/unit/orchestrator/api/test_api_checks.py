"""Checks over the API: who may order and who may set a gate, what is refused, logs by offset."""

from __future__ import annotations

import pytest
from fastapi.testclient import TestClient

from tests.contract.hub.test_checks import finish, report
from tests.unit.orchestrator.services.farm import SUITE, Farm, only

PLAN = {"names": ["lintian"], "fail_on": ["lintian:warning"], "gate": True}


def test_only_an_admin_sets_what_is_checked(client: TestClient, admin: TestClient) -> None:
    path = f"/api/v1/targets/{SUITE}/checks"
    assert client.put(path, json={"plan": PLAN}).status_code == 403
    assert admin.put(path, json={"plan": PLAN}).json()["checks"] == {**PLAN, "policy": None}
    assert client.get(f"/api/v1/targets/{SUITE}").json()["checks"]["gate"] is True
    assert admin.put(path, json={"plan": None}).json()["checks"] is None


@pytest.mark.parametrize(
    "plan",
    [
        {"names": []},
        {"names": ["--help"]},
        {"names": ["lintian"] * 33},
        {"names": ["lintian"], "fail_on": ["lintian:warning:x"]},
        {"names": ["lintian"], "policy": "x" * 65537},
    ],
)
def test_a_plan_that_is_none_is_refused(admin: TestClient, plan: dict[str, object]) -> None:
    assert admin.put(f"/api/v1/targets/{SUITE}/checks", json={"plan": plan}).status_code == 422


def test_a_client_orders_checks_and_reads_their_logs(farm: Farm, client: TestClient, anybody: TestClient) -> None:
    farm.with_agent("checker", "check")
    asked = farm.ask(farm.add_source("hello"))
    build = f"/api/v1/builds/{asked.builds[0]}"
    assert client.post(f"{build}/checks", json={}).status_code == 409, "nothing is built yet"
    farm.finish_well(only(farm.claim()))
    farm.settle()
    assert anybody.post(f"{build}/checks", json={}).status_code == 401
    (ordered,) = client.post(f"{build}/checks", json={"names": ["lintian"]}).json()["checks"]
    assert ordered["state"] == "queued"
    finish(farm, only(farm.claim()), [report("lintian", "failed")], status="failed", message="bad")
    (found,) = client.get(build).json()["checks"]
    assert (found["state"], found["reports"][0]["findings"][0]["tag"]) == ("failed", "bad")
    (listed,) = client.get("/api/v1/builds").json()[0]["checks"]
    assert (listed["reports"][0]["counts"], listed["reports"][0]["findings"]) == ({"error": 1}, [])
    log = client.get(f"{build}/checks/{found['id']}/lintian/log", params={"offset": 7})
    assert (log.content, log.headers["content-type"]) == (b"lintian", "text/plain; charset=utf-8")
    assert client.get(f"{build}/checks/{found['id']}/blhc/log").status_code == 404
    assert client.post(f"{build}/checks", json={"gate": True}).status_code == 409
