"""deb-orchestrator resubmit."""

from __future__ import annotations

import click

from deb_orchestrator.cli.connection import client_options
from debcore.cli import print_json
from debcore.hub.client import HubClient


@click.command()
@click.argument("builds", type=int, nargs=-1, required=True)
@client_options
def command(builds: tuple[int, ...], client: HubClient, as_json: bool) -> None:
    """Build again what failed or was cancelled, as new builds for the same requests."""
    made = [client.resubmit(build) for build in builds]
    if as_json:
        print_json(made)
        return
    for old, new in zip(builds, made, strict=True):
        click.echo(f"build {old} again, as build {new.id}: {new.source} {new.version}")
