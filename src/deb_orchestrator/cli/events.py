"""`events`: the hub's event log."""

from __future__ import annotations

import json

import click

from deb_orchestrator.cli.connection import client_options
from deb_orchestrator.cli.watching import describe
from debcore.hub.client import HubClient
from debcore.hub.model import Event


@click.command()
@click.option("--after", type=click.IntRange(min=0), default=0, help="Only events with a higher number.")
@click.option("--request", metavar="ID", help="Only events of this request.")
@click.option("--build", type=click.IntRange(min=1), help="Only events of this build, and no other option.")
@click.option("-f", "--follow", is_flag=True, help="Go on with what comes.")
@client_options
def command(after: int, request: str | None, build: int | None, follow: bool, client: HubClient, as_json: bool) -> None:
    """Print the event log: numbers are gap-free and in commit order. With --json, one object a line."""
    if build is not None and (request or follow or after):
        raise click.UsageError("--build takes no other option")
    if build is not None:
        for event in client.build_events(build):
            _print(event, as_json)
        return
    while True:
        events = client.events(after, request=request, wait=30 if follow else 0)
        for event in events:
            after = event.n
            _print(event, as_json)
        if not events and not follow:
            return


def _print(event: Event, as_json: bool) -> None:
    click.echo(json.dumps(event.model_dump(mode="json")) if as_json else describe(event))
