"""`task`: one job."""

from __future__ import annotations

import click

from deb_orchestrator.cli.connection import options_of, print_rows
from deb_orchestrator.cli.list_tasks import describe
from debcore.cli import print_json, printable
from debcore.hub.record_client import RecordClient


@click.command()
@click.argument("job", type=click.IntRange(min=1))
@options_of(RecordClient)
def command(job: int, client: RecordClient, as_json: bool) -> None:
    """Show one job: what it is about, what it went through, and why it waits. Koji's taskinfo."""
    task = client.task(job)
    if as_json:
        print_json(task)
        return
    rows = [
        ("kind", task.kind), ("state", task.state), ("about", describe(task)), ("architecture", task.arch),
        ("owner", task.owner), ("priority", str(task.priority)), ("host", task.agent or ""),
        ("attempt", str(task.attempt) if task.attempt else ""), ("outcome", task.outcome), ("reason", task.reason),
        ("trace", task.trace or ""),
    ]  # fmt: skip
    print_rows(("JOB", str(task.job)), [row for row in rows if row[1]])
    for move in task.moves:
        attempt = f" attempt {move.attempt}" if move.attempt else ""
        by = f" on {move.agent}" if move.agent else ""
        said = f": {move.reason}" if move.reason else ""
        click.echo(printable(f"{move.at:%Y-%m-%d %H:%M:%S}  {move.name}{attempt}{by}{said}"))
    for reason in task.why:
        click.echo(printable(reason.fact))
        if reason.next:
            click.echo(printable(f"  [{reason.next}]"))
