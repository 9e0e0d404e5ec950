"""`cancel`: stop builds."""

from __future__ import annotations

import click

from deb_orchestrator.cli.connection import client_options
from debcore.cli import print_json
from debcore.hub.client import HubClient


@click.command()
@click.argument("builds", nargs=-1, required=True, type=int)
@client_options
def command(builds: tuple[int, ...], client: HubClient, as_json: bool) -> None:
    """Cancel BUILDS. A running one is told within its next heartbeat."""
    states = [client.cancel(build) for build in builds]
    if as_json:
        print_json(states)
        return
    for build in states:
        click.echo(f"build {build.id} {build.source} {build.version}: {build.state}")
