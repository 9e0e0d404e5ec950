"""The relay answers those who know its path, and carries nothing but files of the archive."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.error import HTTPError
from urllib.parse import urlsplit
from urllib.request import urlopen

import pytest

from deb_orchestrator.agent.relay import find_path, relaying
from debcore.http import Http

SECRET = "00ff" * 8


@pytest.fixture
def hub() -> Iterator[tuple[str, list[str]]]:
    """A hub that tells what it was asked for."""
    asked: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(self.path)
            self.send_response(200)
            self.send_header("Content-Length", "5")
            self.end_headers()
            self.wfile.write(b"index")

        def log_message(self, format: str, *args: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_address[1]}", asked
    server.shutdown()
    server.server_close()
    thread.join()


def status_of(url: str) -> int:
    try:
        with urlopen(url, timeout=60) as answer:
            return int(answer.status)
    except HTTPError as error:
        return error.code


def test_only_who_knows_the_path_is_answered(hub: tuple[str, list[str]]) -> None:
    url, asked = hub
    with Http(url, token="token") as http, relaying(http) as base, relaying(http) as other:
        assert urlsplit(base).path != urlsplit(other).path
        with urlopen(f"{base}/apt/dists/x/InRelease", timeout=60) as answer:
            assert answer.read() == b"index"
        assert asked == ["/apt/dists/x/InRelease"]
        at = urlsplit(base)
        root = f"{at.scheme}://{at.netloc}"
        strangers = (
            f"{root}/apt/dists/x/InRelease", f"{root}/", root, f"{root}/{'0' * 32}/apt/dists/x/InRelease",
            f"{root}{urlsplit(other).path}/apt/dists/x/InRelease", base, f"{base}/", f"{base}/api/v1/builds",
            f"{base}/apt/../api/v1/builds", f"{base}/apt/%2e%2e/api/v1/builds", f"{base}x/apt/dists/x/InRelease",
        )  # fmt: skip
        assert {status_of(one) for one in strangers} == {404}
        assert len(asked) == 1


@pytest.mark.parametrize(
    ("path", "found"),
    [
        (f"/{SECRET}/apt/pool/a", "/apt/pool/a"),
        (f"/{SECRET}/apt/a/b?c", "/apt/a/b?c"),
        (f"//{SECRET}/apt/a", None),
        (f"/{SECRET}", None),
        (f"/{SECRET}/apt", None),
        (f"/{SECRET[:-1]}/apt/a", None),
        ("/\udcff/apt/a", None),
        ("", None),
    ],
)
def test_a_path_of_the_relay(path: str, found: str | None) -> None:
    assert find_path(SECRET, path) == found
