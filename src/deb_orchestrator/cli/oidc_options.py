"""Options of `hub` about the OpenID provider by which people log in."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import click

from deb_orchestrator.domain.identity import parse_rule
from deb_orchestrator.services.oidc import OidcSettings, check_settings, read_secret, split_scopes

FILE = click.Path(path_type=Path, dir_okay=False, exists=True)
_OPTIONS = (
    click.option("--oidc-issuer", metavar="URL", help="People log in by this OpenID provider."),
    click.option("--oidc-client-id", metavar="ID", help="What the provider calls this hub."),
    click.option("--oidc-client-secret-file", type=FILE, help="The secret it gave, if any (mode 0600)."),
    click.option(
        "--oidc-map", multiple=True, metavar="CLAIM=VALUE:SCOPE",
        help="Who may come in, as admin or client: groups=ftp-team:admin, email=*@example.org:client, sub=*:client.",
    ),
    click.option(
        "--oidc-name", default="email", show_default=True, metavar="CLAIM", help="Their name here, after `oidc:`."
    ),
    click.option("--oidc-scope", multiple=True, metavar="WORD", help="Asked besides openid, profile and email."),
    click.option("--oidc-ca", type=FILE, help="PEM file: the provider's authority, if it is its own."),
)  # fmt: skip


def oidc_options(command: Callable[..., None]) -> Callable[..., None]:
    """The command gets them as one: `oidc`, None without a provider."""

    @functools.wraps(command)
    def call(
        *, oidc_issuer: str | None, oidc_client_id: str | None, oidc_client_secret_file: Path | None,
        oidc_map: Sequence[str], oidc_name: str, oidc_scope: Sequence[str], oidc_ca: Path | None, **others: Any,
    ) -> None:  # fmt: skip
        if oidc_issuer is None:
            if oidc_client_id or oidc_client_secret_file or oidc_map:
                raise click.UsageError("--oidc-issuer says which provider")
            command(oidc=None, **others)
            return
        if oidc_client_id is None:
            raise click.UsageError("--oidc-client-id says what the provider calls this hub")
        settings = OidcSettings(
            issuer=oidc_issuer, client_id=oidc_client_id, rules=tuple(parse_rule(one) for one in oidc_map),
            secret=read_secret(oidc_client_secret_file) if oidc_client_secret_file else None,
            scopes=split_scopes(oidc_scope), name=oidc_name, ca=oidc_ca,
        )  # fmt: skip
        check_settings(settings)
        command(oidc=settings, **others)

    for option in reversed(_OPTIONS):
        call = option(call)
    return call
