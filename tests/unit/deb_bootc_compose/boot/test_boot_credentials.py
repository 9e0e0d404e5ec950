"""What people tell a guest, and how one gets in."""

from __future__ import annotations

import socket
import threading
from pathlib import Path

import pytest
from click.testing import CliRunner

from deb_bootc_compose.boot.credentials import LARGEST, merge_credentials, parse_credentials
from deb_bootc_compose.boot.shell import answers
from deb_bootc_compose.cli.boot import command as boot
from debcore.errors import ConfigError


def test_a_value_is_text_or_a_file(tmp_path: Path) -> None:
    (tmp_path / "keys").write_bytes(b"ssh-ed25519 A\n\xff")
    words = ["system.hostname=web", f"ssh.authorized_keys.root=@{tmp_path / 'keys'}", "empty="]
    found = parse_credentials(words)
    assert found == {"system.hostname": b"web", "ssh.authorized_keys.root": b"ssh-ed25519 A\n\xff", "empty": b""}


@pytest.mark.parametrize(
    ("word", "message"),
    [
        ("hostname", "names no credential"),
        ("=web", "names no credential"),
        ("a/b=c", "names no credential"),
        ("a:b=c", "names no credential"),
        ("a=@/nowhere/file", "/nowhere/file cannot be read"),
        (f"a={'x' * (LARGEST + 1)}", "larger than 65536 bytes"),
    ],
)
def test_what_is_none_is_told(word: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        parse_credentials([word])


def test_the_same_name_twice_is_told() -> None:
    with pytest.raises(ConfigError, match="a is there twice"):
        parse_credentials(["a=1", "a=2"])


def test_the_keys_of_both_are_let_in_and_else_theirs_count() -> None:
    ours = {"ssh.authorized_keys.root": b"ours\n", "debootc.network": b"n"}
    merged = merge_credentials(ours, {"ssh.authorized_keys.root": b"theirs\n", "debootc.network": b"m"})
    assert merged == {"ssh.authorized_keys.root": b"ours\ntheirs\n", "debootc.network": b"m"}
    assert merge_credentials(ours, {}) == ours


@pytest.mark.parametrize(("greeting", "speaks"), [(b"SSH-2.0-x\r\n", True), (b"", False), (b"HTTP", False)])
def test_only_an_ssh_server_answers(greeting: bytes, speaks: bool) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:

        def greet() -> None:
            connection, _ = server.accept()
            with connection:
                connection.sendall(greeting)

        thread = threading.Thread(target=greet)
        thread.start()
        assert answers(server.getsockname()[1]) is speaks
        thread.join()


def test_nobody_there_is_no_answer() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    assert not answers(port)


def test_a_command_needs_ssh_and_a_check_excludes_it(tmp_path: Path) -> None:
    for words in ([str(tmp_path), "--", "uname"], [str(tmp_path), "--ssh", "--check"]):
        done = CliRunner().invoke(boot, words)
        assert done.exit_code == 2
        assert "--ssh" in done.output
