"""Uploads in pieces: they go on where they were cut off, and a lie leaves nothing."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient

from deb_orchestrator.services import partials, uploads
from debcore.errors import Failure
from debcore.http import Answer, HttpFailure
from debcore.hub import client as clients
from debcore.hub.client import HubClient
from tests.unit.orchestrator.api.conftest import make_token, with_token
from tests.unit.orchestrator.services.farm import Farm

DATA = bytes(range(256)) * 40
SHA = hashlib.sha256(DATA).hexdigest()
PATH = f"/api/v1/blobs/{SHA}/partial"


def put(client: TestClient, offset: int, data: bytes, *, size: int = len(DATA), path: str = PATH) -> Any:
    return client.put(path, params={"offset": offset, "size": size}, content=data)


def offset_of(client: TestClient) -> int:
    return int(client.head(PATH).headers["upload-offset"])


def left_behind(farm: Farm) -> list[str]:
    return sorted(file.name for file in (farm.hub.blobs.root / "incoming").iterdir())


def test_pieces_become_the_blob(farm: Farm, client: TestClient) -> None:
    assert offset_of(client) == 0
    first = put(client, 0, DATA[:1000])
    assert (first.status_code, first.json()) == (202, {"offset": 1000})
    assert offset_of(client) == 1000
    again = put(client, 0, DATA[:1000])
    assert (again.status_code, again.headers["upload-offset"]) == (409, "1000"), "it is said where to go on"
    last = put(client, 1000, DATA[1000:])
    assert (last.status_code, last.json()) == (201, {"sha256": SHA, "size": len(DATA)})
    assert uploads.check_blob(farm.hub, SHA).size == len(DATA)
    assert client.get(f"/api/v1/blobs/{SHA}").content == DATA
    assert left_behind(farm) == []


def test_lies_leave_nothing(farm: Farm, client: TestClient) -> None:
    put(client, 0, DATA[:1000])
    other = put(client, 1000, b"x" * (len(DATA) - 1000))
    assert other.status_code == 422
    assert SHA in other.json()["error"]
    assert left_behind(farm) == []
    assert client.get(f"/api/v1/blobs/{SHA}").status_code == 404
    assert put(client, 0, DATA, size=len(DATA) - 1).status_code == 422, "more than was announced"
    assert left_behind(farm) == []
    assert put(client, 0, b"x", size=2**60).status_code == 422, "more than the hub takes"
    assert put(client, 0, b"x", path="/api/v1/blobs/../../etc/partial").status_code == 404
    assert put(client, 0, b"x", path=f"/api/v1/blobs/{'z' * 64}/partial").status_code == 422
    assert left_behind(farm) == []


def test_nobody_spoils_anothers_upload(farm: Farm, client: TestClient, admin: TestClient) -> None:
    put(client, 0, DATA[:1000])
    assert put(admin, 0, b"lies").status_code == 202
    assert offset_of(client) == 1000
    assert put(client, 1000, DATA[1000:]).status_code == 201
    agent = with_token(client, "nobody")
    assert put(agent, 0, DATA).status_code == 401


def test_unfinished_uploads_are_bounded(farm: Farm, client: TestClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(partials, "MAX_PARTIALS", 2)
    statuses = [put(client, 0, b"x", path=PATH.replace(SHA, f"{n:064x}")).status_code for n in range(3)]
    assert statuses == [202, 202, 422]


class Cutting:
    """Stands for debcore.http.Http, on an application in this process: every second piece is cut off in its midst."""

    def __init__(self, client: TestClient, *, lose: bool = False) -> None:
        self.client, self.sent, self.lose, self.calls = client, 0, lose, 0

    def call(self, method: str, path: str, **options: Any) -> Answer:
        content = options.pop("content", None)
        options.pop("timeout", None), options.pop("repeat", None)
        if isinstance(content, Path):
            content = content.read_bytes()
        self.calls += content is not None
        if content is not None and self.calls % 2:
            self.client.request(method, path, content=content[: len(content) // 2], params=options["params"])
        answer = self.client.request(method, path, content=content, **options)
        self.sent += len(content or b"")
        if answer.status_code >= 400:
            raise HttpFailure(answer.status_code, answer.text)
        return Answer(answer.status_code, dict(answer.headers), answer.content)

    def json(self, method: str, path: str, **options: Any) -> Any:
        import json

        return json.loads(self.call(method, path, **options).body)


def test_the_client_goes_on_where_it_was_cut_off(
    farm: Farm, anybody: TestClient, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(clients, "PIECE", 1000)
    file = tmp_path / "file"
    file.write_bytes(DATA)
    hub = HubClient("http://127.0.0.1:1")
    cutting = Cutting(with_token(anybody, make_token(farm, "client")))
    hub.http = cutting  # type: ignore[assignment]
    assert hub.put_blob(file) == SHA
    assert uploads.check_blob(farm.hub, SHA).size == len(DATA)
    monkeypatch.setattr(clients, "MAX_CUTS", 0)
    file.write_bytes(DATA + b"!")
    with pytest.raises(Failure, match="the hub has"):
        hub.put_blob(file)
