"""`gc`: remove what nothing uses."""

from __future__ import annotations

import time

import click

from deb_orchestrator.cli.connection import options_of, print_rows
from debcore.cli import print_json
from debcore.errors import HostFailed
from debcore.hub.upkeep import CollectPlan, Sum
from debcore.hub.upkeep_client import UpkeepClient


@click.command()
@click.option("--dry-run", is_flag=True, help="Say what would go and what keeps the rest; change nothing.")
@click.option("--all", "everything", is_flag=True, help="With --dry-run: list what stays too, file by file.")
@options_of(UpkeepClient)
def command(client: UpkeepClient, as_json: bool, dry_run: bool, everything: bool) -> None:
    """Remove artifacts that no suite, snapshot, pin, hold or job uses and whose days are over.

    \b
    deb-orchestrator gc --dry-run
    deb-orchestrator gc
    deb-orchestrator retention --scratch 7 --superseded 30

    A collection marks what nothing uses, and removes what an earlier one marked at least an hour ago and still nothing
    uses. The hub makes one every six hours by itself.
    """
    if dry_run:
        plan = client.plan_collection()
        print_json(plan) if as_json else print_plan(plan, everything=everything)
        return
    done = client.collect()
    while done.state not in ("succeeded", "failed", "cancelled"):
        time.sleep(0.5)
        done = client.collection(done.job)
    if done.result is None:
        raise HostFailed(f"the collection {done.state}: {done.reason}", hint="the hub's log says more")
    if as_json:
        print_json(done.result)
        return
    click.echo(f"removed  {_words(done.result.removed)}")
    click.echo(f"marked   {_words(done.result.marked)}, to go in an hour or later")
    for name in done.result.snapshots:
        click.echo(f"dropped  snapshot {name}")


def print_plan(plan: CollectPlan, *, everything: bool) -> None:
    shown = [one for one in plan.listed if one.goes or everything]
    rows = [("goes" if one.goes else "stays", one.size, one.names[0] if one.names else one.sha256, one.why)
            for one in shown]  # fmt: skip
    if rows:
        print_rows(("", "BYTES", "FILE", "WHY"), rows)
    if plan.left_off:
        click.echo(f"… and of {plan.left_off} more only the sums:")
    click.echo(f"goes: {_words(plan.goes)}")
    for why, found in plan.stays.items():
        click.echo(f"stays: {_words(found)} ({why})")


def _words(found: Sum) -> str:
    return f"{found.files} files, {found.size / 2**20:.1f} MiB"
