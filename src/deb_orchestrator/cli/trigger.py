"""`trigger`: git branches that are built when they move."""

from __future__ import annotations

import os
import re
import tempfile
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import click

from deb_orchestrator.cli.build import pack
from deb_orchestrator.cli.connection import age, options_of, print_rows
from debcore.cli import print_json, printable
from debcore.command import run
from debcore.errors import Failure
from debcore.hub.door_client import DoorClient
from debcore.hub.doors import Looked, Trigger, TriggerAsk
from debcore.hub.model import Target

#: Makes a .dsc of a git URL, for a target, below a directory, with a suffix to its version.
Packer = Callable[[str, Target, Path, str], Path]
#: Seconds that looking at a repository may take.
LOOK_S = 120


@click.group()
def command() -> None:
    """Build git branches when they move: their host calls, or we poll."""


@command.command("add")
@click.argument("name")
@click.argument("url")
@click.option("-b", "--branch", default="debian/latest", show_default=True)
@click.option("-t", "--target", required=True, help="What to build it for.")
@click.option("--poll", type=click.IntRange(1, 10080), metavar="MINUTES", help="Look at it so often.")
@options_of(DoorClient)
def add(name: str, url: str, branch: str, target: str, poll: int | None, client: DoorClient, as_json: bool) -> None:
    """Build BRANCH of the repository URL for TARGET when it moves, and print the URL that its host is to call.

    \b
    deb-orchestrator trigger add hello https://salsa.debian.org/debian/hello.git -t trixie-local --poll 30
    """
    poll_s = poll * 60 if poll else None
    made = client.add_trigger(TriggerAsk(name=name, url=url, branch=branch, target=target, poll_s=poll_s))
    print_json(made) if as_json else click.echo(f"{client.http.base_url}{made.hook}")


@command.command("list")
@options_of(DoorClient)
def list_triggers(client: DoorClient, as_json: bool) -> None:
    found = client.triggers()
    if as_json:
        print_json(found)
        return
    rows = [
        (
            one.name,
            one.url,
            one.branch,
            one.target,
            one.head[:12],
            (one.request or "")[:12],
            age(one.looked_at),
            one.error,
        )
        for one in found
    ]
    print_rows(("NAME", "URL", "BRANCH", "TARGET", "COMMIT", "REQUEST", "LOOKED", "ERROR"), rows)


@command.command("remove")
@click.argument("name")
@options_of(DoorClient)
def remove(name: str, client: DoorClient, as_json: bool) -> None:
    client.remove_trigger(name)
    if as_json:
        print_json({"removed": name})


@command.command("run")
@click.option("--once", is_flag=True, help="Look at what is due, and end.")
@options_of(DoorClient)
def run_triggers(once: bool, client: DoorClient, as_json: bool) -> None:
    """Look at repositories that are due, pack what is new with deb-mock on this host, and have it built.

    Any number of these may run. Each commit gets a version of its own: +git, the time, and the commit.
    """
    while True:
        for due in client.due_triggers(wait=0 if once else 30):
            looked = look(client, due, pack_git)
            if looked is not None:
                words = looked.error or (f"request {looked.request}" if looked.request else "nothing new")
                print_json(looked) if as_json else click.echo(printable(f"{due.name}: {words}"))
        if once:
            return


def look(client: DoorClient, due: Trigger, packer: Packer) -> Looked | None:
    """Look at one repository and submit what is new of it; None if another runner does."""
    if not client.take_look(due.name):
        return None
    try:
        head = find_head(due.url, due.branch)
        request = None if head == due.head else submit(client, due, head, packer)
        looked = Looked(head=head, request=request)
    except Failure as failure:
        looked = Looked(error=str(failure)[:2000])
    client.keep_look(due.name, looked)
    return looked


def find_head(url: str, branch: str) -> str:
    """The commit at the branch's end. Errors: Failure with git's words."""
    ref = f"refs/heads/{branch}"
    env = {"GIT_TERMINAL_PROMPT": "0", "GIT_SSH_COMMAND": os.environ.get("GIT_SSH_COMMAND", "ssh -oBatchMode=yes")}
    done = run(["git", "ls-remote", "--exit-code", "--", url, ref], check=False, timeout=LOOK_S, extra_env=env)
    found = re.fullmatch(r"([0-9a-f]{40,64})\t(\S+)\s*", done.text)
    if done.status != 0 or found is None or found[2] != ref:
        words = done.stderr.decode("utf-8", "replace").strip().splitlines()[-1:]
        raise Failure(f"{url} has no branch {branch}: {' '.join(words) or 'git found nothing'}")
    return found[1]


def submit(client: DoorClient, due: Trigger, head: str, packer: Packer) -> str:
    """The request that the commit *head* becomes. It is packed by its hash: the branch may move meanwhile."""
    target = client.target(due.target)
    suffix = f"+git{datetime.now(UTC):%Y%m%d%H%M%S}.{head[:7]}"
    with tempfile.TemporaryDirectory(prefix="trigger-") as out:
        dsc = packer(f"{due.url}#{head}", target, Path(out), suffix)
        return client.submit(target.name, [dsc]).id


def pack_git(url: str, target: Target, out: Path, suffix: str) -> Path:
    """By deb-mock, inside a root."""
    return pack(url, target, out, "--append-version", suffix)
