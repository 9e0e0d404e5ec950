"""A call with an idempotency key does what it asks for once, however often and from wherever it comes."""

from __future__ import annotations

import threading
from typing import Any

import pytest
import sqlalchemy as sa
from fastapi.testclient import TestClient

from deb_orchestrator.services import people, repeats
from deb_orchestrator.services.hub import Conflict
from deb_orchestrator.store import once
from deb_orchestrator.store.once import Once
from deb_orchestrator.web.api.app import make_app
from deb_orchestrator.web.api.idempotency import SECRET
from debcore.hub.model import PREFIX, TokenAsk
from tests.unit.orchestrator.services.farm import ADMIN, Farm, only

KEY = {"Idempotency-Key": "a-key-of-mine"}


@pytest.fixture
def admin(farm: Farm) -> TestClient:
    secret = people.make_token(farm.hub, ADMIN, TokenAsk(name="admin", scope="admin")).secret
    return TestClient(make_app(farm.hub), base_url="http://127.0.0.1", headers={"Authorization": f"Bearer {secret}"})


def fail_build(farm: Farm) -> int:
    request = farm.ask(farm.add_source("hello"))
    farm.finish(only(farm.claim()), "failed", message="no")
    farm.settle()
    return request.builds[0]


def test_a_repeated_call_gets_the_first_answer_and_does_nothing(farm: Farm, admin: TestClient) -> None:
    build = fail_build(farm)
    path = f"{PREFIX}/builds/{build}/resubmit"
    first = admin.post(path, headers=KEY)
    again = admin.post(path, headers=KEY)
    assert (first.status_code, first.json()["id"]) == (200, build + 1)
    assert (again.status_code, again.json()) == (200, first.json())
    assert again.headers["idempotent-replayed"] == "true"
    assert admin.post(path).json()["id"] == build + 2, "without the key it is another call"
    other = admin.post(f"{PREFIX}/builds/{build + 1}/resubmit", headers=KEY)
    assert other.status_code == 422, "a key is for one call"
    assert admin.post(path, headers={"Idempotency-Key": "x"}).status_code == 422
    with farm.hub.db.write() as db:
        db.execute(sa.text("UPDATE once SET at = 0"))
    assert admin.post(path, headers={"Idempotency-Key": "another-key"}).json()["id"] == build + 3
    assert admin.post(path, headers=KEY).json()["id"] == build + 4, "after a day it is forgotten"


def test_what_failed_is_tried_again_and_a_secret_is_not_kept(farm: Farm, admin: TestClient) -> None:
    missing = admin.post(f"{PREFIX}/builds/999/resubmit", headers=KEY)
    assert missing.status_code == 404
    made = admin.post(f"{PREFIX}/tokens", json={"name": "ci", "scope": "client"}, headers=KEY)
    assert made.status_code == 201, "a key that did nothing is free"
    again = admin.post(f"{PREFIX}/tokens", json={"name": "ci", "scope": "client"}, headers=KEY)
    assert again.status_code == 409
    assert len([token for token in people.list_tokens(farm.hub) if token.name == "ci"]) == 1
    with farm.hub.db.read() as db:
        assert made.json()["secret"] not in str(db.execute(sa.text("SELECT * FROM once")).all())


def test_of_calls_at_the_same_time_one_is_carried_out(farm: Farm) -> None:
    done: list[str] = []
    start = threading.Barrier(4)

    def call() -> None:
        once.CURRENT.set(Once("id", "fingerprint"))
        start.wait()
        try:
            people.make_token(farm.hub, ADMIN, TokenAsk(name="ci", scope="client"))
            done.append("done")
        except once.AlreadyDone:
            done.append("refused")

    threads = [threading.Thread(target=call) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert sorted(done) == ["done", "refused", "refused", "refused"]
    assert [token.name for token in people.list_tokens(farm.hub)] == ["ci"]
    with pytest.raises(Conflict):
        repeats.find_answer(farm.hub, Once("id", "fingerprint"))


def test_every_answer_with_a_secret_is_listed(farm: Farm) -> None:
    document: dict[str, Any] = make_app(farm.hub).openapi()
    models = document["components"]["schemas"]
    found = set()
    for path, methods in document["paths"].items():
        for answer in methods.get("post", {}).get("responses", {}).values():
            schema = answer.get("content", {}).get("application/json", {}).get("schema", {})
            properties = models.get(schema.get("$ref", "").rpartition("/")[2], {}).get("properties", {})
            if {"secret", "hook"} & properties.keys():
                assert path.endswith(SECRET), path
                found.add(f"/{path.rpartition('/')[2]}")
    assert found >= {"/tokens", "/uploaders", "/webhooks", "/credentials", "/triggers"}
