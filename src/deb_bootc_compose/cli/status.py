"""deb-bootc-compose status"""

from __future__ import annotations

import os
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click

from deb_bootc_compose.cli.build import default_target
from deb_bootc_compose.cli.progress import State, words
from deb_bootc_compose.compose import load_started
from deb_bootc_compose.directory import ComposeDirectory, Status, find_compose, list_composes
from deb_bootc_compose.estimate import load_past
from deb_bootc_compose.fallen import left_out_of
from deb_bootc_compose.graph import duration
from deb_bootc_compose.journal import Entry, read_journal
from deb_bootc_compose.plan import make_nodes
from debcore.cli import print_json
from debcore.errors import Failure


@click.command()
@click.argument("compose", required=False)
@click.option("--target", type=click.Path(path_type=Path), help="Where composes are kept (default: composes/ beside "
              "the manifest in this directory).")  # fmt: skip
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def command(compose: str | None, target: Path | None, as_json: bool) -> None:
    """Show the composes of a manifest, or the tasks of COMPOSE (a directory or an id)."""
    where = target or default_target(Path())
    if compose is not None and (Path(compose) / "compose.yaml").exists():
        where = target or default_target(Path(compose))
        compose = None
    if compose is None:
        _show_all(where, as_json=as_json)
        return
    directory = find_compose(compose, [where])
    document = describe(directory) | {"tasks": list(tasks_of(directory))}
    document["left"] = time_left_of(directory) if document["note"] == "running" else None
    if as_json:
        print_json(document)
        return
    click.echo(f"{document['id']}: {document['status']} {document['note']}".rstrip())
    if document["left"] is not None:
        click.echo(f"  about {words(document['left'])} left, as earlier composes took")
    for task in document["tasks"]:
        took = duration(task["seconds"]) if task["seconds"] is not None else ""
        click.echo(f"  {task['task']:<24} {task['state']:<9} {took:>9}  {task['error']}".rstrip())


def _show_all(where: Path, *, as_json: bool) -> None:
    described = [describe(directory) for directory in list_composes(where)]
    if as_json:
        print_json(described)
        return
    for one in described:
        click.echo(f"{one['id']:<36} {one['status']:<20} {one['note']}".rstrip())
    if not described:
        click.echo(f"no composes in {where}", err=True)


def describe(directory: ComposeDirectory) -> dict[str, Any]:
    try:
        status = directory.status()
    except (OSError, ValueError):
        return {"id": directory.path.name, "path": str(directory.path), "status": "?", "note": "STATUS is damaged"}
    note = ""
    if status is Status.STARTED:
        note = "running" if directory.is_running() else f"killed; to go on: deb-bootc-compose resume {directory.path}"
    elif status is Status.FINISHED_INCOMPLETE and (left_out := left_out_of(directory)):
        note = f"left out, as it failed: {', '.join(left_out)}"
    elif not status.is_final:
        note = f"to go on: deb-bootc-compose resume {directory.path}"
    return {"id": directory.id, "path": str(directory.path), "status": status.value, "note": note}


def time_left_of(directory: ComposeDirectory) -> float | None:
    """Seconds, by what its journal has and what earlier composes took; None if nothing is known."""
    try:
        started = load_started(directory)
        nodes = make_nodes(started.manifest, started.options, started.digests)
    except Failure:
        return None  # it is about to begin
    past = load_past(directory.path.parent, own=directory.path)
    state = State(nodes, past, max(2, os.cpu_count() or 1))
    for entry in read_journal(directory.journal_path):
        state.hear(entry, datetime.fromisoformat(entry.at).timestamp())
    left = state.left(datetime.now(UTC).timestamp())
    return None if left is None else round(left, 1)


def tasks_of(directory: ComposeDirectory) -> Iterator[dict[str, Any]]:
    """Each task as the journal last saw it, in order of their first start."""
    last: dict[str, Entry] = {}
    for entry in read_journal(directory.journal_path):
        if entry.type.startswith("task."):
            last[entry.data["task"]] = entry
    running = directory.is_running()
    for name, entry in last.items():
        state = entry.type.removeprefix("task.")
        if state == "started":
            state = "running" if running else "killed"
        error = entry.data.get("error", {}).get("message", "")
        yield {"task": name, "state": state, "seconds": entry.data.get("seconds"), "error": error}
