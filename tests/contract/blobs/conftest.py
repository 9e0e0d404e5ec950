"""Each store of blobs: files, and a bucket of a real S3 server."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from debcore.blobs import BlobStore
from debcore.blobs_s3 import S3Objects
from tests.contract.blobs.s3 import BUCKET, PLACE, S3Server, running_s3


@pytest.fixture(scope="session")
def s3(tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3Server]:
    with running_s3(tmp_path_factory.mktemp("s3")) as server:
        yield server


@pytest.fixture
def bucket(s3: S3Server) -> S3Server:
    """Emptied."""
    client = s3.client()
    for found in client.list_objects_v2(Bucket=BUCKET).get("Contents", ()):
        client.delete_object(Bucket=BUCKET, Key=found["Key"])
    return s3


@pytest.fixture(params=["files", "s3"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> BlobStore:
    if request.param == "files":
        return BlobStore(tmp_path / "blobs")
    server: S3Server = request.getfixturevalue("bucket")
    return BlobStore(tmp_path / "blobs", S3Objects(PLACE, endpoint=server.url))
