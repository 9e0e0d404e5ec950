"""deb-orchestrator token: tokens of people and programs."""

from __future__ import annotations

import click

from deb_orchestrator.cli.connection import options_of, print_rows
from debcore.cli import print_json
from debcore.hub.client import AdminClient
from debcore.hub.model import TokenAsk

options = options_of(AdminClient)


@click.group()
def command() -> None:
    """Tokens of people and programs; builders and signers enrol instead."""


@command.command("make")
@click.argument("name")
@click.option("--scope", type=click.Choice(["client", "admin"]), default="client", show_default=True)
@click.option("--days", type=click.IntRange(1, 3650), default=90, show_default=True, metavar="N")
@options
def make(name: str, scope: str, days: int, client: AdminClient, as_json: bool) -> None:
    """Make a token and print it: it is never shown again."""
    token = client.make_token(TokenAsk.model_validate({"name": name, "scope": scope, "days": days}))
    if as_json:
        print_json(token)
    else:
        click.echo(token.secret)


@command.command("list")
@options
def list_tokens(client: AdminClient, as_json: bool) -> None:
    """List the tokens, without their secrets."""
    tokens = client.tokens()
    if as_json:
        print_json(tokens)
        return
    rows = [(t.id, t.name, t.scope, f"{t.expires_at:%Y-%m-%d}", "revoked" if t.revoked else "") for t in tokens]
    print_rows(("ID", "NAME", "SCOPE", "EXPIRES", ""), rows)


@command.command("revoke")
@click.argument("id_", metavar="ID", type=int)
@options
def revoke(id_: int, client: AdminClient, as_json: bool) -> None:
    """Let the token ID open nothing more, at once."""
    client.revoke_token(id_)
    if as_json:
        print_json({"revoked": id_})
