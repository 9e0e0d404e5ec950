"""`disable-host`."""

from __future__ import annotations

import click

from deb_orchestrator.cli.connection import options_of
from deb_orchestrator.cli.list_hosts import describe
from debcore.cli import print_json
from debcore.hub.host_client import HostClient


@click.command()
@click.argument("hosts", nargs=-1, required=True)
@click.option("--reason", required=True, help="Shown to whoever waits for it.")
@options_of(HostClient)
def command(hosts: tuple[str, ...], reason: str, client: HostClient, as_json: bool) -> None:
    """Give HOSTS no new work; what they build goes on."""
    found = [client.disable(host, reason) for host in hosts]
    if as_json:
        print_json(found)
        return
    for one in found:
        click.echo(f"{one.name} is {describe(one)}")
