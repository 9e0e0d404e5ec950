"""`cancel`: stop builds, requests, and tasks of composes."""

from __future__ import annotations

import re

import click

from deb_orchestrator.cli.connection import options_of
from debcore.cli import print_json
from debcore.hub.model import Build, Request
from debcore.hub.task_client import TaskClient
from debcore.hub.tasks import OrderedTask

REQUEST = re.compile(r"[0-9a-f]{64}")


@click.command()
@click.argument("what", nargs=-1, metavar="BUILD|REQUEST...")
@click.option("--task", "tasks", type=click.IntRange(min=1), multiple=True, metavar="JOB", help="A task of a compose, "
              "by its job.")  # fmt: skip
@options_of(TaskClient)
def command(what: tuple[str, ...], tasks: tuple[int, ...], client: TaskClient, as_json: bool) -> None:
    """Cancel builds, by number, and requests, with the builds that nobody else asked for.

    A running build is told within its next heartbeat.
    """
    if not (what or tasks):
        raise click.UsageError("name what to cancel: a build's number, a request's id, or --task JOB")
    for word in what:
        if not (word.isascii() and (word.isdigit() or REQUEST.fullmatch(word))):
            raise click.UsageError(f"{word!r} is neither a build's number nor a request's id")
    states: list[Build | Request | OrderedTask] = []
    for word in what:
        states.append(client.cancel_request(word) if REQUEST.fullmatch(word) else client.cancel(int(word)))
    states += [client.cancel_task(number) for number in tasks]
    if as_json:
        print_json(states)
        return
    for one in states:
        click.echo(f"{_name(one)}: {one.state}")


def _name(one: Build | Request | OrderedTask) -> str:
    if isinstance(one, OrderedTask):
        return f"task {one.job}"
    return f"build {one.id} {one.source} {one.version}" if isinstance(one, Build) else f"request {one.id}"
