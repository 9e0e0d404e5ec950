"""The client's own judgement: what a .dsc says, what is repeated, what is never sent."""

from __future__ import annotations

import hashlib
import json
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from debcore.errors import ConfigError, Failure
from debcore.http import Http, HttpFailure, Unreachable, _trust, is_loopback
from debcore.hub.credential import Credential, find_credential, load_credential, write_credential
from debcore.hub.model import NeededPackage, PackagesNeeded, SourceFile
from debcore.hub.source import load_source


@contextmanager
def answering(*answers: tuple[int, bytes]) -> Iterator[tuple[str, list[str]]]:
    """A server that gives *answers* in turn (the last one for ever), and what it was asked."""
    asked: list[str] = []
    left = list(answers)

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.rfile.read(int(self.headers.get("Content-Length", 0)))
            asked.append(f"{self.command} {self.path} {self.headers.get('Authorization', '')}".strip())
            code, body = left.pop(0) if len(left) > 1 else left[0]
            self.send_response(code)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        do_POST = do_PUT = do_GET

        def log_message(self, format: str, *args: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}", asked
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def test_passing_faults_are_tried_again_but_posts_are_not() -> None:
    with answering((503, b"{}"), (200, b'{"a": 1}')) as (url, asked), Http(url, token="t") as http:
        assert http.json("GET", "/x") == {"a": 1}
        assert asked == ["GET /x Bearer t"] * 2
    with answering((503, b"{}"), (200, b"{}")) as (url, asked), Http(url) as http:
        with pytest.raises(HttpFailure):
            http.json("POST", "/x")
        assert len(asked) == 1


def test_refusals_carry_the_hubs_words_and_are_not_repeated() -> None:
    body = json.dumps({"error": "no such build", "hint": "list them"}).encode()
    with answering((404, body)) as (url, asked), Http(url) as http:
        with pytest.raises(HttpFailure) as refused:
            http.json("GET", "/x")
        assert (refused.value.code, str(refused.value), refused.value.hint) == (404, "no such build", "list them")
        assert len(asked) == 1


def test_answers_are_bounded_and_downloads_checked(tmp_path: Path) -> None:
    good = hashlib.sha256(b"data").hexdigest()
    with answering((200, b"data")) as (url, _), Http(url) as http:
        with pytest.raises(Failure, match="more than 3 bytes"):
            http.call("GET", "/x", max_size=3)
        http.fetch("/x", tmp_path / "good", sha256=good, max_size=10)
        for wrong in ({"sha256": "0" * 64, "max_size": 10}, {"sha256": good, "max_size": 2}):
            with pytest.raises(Failure):
                http.fetch("/x", tmp_path / "bad", **wrong)  # type: ignore[arg-type]
    assert [path.name for path in tmp_path.iterdir()] == ["good"]


def test_nobody_there() -> None:
    with Http("http://127.0.0.1:9", tries=1) as http, pytest.raises(Unreachable, match="does not answer"):
        http.json("GET", "/x")
    with pytest.raises(Failure, match="no http or https URL"):
        Http("ftp://x")


@pytest.mark.parametrize(
    ("url", "loopback"),
    [("http://127.0.0.1:1", True), ("http://127.9.9.9", True), ("http://[::1]:1", True), ("http://localhost", True),
     ("http://localhost.example.org", False), ("http://10.0.0.1", False), ("http://127.0.0.1.example.org", False)],
)  # fmt: skip
def test_tokens_stay_on_this_host_without_tls(url: str, loopback: bool) -> None:
    assert is_loopback(url) is loopback
    if not loopback:
        with pytest.raises(Failure, match="no token is sent"):
            Http(url, token="secret")


def write_source(at: Path, *, content: bytes = b"tar", name: str = "x_1.tar.xz", extra: str = "") -> Path:
    (at / "x_1.tar.xz").write_bytes(b"tar")
    digest = hashlib.sha256(content).hexdigest()
    dsc = at / "x_1.dsc"
    dsc.write_text(f"Source: xx\nVersion: 1\nChecksums-Sha256:\n {digest} {len(content)} {name}\n{extra}")
    return dsc


def test_a_dsc_is_read_with_its_files(tmp_path: Path) -> None:
    needed, paths = load_source(write_source(tmp_path))
    assert (needed.source, needed.version, [path.name for path in paths]) == ("xx", "1", ["x_1.dsc", "x_1.tar.xz"])
    assert needed.files[0].sha256 == needed.dsc_sha256


@pytest.mark.parametrize(
    ("content", "name", "words"),
    [(b"rat", "x_1.tar.xz", "hash or size differ"), (b"tar", "../x_1.tar.xz", "not a plain file name"),
     (b"tar", "y.tar.xz", "is missing")],
)  # fmt: skip
def test_a_bad_dsc_is_refused(tmp_path: Path, content: bytes, name: str, words: str) -> None:
    with pytest.raises(Failure, match=words):
        load_source(write_source(tmp_path, content=content, name=name))


def test_what_is_no_dsc_is_refused(tmp_path: Path) -> None:
    (tmp_path / "x.dsc").write_text("hello")
    write_source(tmp_path).write_text((tmp_path / "x_1.dsc").read_text().replace("Source: xx", "Source: $(evil)"))
    for path in (tmp_path / "x.dsc", tmp_path / "none.dsc", tmp_path / "x_1.dsc"):
        with pytest.raises(Failure):
            load_source(path)


def test_credentials_are_kept_closed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "config" / "client.json"
    write_credential(path, Credential("http://127.0.0.1:1", "secret"))
    assert path.stat().st_mode & 0o777 == 0o600
    assert load_credential(path).token == "secret"
    assert "secret" not in repr(load_credential(path))
    monkeypatch.delenv("DEBOOTC_HUB", raising=False)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "none"))
    with pytest.raises(Failure, match="no hub is known"):
        find_credential()
    path.write_text("{")
    with pytest.raises(ConfigError):
        load_credential(path)
    (tmp_path / "token").write_text("t\n")
    monkeypatch.setenv("DEBOOTC_HUB", "http://127.0.0.1:2")
    monkeypatch.setenv("DEBOOTC_TOKEN_FILE", str(tmp_path / "token"))
    assert find_credential() == Credential("http://127.0.0.1:2", "t", None)


def test_what_speaks_plain_http_reads_no_authorities_and_trusts_none() -> None:
    context = _trust(None, secure=False)
    assert (context.verify_mode, context.check_hostname) == (ssl.CERT_REQUIRED, True)
    assert context.cert_store_stats()["x509"] == 0
    assert _trust(None, secure=True) is True, "httpx takes the authorities that the system trusts"


def test_the_id_of_a_request_is_its_content() -> None:
    files = tuple(SourceFile(name=f"x_{n}", sha256=str(n) * 64, size=n) for n in (1, 2))
    one = NeededPackage(source="xx", version="1", dsc_sha256="1" * 64, files=files)
    two = one.model_copy(update={"source": "yy", "files": files[::-1]})
    first = PackagesNeeded(target="t", arches=("amd64", "arm64"), packages=(one, two))
    other = PackagesNeeded(target="t", arches=("arm64", "amd64"), packages=(two, one))
    assert first.id == other.id
    assert first.id != first.model_copy(update={"target": "u"}).id
