"""`events`: the hub's event log."""

from __future__ import annotations

import json

import click

from deb_orchestrator.cli.connection import client_options
from deb_orchestrator.cli.watching import describe
from debcore.hub.client import HubClient


@click.command()
@click.option("--after", type=click.IntRange(min=0), default=0, help="Only events with a higher number.")
@click.option("--request", metavar="ID", help="Only events of this request.")
@click.option("-f", "--follow", is_flag=True, help="Go on with what comes.")
@client_options
def command(after: int, request: str | None, follow: bool, client: HubClient, as_json: bool) -> None:
    """Print the event log: numbers are gap-free and in commit order. With --json, one object a line."""
    while True:
        events = client.events(after, request=request, wait=30 if follow else 0)
        for event in events:
            after = event.n
            click.echo(json.dumps(event.model_dump(mode="json")) if as_json else describe(event))
        if not events and not follow:
            return
