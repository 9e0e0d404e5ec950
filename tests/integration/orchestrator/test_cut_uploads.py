"""An upload that is cut off on the wire goes on where it was."""

from __future__ import annotations

import hashlib
import http.client
from contextlib import closing
from pathlib import Path
from urllib.parse import urlsplit

from debcore.hub.credential import load_token
from tests.integration.orchestrator.stack import Stack, wait_for

SIZE = 3 * 1024 * 1024


def test_a_cut_connection_loses_nothing_that_came(stack: Stack, tmp_path: Path) -> None:
    _, up = stack.start_ready("hub", "--state", tmp_path / "state", "--port", "0")
    data = bytes(range(256)) * (SIZE // 256)
    path = f"/api/v1/blobs/{hashlib.sha256(data).hexdigest()}/partial"
    headers = {"Authorization": f"Bearer {load_token(Path(up['token_file']))}"}

    def offset() -> int:
        with closing(http.client.HTTPConnection(urlsplit(up["url"]).netloc, timeout=60)) as connection:
            connection.request("HEAD", path, headers=headers)
            with connection.getresponse() as answer:
                return int(answer.headers["Upload-Offset"])

    cut = http.client.HTTPConnection(urlsplit(up["url"]).netloc, timeout=60)
    cut.putrequest("PUT", f"{path}?offset=0&size={SIZE}")
    for name, value in {**headers, "Content-Length": str(SIZE)}.items():
        cut.putheader(name, value)
    cut.endheaders()
    cut.send(data[: SIZE // 2])
    cut.close()
    wait_for(lambda: offset() == SIZE // 2, why="keeping what came")
    with closing(http.client.HTTPConnection(urlsplit(up["url"]).netloc, timeout=60)) as rest:
        rest.request("PUT", f"{path}?offset={SIZE // 2}&size={SIZE}", body=data[SIZE // 2 :], headers=headers)
        with rest.getresponse() as answer:
            assert answer.status == 201
    assert offset() == 0, "nothing partial is left"
