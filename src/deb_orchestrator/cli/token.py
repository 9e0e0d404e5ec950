"""deb-orchestrator token: tokens of people and programs."""

from __future__ import annotations

import click

from deb_orchestrator.cli.connection import print_rows
from debcore.cli import print_json
from debcore.hub.client import AdminClient
from debcore.hub.credential import find_credential
from debcore.hub.model import TokenAsk

JSON = click.option("--json", "as_json", is_flag=True, help="Print JSON.")


@click.group()
def command() -> None:
    """Tokens of people and programs; builders and signers enrol instead."""


@command.command("make")
@click.argument("name")
@click.option("--scope", type=click.Choice(["client", "admin"]), default="client", show_default=True)
@click.option("--days", type=click.IntRange(1, 3650), default=90, show_default=True, metavar="N")
@JSON
def make(name: str, scope: str, days: int, as_json: bool) -> None:
    """Make a token and print it: it is never shown again."""
    with AdminClient.of(find_credential()) as client:
        token = client.make_token(TokenAsk.model_validate({"name": name, "scope": scope, "days": days}))
    if as_json:
        print_json(token)
    else:
        click.echo(token.secret)


@command.command("list")
@JSON
def list_tokens(as_json: bool) -> None:
    with AdminClient.of(find_credential()) as client:
        tokens = client.tokens()
    if as_json:
        print_json(tokens)
        return
    rows = [(t.id, t.name, t.scope, f"{t.expires_at:%Y-%m-%d}", "revoked" if t.revoked else "") for t in tokens]
    print_rows(("ID", "NAME", "SCOPE", "EXPIRES", ""), rows)


@command.command("revoke")
@click.argument("id_", metavar="ID", type=int)
@JSON
def revoke(id_: int, as_json: bool) -> None:
    """At once."""
    with AdminClient.of(find_credential()) as client:
        client.revoke_token(id_)
    if as_json:
        print_json({"revoked": id_})
