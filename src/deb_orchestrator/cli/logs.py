"""`logs`: the build log, from any offset, followed if asked."""

from __future__ import annotations

import sys
import time

import click

from deb_orchestrator.cli.connection import options_of
from debcore.cli import print_json, printable
from debcore.errors import Failure
from debcore.hub.check_client import CheckClient
from debcore.hub.client import HubClient

POLL = 0.5  #: seconds between looks at a log that grows


@click.command()
@click.argument("build", type=int)
@click.option("-a", "--arch", help="Architecture (default: the build's only one).")
@click.option("-f", "--follow", is_flag=True, help="Go on until the log is complete.")
@click.option("--check", metavar="ID/NAME", help="Of this check, as `show` lists them, not of the build.")
@click.option("--offset", type=click.IntRange(min=0), default=0, help="Byte to start at.")
@options_of(CheckClient)
def command(
    build: int, arch: str | None, follow: bool, check: str | None, offset: int, client: CheckClient, as_json: bool
) -> None:
    """Print the log of BUILD, or of one of its checks.

    On a terminal control characters are made visible; in a pipe the bytes are passed on as they are.
    """
    if check is not None:
        print_check(client, build, check, offset, as_json=as_json)
        return
    arch = arch or only_arch(client, build)
    if as_json:
        text, complete = client.log(build, arch, offset=offset, limit=2**24)
        print_json({"offset": offset, "text": text.decode("utf-8", "replace"), "complete": complete})
        return
    raw = not sys.stdout.isatty()
    while True:
        piece, complete = client.log(build, arch, offset=offset)
        offset += len(piece)
        click.echo(piece if raw else printable(piece.decode("utf-8", "replace")), nl=False)
        if complete or (not piece and not follow):
            return
        if not piece:
            time.sleep(POLL)


def print_check(client: CheckClient, build: int, check: str, offset: int, *, as_json: bool) -> None:
    """The whole log; it is there when the check has ended."""
    number, _, name = check.partition("/")
    if not number.isdigit() or not name:
        raise click.UsageError(f"--check {check} is not ID/NAME, such as 3/lintian")
    if as_json:
        text = client.check_log(build, int(number), name, offset=offset, limit=2**22)
        print_json({"offset": offset, "text": text.decode("utf-8", "replace"), "complete": len(text) < 2**22})
        return
    raw = not sys.stdout.isatty()
    while piece := client.check_log(build, int(number), name, offset=offset):
        offset += len(piece)
        click.echo(piece if raw else printable(piece.decode("utf-8", "replace")), nl=False)


def only_arch(client: HubClient, build: int) -> str:
    arches = [arch.arch for arch in client.build(build).arches]
    if len(arches) != 1:
        raise Failure(f"build {build} has architectures {', '.join(arches)}", hint="choose one with --arch")
    return arches[0]
