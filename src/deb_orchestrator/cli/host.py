"""`host`: one builder, its pool and that pool's trust, and maintenance of the farm."""

from __future__ import annotations

import click

from deb_orchestrator.cli.connection import age, options_of, print_rows
from deb_orchestrator.cli.list_hosts import describe
from debcore.cli import print_json, printable
from debcore.hub.host_client import HostClient
from debcore.hub.hosts import Farm
from debcore.hub.model import Agent

options = options_of(HostClient)


@click.group()
def command() -> None:
    """Hosts, their pools, and maintenance. See also list-hosts, enable-host and disable-host."""


@command.command("show")
@click.argument("name")
@options
def show(name: str, client: HostClient, as_json: bool) -> None:
    """All about one host."""
    _print_host(client.host(name), as_json)


@command.command("pool")
@click.argument("name")
@click.argument("pool")
@options
def set_pool(name: str, pool: str, client: HostClient, as_json: bool) -> None:
    """Move NAME to POOL: it takes jobs of that pool only."""
    _print_host(client.set_pool(name, pool), as_json)


@command.command("trust")
@click.argument("pool")
@click.argument("trust", type=click.IntRange(0, 1000))
@options
def set_trust(pool: str, trust: int, client: HostClient, as_json: bool) -> None:
    """Trust POOL as far as TRUST; targets may require that much (target requires)."""
    _print_farm(client.set_trust(pool, trust), as_json)


@command.command("maintenance")
@click.argument("mode", type=click.Choice(["on", "off", "show"]), default="show")
@click.option("--reason", default="", help="With on: shown to whoever waits.")
@options
def maintenance(mode: str, reason: str, client: HostClient, as_json: bool) -> None:
    """Give no builder new work (on), or as usual (off). What runs goes on, what is built is published."""
    if (mode == "on") != bool(reason):
        raise click.UsageError("maintenance on needs --reason, and nothing else takes one")
    _print_farm(client.farm() if mode == "show" else client.set_maintenance(reason or None), as_json)


def _print_host(host: Agent, as_json: bool) -> None:
    if as_json:
        print_json(host)
        return
    until = host.quarantined_until
    rows = [
        ("state", describe(host)), ("why", host.disabled or host.quarantine or ""),
        ("tried again", until.isoformat(timespec="seconds") if until else ""),
        ("pool", f"{host.pool} (trust {host.trust})"), ("architectures", " ".join(host.arches)),
        ("emulates", " ".join(host.emulates)), ("can", " ".join(host.capabilities)),
        ("memory", f"{host.memory_mb} MB" if host.memory_mb else ""),
        ("free disk", f"{host.disk_mb} MB" if host.disk_mb else ""),
        ("slots", str(host.slots)), ("jobs", " ".join(map(str, host.jobs))), ("seen", age(host.seen_at)),
        ("version", host.version),
    ]  # fmt: skip
    print_rows(("HOST", host.name), [row for row in rows if row[1]])


def _print_farm(farm: Farm, as_json: bool) -> None:
    if as_json:
        print_json(farm)
        return
    click.echo(f"maintenance: {printable(farm.maintenance)}" if farm.maintenance else "no maintenance")
    for name, trust in sorted(farm.pools.items()):
        click.echo(f"pool {printable(name)}: trust {trust}")
