"""deb-orchestrator login."""

from __future__ import annotations

import click

from deb_orchestrator.cli.connection import client_options
from debcore.cli import print_json
from debcore.hub.client import HubClient


@click.command()
@client_options
def command(client: HubClient, as_json: bool) -> None:
    """Print a URL that signs one browser in, once, with the rights of your token."""
    link = client.make_login_link()
    if as_json:
        print_json(link)
    else:
        click.echo(f"{link.url}   (once, until {link.expires_at:%H:%M} UTC)")
