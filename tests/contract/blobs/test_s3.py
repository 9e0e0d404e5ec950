"""S3 when it fails: clear words, nothing lost, and the same call works once it is back."""

from __future__ import annotations

import hashlib
import logging
import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from fastapi.testclient import TestClient

from deb_orchestrator.artifacts import open_objects
from deb_orchestrator.services import people
from deb_orchestrator.services.hub import Hub
from deb_orchestrator.store.engine import open_database
from deb_orchestrator.store.migrate import migrate
from deb_orchestrator.web.api.app import make_app
from debcore import blobs_s3
from debcore.blobs import CHUNK, BlobStore, StoreAway
from debcore.blobs_s3 import S3Objects
from debcore.errors import Failure
from debcore.hub import model
from debcore.hub.client import HubClient
from tests.contract.blobs.s3 import BUCKET, CREDENTIALS, PLACE, Relay, S3Server, running_s3
from tests.contract.hub.calling import InProcess
from tests.unit.orchestrator.services.farm import ADMIN

DATA = os.urandom(4 * CHUNK)
NAME = hashlib.sha256(DATA).hexdigest()


@pytest.fixture
def relay(bucket: S3Server) -> Iterator[Relay]:
    made = Relay(bucket.port)
    yield made
    made.close()


def test_a_cut_upload_leaves_nothing_and_works_later(bucket: S3Server, relay: Relay, tmp_path: Path) -> None:
    store = BlobStore(tmp_path, S3Objects(PLACE, endpoint=relay.url))
    relay.limit = CHUNK
    with pytest.raises(StoreAway, match="cannot be reached"):
        store.put(DATA)
    assert relay.cut.is_set()
    assert "Contents" not in bucket.client().list_objects_v2(Bucket=BUCKET)
    relay.limit = None
    store.put(DATA)
    assert store.read(NAME) == DATA


def test_parts_of_killed_uploads_are_given_up(
    bucket: S3Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(blobs_s3, "PART", 5 * CHUNK)
    store = BlobStore(tmp_path, S3Objects(PLACE, endpoint=bucket.url))
    data = os.urandom(12 * CHUNK)
    assert store.read(store.put(data).sha256) == data, "in parts"
    client = bucket.client()
    client.create_multipart_upload(Bucket=BUCKET, Key="farm/ab/cd")
    assert store.sweep_incoming(older_than=200 * 365 * 86400) == 0  # this server says 2010, always
    assert store.sweep_incoming() == 1
    assert "Uploads" not in client.list_multipart_uploads(Bucket=BUCKET)


def test_a_read_that_breaks_off_goes_on(bucket: S3Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = BlobStore(tmp_path, S3Objects(PLACE, endpoint=bucket.url))
    store.put(DATA)
    whole, cuts = S3Objects._read_once, [CHUNK + 5, 7]

    def broken(self: S3Objects, name: str, start: int, end: int) -> Iterator[bytes]:
        if not cuts:
            yield from whole(self, name, start, end)
            return
        yield from whole(self, name, start, start + cuts.pop())
        raise StoreAway("cut")

    monkeypatch.setattr(S3Objects, "_read_once", broken)
    assert store.read(NAME) == DATA
    assert cuts == []


def test_wrong_places_are_told_at_the_start(bucket: S3Server) -> None:
    for place in ("s3://", "s3://UPPER/x", "s3://a/../b", "/srv/blobs", "s3://a b/c"):
        with pytest.raises(Failure, match="names no bucket"):
            S3Objects(place, endpoint=bucket.url)
    with pytest.raises(StoreAway, match="there is no bucket other"):
        open_objects("s3://other/x", bucket.url)
    assert open_objects(None) is None


def test_credentials_are_in_no_log(bucket: S3Server, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    BlobStore(tmp_path, S3Objects(PLACE, endpoint=bucket.url)).put(b"hello")
    for secret in (CREDENTIALS["AWS_SECRET_ACCESS_KEY"], CREDENTIALS["AWS_ACCESS_KEY_ID"], "AWS4-HMAC-SHA256"):
        assert secret not in caplog.text


@pytest.fixture
def own_s3(tmp_path: Path) -> Iterator[S3Server]:
    """One that a test may kill."""
    directory = tmp_path / "own"
    directory.mkdir()
    with running_s3(directory) as server:
        yield server


def test_a_hub_whose_s3_server_is_killed_in_the_middle_of_an_upload(own_s3: S3Server, tmp_path: Path) -> None:
    relay = Relay(own_s3.port)
    with open_database(tmp_path / "hub.db") as db:
        migrate(db)
        store = BlobStore(tmp_path / "blobs", S3Objects(PLACE, endpoint=relay.url))
        hub = Hub(db=db, blobs=store, state=tmp_path)
        token = people.make_token(hub, ADMIN, model.TokenAsk(name="client", scope="client")).secret
        headers = {"Authorization": f"Bearer {token}"}
        with TestClient(make_app(hub), base_url="http://127.0.0.1", headers=headers) as app:
            client = HubClient("http://127.0.0.1", token)
            client.http = InProcess(app)  # type: ignore[assignment]
            where = f"{model.PREFIX}/blobs/{NAME}"
            relay.limit = CHUNK
            answer = app.put(where, content=DATA)
            own_s3.kill()
            assert relay.cut.is_set()
            assert (answer.status_code, "S3 server runs" in answer.json()["hint"]) == (503, True)
            assert app.get(where).status_code == 404, "no row before the bytes"
            # An upload in pieces, all of which come; the last step needs the server.
            answer = app.put(f"{where}/partial", content=DATA, params={"offset": 0, "size": len(DATA)})
            assert answer.status_code == 503
            assert app.head(f"{where}/partial").headers["upload-offset"] == str(len(DATA)), "what came stays"
            relay.limit = None
            own_s3.start()
            file = tmp_path / "file"
            file.write_bytes(DATA)
            client.put_blob(file)
            done = app.put(f"{where}/partial", content=b"", params={"offset": len(DATA), "size": len(DATA)})
            assert (done.status_code, done.json()) == (201, {"sha256": NAME, "size": len(DATA)})
            _read_over_http(app, where)
            # The server comes back without it: a client that has it is asked to send it again.
            own_s3.kill()
            assert app.get(where).status_code == 503
            assert app.post(f"{where}/hold", params={"size": len(DATA)}).status_code == 503
            own_s3.start()
            assert app.get(where).status_code == 404
            assert app.post(f"{where}/hold", params={"size": len(DATA)}).json() == {"present": False}
            client.put_blob(file)
            assert app.get(where).content == DATA
    relay.close()


def _read_over_http(app: TestClient, where: str) -> None:
    whole = app.get(where)
    assert (whole.content, whole.headers["content-length"]) == (DATA, str(len(DATA)))
    part = app.get(where, headers={"Range": "bytes=10-19"})
    assert (part.status_code, part.content) == (206, DATA[10:20])
    assert part.headers["content-range"] == f"bytes 10-19/{len(DATA)}"
    for wanted, expected in (("bytes=-5", DATA[-5:]), (f"bytes={len(DATA) - 3}-", DATA[-3:])):
        assert app.get(where, headers={"Range": wanted}).content == expected
    assert app.get(where, headers={"Range": f"bytes={len(DATA)}-"}).status_code == 416
    for more in ({"Range": "bytes=1-2", "If-Range": "Fri, 27 Nov 2026 00:00:00 GMT"}, {"Range": "bytes=1-2,4-5"}):
        assert app.get(where, headers=more).content == DATA, "never a part of another content"
    assert app.head(where).headers["content-length"] == str(len(DATA))
