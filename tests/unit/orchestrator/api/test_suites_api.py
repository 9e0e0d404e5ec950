"""Settings of suites over HTTP."""

from __future__ import annotations

import pytest
from fastapi.testclient import TestClient

from tests.unit.orchestrator.services.farm import Farm


def find_suite(client: TestClient) -> str:
    return str(client.get("/api/v1/suites").json()[0]["name"])


def test_settings_are_read_by_clients_and_changed_by_admins(farm: Farm, admin: TestClient, client: TestClient) -> None:
    path = f"/api/v1/suites/{find_suite(client)}/settings"
    before = client.get(path).json()
    assert before["contents"] is True
    wanted = before | {"valid_s": 7 * 86400, "xz": True}
    refused = client.put(path, json=wanted)
    assert refused.status_code == 403
    assert client.get(path).json() == before
    assert admin.put(path, json=wanted).json() == wanted
    assert client.get(path).json() == wanted


@pytest.mark.parametrize("wrong", [{"valid_s": 5}, {"valid_s": 10**12}, {"contents": "perhaps"}, {"xz": None}])
def test_wrong_settings_change_nothing(farm: Farm, admin: TestClient, wrong: dict[str, object]) -> None:
    path = f"/api/v1/suites/{find_suite(admin)}/settings"
    before = admin.get(path).json()
    assert admin.put(path, json=wrong).status_code == 422
    assert admin.get(path).json() == before
    assert admin.put("/api/v1/suites/no-such/settings", json={}).status_code == 404
