"""`show`: one build with its architectures and artifacts."""

from __future__ import annotations

import click

from deb_orchestrator.cli.connection import age, client_options, print_rows
from deb_orchestrator.cli.reports import describe_checks
from debcore.cli import print_json, printable
from debcore.hub.client import HubClient


@click.command()
@click.argument("build", type=int)
@client_options
def command(build: int, client: HubClient, as_json: bool) -> None:
    """Show BUILD: state of each architecture, artifacts, why it failed, what checks found."""
    found = client.build(build)
    if as_json:
        print_json(found)
        return
    click.echo(f"build {found.id}: {found.source} {found.version} for {found.target}, {found.state}")
    click.echo(f"made {age(found.created_at)} ago; request {found.request or 'none'}")
    if found.waits_for:
        click.echo(f"waits for builds {', '.join(map(str, found.waits_for))}")
    for arch in found.arches:
        click.echo(
            f"\n{arch.arch}: {arch.state}, attempt {arch.attempt}" + (f", on {arch.agent}" if arch.agent else "")
        )
        if arch.reproducible is not None:
            click.echo(
                f"  {'reproducible: the same bytes came out again' if arch.reproducible else 'not reproducible'}"
            )
        if arch.reason:
            click.echo(f"  {printable(arch.reason)}")
        if arch.result is not None and arch.result.failure is not None:
            for line in arch.result.failure.excerpt:
                click.echo(f"  | {printable(line)}")
        print_rows(("  FILE", "KIND", "SIZE"), ((f"  {a.name}", a.kind, a.size) for a in arch.artifacts))
    if found.checks:
        click.echo("\n" + "\n".join(describe_checks(found.id, found.checks)))
