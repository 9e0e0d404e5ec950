"""The registry of a gate: what a pull asks is answered from the layout, and nothing else is ever read."""

from __future__ import annotations

import hashlib
import http.client
import json
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from deb_bootc_compose.gate.registry import make_server

KIND = "application/vnd.oci.image.manifest.v1+json"
LAYER = b"a layer" * 1000


def add_blob(layout: Path, content: bytes) -> str:
    digest = hashlib.sha256(content).hexdigest()
    (layout / "blobs/sha256").mkdir(parents=True, exist_ok=True)
    (layout / "blobs/sha256" / digest).write_bytes(content)
    return f"sha256:{digest}"


@pytest.fixture
def layout(tmp_path: Path) -> tuple[Path, str, str]:
    layer = add_blob(tmp_path / "oci", LAYER)
    manifest = json.dumps({"mediaType": KIND, "layers": [{"digest": layer}]}).encode()
    (tmp_path / "secret").write_text("not for the guest")
    return tmp_path / "oci", add_blob(tmp_path / "oci", manifest), layer


@pytest.fixture
def connection(layout: tuple[Path, str, str]) -> Iterator[http.client.HTTPConnection]:
    server = make_server(layout[0], layout[1], 0)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    made = http.client.HTTPConnection("127.0.0.1", server.server_address[1], timeout=30)
    yield made
    made.close()
    server.shutdown()
    thread.join()
    server.server_close()


def ask(connection: http.client.HTTPConnection, path: str, method: str = "GET") -> tuple[int, dict[str, str], bytes]:
    """On one connection that is kept open: an answer of a wrong length would spoil the next."""
    connection.request(method, path)
    response = connection.getresponse()
    return response.status, dict(response.getheaders()), response.read()


def test_a_pull_finds_manifest_and_layers(
    connection: http.client.HTTPConnection, layout: tuple[Path, str, str]
) -> None:
    _, digest, layer = layout
    assert ask(connection, "/v2/")[0] == 200
    for reference in ("latest", digest):
        status, headers, content = ask(connection, f"/v2/deb-bootc-gate/manifests/{reference}")
        assert (status, headers["Content-Type"], headers["Docker-Content-Digest"]) == (200, KIND, digest)
        assert f"sha256:{hashlib.sha256(content).hexdigest()}" == digest
    status, headers, content = ask(connection, f"/v2/deb-bootc-gate/manifests/{digest}", "HEAD")
    assert (status, headers["Docker-Content-Digest"], content) == (200, digest, b"")
    assert ask(connection, f"/v2/a/b/blobs/{layer}")[2] == LAYER
    untyped = add_blob(layout[0], b'{"layers": []}')
    assert ask(connection, f"/v2/x/manifests/{untyped}")[1]["Content-Type"] == KIND, "the type need not be in it"


@pytest.mark.parametrize(
    "path",
    [
        "/", "/v2/x/tags/list", "/v2/_catalog", "/v2/x/blobs/latest", "/v2/x/blobs/sha256:../../../secret",
        "/v2/x/manifests/../../../../secret", "/v2/x/manifests/sha256:" + "0" * 64, "/v2/x/blobs/sha256:" + "0" * 64,
        "/v2/x/blobs/sha256:" + "0" * 63 + "%30", "/v2/X/manifests/latest", f"/v2/{'a' * 3000}/manifests/latest",
    ],
)  # fmt: skip
def test_nothing_else_is_there(connection: http.client.HTTPConnection, path: str) -> None:
    status, headers, content = ask(connection, path)
    assert (status, headers["Content-Type"]) == (404, "application/json")
    assert json.loads(content)["errors"]
    assert ask(connection, "/v2/")[0] == 200


def test_what_is_no_file_or_no_manifest_is_not_given(
    connection: http.client.HTTPConnection, layout: tuple[Path, str, str]
) -> None:
    place, _, layer = layout
    (place / "blobs/sha256" / ("1" * 64)).symlink_to("../../../secret")
    (place / "blobs/sha256" / ("2" * 64)).mkdir()
    for name in ("1" * 64, "2" * 64):
        assert ask(connection, f"/v2/x/blobs/sha256:{name}")[0] == 404
    assert ask(connection, f"/v2/x/manifests/{layer}")[0] == 404


@pytest.mark.parametrize("method", ["PUT", "POST", "DELETE", "PATCH"])
def test_nothing_can_be_written(connection: http.client.HTTPConnection, method: str) -> None:
    assert ask(connection, "/v2/x/manifests/latest", method)[0] == 501
