"""deb-orchestrator agent: run a builder; list, approve and revoke builders."""

from __future__ import annotations

import os
from pathlib import Path

import click

from deb_orchestrator.agent.loop import Settings, run_agent
from deb_orchestrator.cli.connection import options_of, print_rows
from deb_orchestrator.cli.process import lifetime_option, log_option
from deb_orchestrator.home import default_state
from debcore.cli import print_json
from debcore.command import run
from debcore.hub.client import AdminClient
from debcore.hub.model import Agent

options = options_of(AdminClient)


@click.group(invoke_without_command=True)
@click.option("--hub", "url", metavar="URL", envvar="DEBOOTC_HUB", help="The hub whose jobs it takes.")
@click.option("--ca", type=click.Path(path_type=Path, exists=True), help="PEM file of the hub's authority.")
@click.option("--name", default=lambda: os.uname().nodename.split(".")[0].lower(), help="Its name at the hub.")
@click.option("--arch", "arches", multiple=True, metavar="ARCH", help="Architectures; default: this host's.")
@click.option("--emulate", "emulates", multiple=True, metavar="ARCH", help="Offer ARCH by QEMU, marked as emulated.")
@click.option("--slots", type=click.IntRange(1, 64), default=1, metavar="N", help="Builds at once; default 1.")
@click.option(
    "--state", type=click.Path(path_type=Path, file_okay=False), metavar="DIR", help="Token and builds under way."
)
@click.option("--idle-updates/--no-idle-updates", default=True, help="Bring roots up to date while there is no work.")
@log_option
@lifetime_option
@click.pass_context
def command(
    ctx: click.Context, url: str | None, ca: Path | None, name: str, arches: tuple[str, ...], slots: int,
    state: Path | None, emulates: tuple[str, ...], idle_updates: bool,
) -> None:  # fmt: skip
    """Without a verb: run a builder. It enrols by itself; an admin approves it once."""
    if ctx.invoked_subcommand is not None:
        return
    if url is None:
        raise click.UsageError("--hub is missing: which hub's jobs should it take?")
    place = (state or default_state() / "agent").resolve()
    mine = arches or (run(["dpkg", "--print-architecture"]).text.strip(),)
    if both := sorted({*mine} & {*emulates}):
        raise click.UsageError(f"{both[0]} is built natively or emulated, not both")
    run_agent(Settings(
        url=url, ca=ca, name=name, state=place, arches=mine, slots=slots, emulates=emulates, idle_updates=idle_updates
    ))  # fmt: skip


@command.command("list")
@options
def list_agents(client: AdminClient, as_json: bool) -> None:
    """Builders and signers, with the fingerprint to compare before approving."""
    agents = client.agents()
    if as_json:
        print_json(agents)
        return
    rows = [(a.name, a.state, a.pool, ",".join(a.arches), a.fingerprint, ",".join(map(str, a.jobs))) for a in agents]
    print_rows(("NAME", "STATE", "POOL", "ARCHES", "FINGERPRINT", "JOBS"), rows)


@command.command("approve")
@click.argument("name")
@options
def approve(name: str, client: AdminClient, as_json: bool) -> None:
    """Let NAME work. Compare its fingerprint with the one that it logged."""
    _print(client.approve(name), as_json)


@command.command("revoke")
@click.argument("name")
@options
def revoke(name: str, client: AdminClient, as_json: bool) -> None:
    """Shut NAME out at once; what it builds is built elsewhere."""
    _print(client.revoke(name), as_json)


def _print(agent: Agent, as_json: bool) -> None:
    if as_json:
        print_json(agent)
    else:
        click.echo(f"{agent.name} is {agent.state} (fingerprint {agent.fingerprint})")
