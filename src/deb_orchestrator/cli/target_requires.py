"""`target requires`: what a target's builds require of their builders."""

from __future__ import annotations

import click

from deb_orchestrator.cli.connection import options_of, print_rows
from debcore.cli import print_json
from debcore.hub.host_client import HostClient
from debcore.hub.hosts import Requires


@click.command("requires")
@click.argument("name")
@click.option("--pool", default="default", show_default=True, help="Of the builders.")
@click.option("--trust", type=click.IntRange(0, 1000), default=0, help="Of that pool, at least.")
@click.option("--memory", type=click.IntRange(0), default=0, metavar="MB", help="At least.")
@click.option("--disk", type=click.IntRange(0), default=0, metavar="MB", help="Free, at least.")
@click.option("--can", "capabilities", multiple=True, metavar="CAPABILITY", help="May be repeated.")
@click.option("--emulated", is_flag=True, help="A builder that emulates the architecture will do.")
@options_of(HostClient)
def command(
    name: str, pool: str, trust: int, memory: int, disk: int, capabilities: tuple[str, ...], emulated: bool,
    client: HostClient, as_json: bool,
) -> None:  # fmt: skip
    """Say what builders must have for the builds of target NAME that begin from now on; without options: nothing.

    \b
    deb-orchestrator target requires trixie-big --memory 16000 --disk 50000
    deb-orchestrator target requires port --emulated
    """
    wanted = Requires(
        pool=pool, trust=trust, memory_mb=memory, disk_mb=disk, capabilities=capabilities, emulated=emulated
    )
    target = client.set_requires(name, None if wanted == Requires() else wanted)
    if as_json:
        print_json(target)
        return
    said = target.requires or Requires()
    print_rows(("REQUIRES", "OF BUILDERS"), [(key, str(value)) for key, value in said.model_dump().items()])
