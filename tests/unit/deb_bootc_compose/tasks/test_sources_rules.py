"""Sources: security is never lost silently."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from deb_bootc_compose.sources import archive_sources
from debcore.errors import ConfigError, Failure


def params(keyring: Path, suites: list[str], security: str = "host") -> dict[str, Any]:
    source = {
        "name": "a", "uris": ["http://mirror.example/debian"], "suites": suites, "components": ["main"],
        "signed-by": str(keyring), "trusted": False, "pin": None,
    }  # fmt: skip
    return {"suite": "trixie", "security": security, "updates": True, "sources": [source]}


@pytest.fixture
def keyring(tmp_path: Path) -> Path:
    (tmp_path / "key.gpg").write_bytes(b"\x99\x01binary")
    return tmp_path / "key.gpg"


def test_sources_without_security_are_refused(keyring: Path) -> None:
    with pytest.raises(Failure, match="trixie-security") as caught:
        archive_sources(params(keyring, ["trixie"]))
    assert "security: none" in caught.value.hint


def test_security_can_be_given_up_in_words(keyring: Path) -> None:
    (source,) = archive_sources(params(keyring, ["trixie"], security="none"))
    assert source.suites == ("trixie",)
    assert (source.signed_by or "").startswith("-----BEGIN PGP PUBLIC KEY BLOCK-----\n\n")


def test_a_missing_keyring_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="cannot be read"):
        archive_sources(params(tmp_path / "none.gpg", ["trixie", "trixie-security"]))
