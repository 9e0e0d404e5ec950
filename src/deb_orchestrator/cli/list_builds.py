"""`list-builds`: newest first."""

from __future__ import annotations

import click

from deb_orchestrator.cli.connection import age, client_options, print_rows
from debcore.cli import print_json
from debcore.hub.client import HubClient


@click.command()
@click.option("--source", help="Only this source package.")
@click.option("-t", "--target", help="Only this target.")
@click.option("--limit", type=click.IntRange(1, 1000), default=50, show_default=True, help="At most so many.")
@client_options
def command(source: str | None, target: str | None, limit: int, client: HubClient, as_json: bool) -> None:
    """List builds, newest first."""
    builds = client.builds(source=source, target=target, limit=limit)
    if as_json:
        print_json(builds)
        return
    print_rows(
        ("BUILD", "SOURCE", "VERSION", "TARGET", "STATE", "ARCHITECTURES", "AGE"),
        (
            (b.id, b.source, b.version, b.target, b.state, " ".join(a.arch for a in b.arches), age(b.created_at))
            for b in builds
        ),
    )
