"""A hub of one's own listens where it listened the last time, so that package lists by its address stay good."""

from __future__ import annotations

import json
import socket
from pathlib import Path

import pytest

from deb_bootc_compose.embedded import LOOPBACK, is_free, last_port


def tell(state: Path, url: str) -> None:
    (state / "ready.json").write_text(json.dumps({"url": url}))


def test_the_port_of_the_last_time_if_nobody_has_it(tmp_path: Path) -> None:
    assert last_port(tmp_path) == 0
    with socket.socket() as other:
        other.bind((LOOPBACK, 0))
        other.listen()
        port = other.getsockname()[1]
        tell(tmp_path, f"http://{LOOPBACK}:{port}")
        assert last_port(tmp_path) == port
        assert not is_free(port)
    assert is_free(port)


@pytest.mark.parametrize("url", ["http://localhost", "http://h:999999", "nothing", "http://h:-1"])
def test_what_cannot_be_read_is_any_port(tmp_path: Path, url: str) -> None:
    tell(tmp_path, url)
    assert last_port(tmp_path) == 0
    (tmp_path / "ready.json").write_text("{")
    assert last_port(tmp_path) == 0
