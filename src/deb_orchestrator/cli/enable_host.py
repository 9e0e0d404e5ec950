"""`enable-host`."""

from __future__ import annotations

import click

from deb_orchestrator.cli.connection import options_of
from deb_orchestrator.cli.list_hosts import describe
from debcore.cli import print_json
from debcore.hub.host_client import HostClient


@click.command()
@click.argument("hosts", nargs=-1, required=True)
@options_of(HostClient)
def command(hosts: tuple[str, ...], client: HostClient, as_json: bool) -> None:
    """Let HOSTS have work again; ends their quarantine too."""
    found = [client.enable(host) for host in hosts]
    if as_json:
        print_json(found)
        return
    for one in found:
        click.echo(f"{one.name} is {describe(one)}")
