"""What `hub` is told of an OpenID provider: nonsense is refused before anything is made."""

from __future__ import annotations

from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from deb_orchestrator.cli.hub import command
from deb_orchestrator.cli.oidc_options import oidc_options
from deb_orchestrator.domain.identity import Rule
from deb_orchestrator.services.oidc import OidcSettings
from debcore.errors import Failure

ISSUER = ("--oidc-issuer", "https://id.example.org", "--oidc-client-id", "x")


def read(*words: str | Path) -> OidcSettings | None:
    """What the command gets. Errors: what the options raise."""
    found: list[OidcSettings | None] = []

    def take(oidc: OidcSettings | None) -> None:
        found.append(oidc)

    click.command()(oidc_options(take)).main([str(word) for word in words], standalone_mode=False)
    return found[0]


def test_settings_are_read_and_the_secret_is_in_no_words(tmp_path: Path) -> None:
    assert read() is None
    secret = tmp_path / "secret"
    secret.write_text(" hush\n")
    secret.chmod(0o600)
    more = ("--oidc-map", "groups=a:admin", "--oidc-scope", "groups", "--oidc-client-secret-file", secret)
    found = read(*ISSUER, *more)
    assert found == OidcSettings(
        issuer="https://id.example.org", client_id="x", rules=(Rule("groups", "a", "admin"),), secret="hush",
        scopes=("openid", "profile", "email", "groups"),
    )  # fmt: skip
    assert "hush" not in repr(found)
    secret.chmod(0o644)
    with pytest.raises(Failure, match="may be read by others"):
        read(*ISSUER, *more)
    secret.write_text("")
    secret.chmod(0o600)
    with pytest.raises(Failure, match="is empty"):
        read(*ISSUER, *more)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--oidc-issuer", "http://id.example.org", *ISSUER[2:], "--oidc-map", "sub=*:client"), "has no https URL"),
        (("--oidc-issuer", "id", *ISSUER[2:], "--oidc-map", "sub=*:client"), "has no https URL"),
        (ISSUER, "nobody could log in"), ((*ISSUER, "--oidc-map", "sub=*:root"), "is no rule"),
        (ISSUER[:2], "--oidc-client-id"), (ISSUER[2:], "--oidc-issuer"),
    ],
)  # fmt: skip
def test_a_hub_does_not_start_with_settings_that_make_no_sense(
    tmp_path: Path, words: tuple[str, ...], said: str
) -> None:
    done = CliRunner().invoke(command, ["--state", str(tmp_path / "hub"), "--port", "0", *words])
    assert done.exit_code != 0
    assert said in f"{done.output} {done.exception}"
    assert not (tmp_path / "hub").exists()
