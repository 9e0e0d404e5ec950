"""`list-hosts`: builders and signers, and how they are."""

from __future__ import annotations

import click

from deb_orchestrator.cli.connection import age, options_of, print_rows
from debcore.cli import print_json
from debcore.hub.host_client import HostClient
from debcore.hub.model import Agent


@click.command()
@click.option("--arch", help="Only those that build for it.")
@click.option("--disabled", is_flag=True, help="Only those that get no new work.")
@options_of(HostClient)
def command(arch: str | None, disabled: bool, client: HostClient, as_json: bool) -> None:
    """List the hosts: builders and signers."""
    hosts = [
        one
        for one in client.hosts()
        if (arch is None or arch in (*one.arches, *one.emulates)) and (not disabled or describe(one) != "enabled")
    ]
    if as_json:
        print_json(hosts)
        return
    rows = (
        (h.name, describe(h), h.pool, " ".join((*h.arches, *(f"{a}(emulated)" for a in h.emulates))),
         f"{len(h.jobs)}/{h.slots}", age(h.seen_at))
        for h in hosts
    )  # fmt: skip
    print_rows(("HOST", "STATE", "POOL", "ARCHITECTURES", "JOBS", "SEEN"), rows)


def describe(host: Agent) -> str:
    """enabled, disabled, quarantine, or why it is none of the farm's."""
    if host.state != "approved":
        return host.state.value
    if host.disabled is not None:
        return "disabled"
    return "quarantine" if host.quarantined_until else "enabled"
