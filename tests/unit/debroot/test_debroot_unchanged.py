"""Is the archive what apt has? Only a plain yes counts."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from debcore.job import AptSource
from debroot.sources import list_name
from debroot.unchanged import is_unchanged, make_opener, uri_of_release

RELEASE = "Origin: Debian\nSuite: stable\nValid-Until: {until}\nSHA256:\n 00 1 main/x\n"
LATER, PASSED = "Fri, 01 Jan 2100 00:00:00 UTC", "Sat, 01 Jan 2022 00:00:00 UTC"


class Archive:
    """A repository in a directory, served as *uri*, and the lists that apt keeps of it."""

    def __init__(self, uri: str, directory: Path, lists: Path) -> None:
        self.uri, self.lists = uri, lists
        self.release = directory / "dists/stable/InRelease"
        self.release.parent.mkdir(parents=True)
        lists.mkdir()
        self.known = lists / f"{list_name(uri, 'stable')}_InRelease"

    def write(self, *, until: str = LATER) -> None:
        text = RELEASE.format(until=until)
        self.release.write_text(text)
        self.known.write_text(text)
        os.utime(self.known, (self.release.stat().st_mtime,) * 2)

    def asked(self, *, check_valid_until: bool = True) -> bool:
        source = AptSource(uris=(self.uri,), suites=("stable",), check_valid_until=check_valid_until)
        return is_unchanged([source], self.lists, {})


class Quiet(SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: object) -> None:
        pass


@pytest.fixture(params=["file", "http"])
def archive(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Archive]:
    directory, lists = tmp_path / "archive", tmp_path / "lists"
    if request.param == "file":
        yield Archive(directory.as_uri(), directory, lists)
        return
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(directory))) as server:
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        yield Archive(f"http://127.0.0.1:{server.server_port}", directory, lists)
        server.shutdown()


def test_the_same_bytes(archive: Archive) -> None:
    archive.write()
    assert archive.asked()
    os.utime(archive.known, (1, 1))  # so that a server has to send it
    assert archive.asked()


def test_other_bytes_are_for_apt(archive: Archive) -> None:
    archive.write()
    archive.release.write_text(archive.release.read_text() + "\n")
    os.utime(archive.known, (1, 1))
    assert not archive.asked()


def test_what_is_not_there_is_for_apt(archive: Archive) -> None:
    archive.write()
    archive.release.unlink()
    assert not archive.asked()
    archive.write()
    archive.known.unlink()
    assert not archive.asked()


def test_a_date_that_has_passed_is_for_apt(archive: Archive) -> None:
    archive.write(until=PASSED)
    assert not archive.asked()
    assert archive.asked(check_valid_until=False)
    archive.write(until="some day")
    assert not archive.asked()


def test_a_server_that_does_not_answer_is_for_apt(tmp_path: Path) -> None:
    archive = Archive("http://127.0.0.1:9", tmp_path / "archive", tmp_path / "lists")
    archive.write()
    assert not archive.asked()


@pytest.mark.parametrize(
    ("proxies", "usable"),
    [
        ({}, True),
        ({"Acquire::http::Proxy": "http://proxy:3142"}, True),
        ({"Acquire::HTTP::proxy": "http://proxy:3142"}, True),
        ({"Acquire::http::Proxy": "DIRECT"}, False),
        ({"Acquire::http::Proxy": "socks5h://proxy"}, False),
        ({"Acquire::http::Proxy::example.org": "http://proxy:3142"}, False),
        ({"Acquire::http::Proxy-Auto-Detect": "/usr/bin/auto"}, False),
    ],
)
def test_only_simple_proxies(proxies: dict[str, str], usable: bool) -> None:
    assert (make_opener(proxies) is not None) == usable


@pytest.mark.parametrize(
    ("suite", "uri"),
    [
        ("trixie", "http://a.example/debian/dists/trixie/InRelease"),
        ("./", "http://a.example/debian/InRelease"),
        ("amd64/", "http://a.example/debian/amd64/InRelease"),
    ],
)
def test_where_a_release_file_lies(suite: str, uri: str) -> None:
    assert uri_of_release("http://a.example/debian/", suite) == uri
