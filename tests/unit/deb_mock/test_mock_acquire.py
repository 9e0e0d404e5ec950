"""Sources that come from elsewhere: what is fetched, what is refused, and who must have signed."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Iterator
from functools import partial
from http.server import BaseHTTPRequestHandler, SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from deb_mock.acquire import declare
from deb_mock.config import Choice, choose
from deb_mock.dsc import load_dsc
from deb_mock.fetch import fetch_dsc_by_url, fetch_file
from deb_mock.policy import find_demand, judge_dsc, refuse_directory
from deb_mock.settings import Layer, check_layer
from deb_mock.source import DirectorySource, GitSource, UrlSource, find_source
from debcore.errors import ConfigError, Failure, HostFailed
from tests.unit.deb_mock.test_mock_sources import write_dsc


def chosen(**source: object) -> Choice:
    return choose(preset="trixie", arch="amd64", options=[check_layer(Layer("a test", {"source": source}))])


class Quiet(SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: object) -> None:
        """Tests print nothing."""


@pytest.fixture
def served(tmp_path: Path) -> Iterator[str]:
    """A URL under which this test's directory is served."""
    (tmp_path / "www").mkdir()
    write_dsc(tmp_path / "www")
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(tmp_path / "www")))
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()
    thread.join()


def test_a_dsc_is_fetched_with_its_files(served: str, tmp_path: Path) -> None:
    dsc = fetch_dsc_by_url(f"{served}/hello_1.dsc", tmp_path, max_size=1000)
    assert (dsc.source, (tmp_path / "hello_1.tar.xz").read_bytes()) == ("hello", b"content\n")


def test_a_server_that_lies_is_refused(served: str, tmp_path: Path) -> None:
    (tmp_path / "www" / "hello_1.tar.xz").write_bytes(b"CONTENT\n")
    with pytest.raises(Failure, match="SHA-256"):
        fetch_dsc_by_url(f"{served}/hello_1.dsc", tmp_path, max_size=1000)
    (tmp_path / "www" / "hello_1.tar.xz").write_bytes(b"content\n and much more")
    with pytest.raises(Failure, match="larger than 8 bytes"):
        fetch_dsc_by_url(f"{served}/hello_1.dsc", tmp_path, max_size=1000)
    assert not (tmp_path / "hello_1.tar.xz").exists()
    with pytest.raises(ConfigError, match="8 bytes, and 7 are allowed"):
        fetch_dsc_by_url(f"{served}/hello_1.dsc", tmp_path, max_size=7)


def test_what_is_not_there_or_not_reachable(served: str, tmp_path: Path) -> None:
    with pytest.raises(Failure, match="404"):
        fetch_dsc_by_url(f"{served}/other_1.dsc", tmp_path, max_size=1000)
    with pytest.raises(HostFailed, match="cannot be fetched"):
        fetch_file("http://127.0.0.1:1/x", tmp_path / "x", max_size=1)


def test_a_redirect_never_leads_to_the_files_of_this_host(tmp_path: Path) -> None:
    class Elsewhere(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(302)
            self.send_header("Location", "file:///etc/passwd")
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:
            """Tests print nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Elsewhere) as server:
        thread = threading.Thread(target=server.handle_request)
        thread.start()
        with pytest.raises(Failure):
            fetch_file(f"http://127.0.0.1:{server.server_port}/x", tmp_path / "x", max_size=1000)
        thread.join()
    assert not (tmp_path / "x").exists()


@pytest.mark.parametrize(
    ("what", "expected"),
    [
        ("https://example.org/pool/h/hello_1.dsc", UrlSource("https://example.org/pool/h/hello_1.dsc")),
        ("https://example.org/hello.git", GitSource("https://example.org/hello.git")),
        ("https://example.org/hello#debian/latest", GitSource("https://example.org/hello", "debian/latest")),
        ("git+https://example.org/hello", GitSource("https://example.org/hello")),
        ("git+file:///srv/hello.git#v1", GitSource(Path("/srv/hello.git"), "v1")),
    ],
)
def test_urls_are_sorted_out(what: str, expected: object) -> None:
    assert find_source(what) == expected


@pytest.mark.parametrize(
    "what",
    ["ftp://x/y.dsc", "ssh://git@x/y.git", "git@x:y.git", "https://u:p@x/y.git", "https://x/y", "file:///y", "x#"],
)
def test_what_is_not_fetched_is_refused_with_a_hint(what: str) -> None:
    with pytest.raises(Failure) as caught:
        find_source(what)
    assert caught.value.hint


def test_a_directory_with_a_commit_is_git(tmp_path: Path) -> None:
    (tmp_path / "debian").mkdir()
    (tmp_path / "debian" / "changelog").write_text("hello (1.0-2) unstable; urgency=low\n\n -- A <a@b>  Mon, 1 Jan\n")
    assert isinstance(find_source(f"{tmp_path}/"), DirectorySource)
    assert find_source(f"{tmp_path}#HEAD") == GitSource(tmp_path.resolve(), "HEAD")


def test_each_kind_of_source_has_its_own_demand(tmp_path: Path) -> None:
    choice = chosen(signed=["url", "git"], keyrings=["/a"], keyrings_for={"git": ["/team"]})
    assert find_demand("git", choice).keyrings == (Path("/team"),)
    assert find_demand("url", choice).keyrings == (Path("/a"),)
    assert "source.signed, set by a test, names url" in find_demand("url", choice).why
    assert not find_demand("dsc", choice).signed
    everything = chosen(require_signature=True)
    assert all(find_demand(kind, everything).signed for kind in ("dsc", "url", "archive", "git", "directory"))
    dsc = load_dsc(write_dsc(tmp_path))
    assert "no signature is demanded" in judge_dsc(dsc, find_demand("dsc", choice))
    with pytest.raises(ConfigError, match="not signed"):
        judge_dsc(dsc, find_demand("url", choice))
    with pytest.raises(ConfigError, match="cannot be signed"):
        refuse_directory(tmp_path, find_demand("directory", everything))


def test_only_steps_that_leave_the_host_are_declared(tmp_path: Path) -> None:
    assert declare(GitSource("https://x/y.git")) == "git"
    assert declare(UrlSource("https://x/y.dsc")) == "url"
    assert declare(GitSource(tmp_path)) is None


def test_the_hash_of_a_file_is_checked_while_it_comes(served: str, tmp_path: Path) -> None:
    digest = hashlib.sha256(b"content\n").hexdigest()
    fetch_file(f"{served}/hello_1.tar.xz", tmp_path / "x", max_size=8, sha256=digest)
    assert (tmp_path / "x").read_bytes() == b"content\n"
