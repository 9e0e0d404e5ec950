"""Passwords of archives: read as apt reads them, handed to the machine they are for, and quoted in no message."""

from __future__ import annotations

from pathlib import Path

import pytest

from debcore.command import run
from debcore.errors import ConfigError
from debroot import auth
from debroot.auth import Entry, find_auth, load_entries, parse_auth, wrap

TEXT = """# of the hub
machine http://127.0.0.1:8080/apt/ login web password s3cret
machine Example.org
  login me
  password other#word
"""


@pytest.fixture(autouse=True)
def nothing_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(auth.VARIABLE, raising=False)


def test_entries_are_read_as_apt_reads_them() -> None:
    first, second = parse_auth(TEXT, name="x")
    assert first == Entry("http://127.0.0.1:8080/apt/", "web", "s3cret")
    assert (first.host, second.host, second.password) == ("127.0.0.1", "example.org", "other#word")
    assert parse_auth("", name="x") == []


@pytest.mark.parametrize(
    "text",
    [
        "machine a login b", "machine a login b password", "login b password s3cret", "s3cret", "default login a",
        "machine a login b password s3cret machine c", "machine a password s3cret password s3cret",
    ],
)  # fmt: skip
def test_a_file_that_makes_no_sense_is_refused_and_not_quoted(text: str) -> None:
    with pytest.raises(ConfigError) as refused:
        parse_auth(text, name="/etc/x.conf")
    assert "s3cret" not in f"{refused.value} {refused.value.hint}"
    assert "/etc/x.conf" in str(refused.value)


def test_only_what_the_machine_is_asked_for_is_handed_over(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "auth").write_text(TEXT)
    monkeypatch.setenv(auth.VARIABLE, str(tmp_path / "auth"))
    here = tmp_path / "root"
    assert find_auth(["http://deb.example.com/debian", "file:///srv"], root=here) == b""
    found = find_auth(["https://EXAMPLE.org/debian"], root=here)
    assert found == b"machine Example.org login me password other#word\n"
    (here / "etc/apt/auth.conf.d").mkdir(parents=True)
    (here / "etc/apt/auth.conf.d/own.conf").write_text("machine example.org/x login host password hosts\n")
    (here / "etc/apt/auth.conf").write_text("broken")
    with pytest.raises(ConfigError, match="a word has no value"):
        load_entries(here)
    (here / "etc/apt/auth.conf").unlink()
    assert [one.login for one in load_entries(here)] == ["web", "me", "host"], "the named file counts first"
    monkeypatch.setenv(auth.VARIABLE, str(tmp_path / "nowhere"))
    with pytest.raises(ConfigError, match="cannot be read"):
        load_entries(here)


def test_a_command_gets_them_by_its_input_and_never_as_a_word(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert wrap(["apt-get", "update"], b"") == ["apt-get", "update"]
    place = tmp_path / "auth.conf"
    monkeypatch.setattr(auth, "_HAND_OVER", auth._HAND_OVER.replace(auth.PLACE, str(place)))
    argv = wrap(["sh", "-c", "cat; echo $1", "sh", "two words"], b"machine a login b password s3cret\n")
    assert not any("s3cret" in word for word in argv)
    done = run(argv, stdin=b"machine a login b password s3cret\n")
    assert done.text == "two words\n", "the command itself reads nothing"
    assert place.read_text() == "machine a login b password s3cret\n"
    assert place.stat().st_mode & 0o777 == 0o600
