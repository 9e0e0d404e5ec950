"""`list-tasks`: jobs of every kind."""

from __future__ import annotations

import click

from deb_orchestrator.cli.connection import age, options_of, print_rows
from debcore.cli import print_json
from debcore.hub.record_client import RecordClient
from debcore.hub.records import Task

STATES = ("open", "blocked", "queued", "running", "succeeded", "failed", "cancelled", "all")


@click.command()
@click.option("--state", type=click.Choice(STATES), default="open", show_default=True, help="Only those in it.")
@click.option("--owner", "--user", metavar="NAME", help="Only those that NAME's requests made.")
@click.option("-a", "--arch", help="Only those of this architecture.")
@click.option("--host", metavar="NAME", help="Only those that NAME has, or had last.")
@click.option("--kind", "--method", metavar="KIND", help="Only these: build, check, sign, publish, gc and so on.")
@click.option("--before", type=click.IntRange(min=1), metavar="JOB", help="Older ones only.")
@click.option("--limit", type=click.IntRange(1, 1000), default=50, show_default=True, help="At most so many.")
@options_of(RecordClient)
def command(
    state: str, owner: str | None, arch: str | None, host: str | None, kind: str | None, before: int | None,
    limit: int, client: RecordClient, as_json: bool,
) -> None:  # fmt: skip
    """List jobs, newest first: those that have not ended, or others by --state.

    \b
    deb-orchestrator list-tasks --host builder-1
    deb-orchestrator list-tasks --state failed --kind build
    """
    found = client.tasks(
        state=None if state == "all" else state, owner=owner, arch=arch, agent=host, kind=kind, before=before,
        limit=limit,
    )  # fmt: skip
    if as_json:
        print_json(found)
        return
    print_rows(
        ("JOB", "KIND", "STATE", "ARCH", "OWNER", "HOST", "WHAT", "SINCE"),
        ((t.job, t.kind, t.state, t.arch, t.owner, t.agent or "", describe(t), age(t.changed_at)) for t in found),
    )


def describe(task: Task) -> str:
    """What it is about: `hello 1.0 (build 12)`, or the suite."""
    if task.build is not None:
        return f"{task.source} {task.version} (build {task.build})".strip()
    return task.suite
