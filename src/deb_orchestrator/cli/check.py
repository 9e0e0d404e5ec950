"""`check`: have what was built checked."""

from __future__ import annotations

import time
from collections.abc import Sequence

import click

from deb_orchestrator.cli.check_options import check_options
from deb_orchestrator.cli.connection import options_of
from deb_orchestrator.cli.reports import describe_checks
from debcore.cli import print_json, printable
from debcore.hub.check_client import CheckClient
from debcore.hub.checks import BuildCheck, CheckAsk, CheckState
from debcore.hub.model import Build

#: Exit status for each end, as deb-mock check has them.
EXIT = {CheckState.PASSED: 0, CheckState.FAILED: 4, CheckState.ERROR: 6, CheckState.CANCELLED: 3}
POLL = 1.0  #: seconds between looks
WHY = 5  #: looks after which it is asked why nothing happens


@click.command()
@click.argument("build", type=int)
@check_options("Which, as deb-mock has it (default: all).", policy="A policy file of deb-mock.")
@click.option("--gate", is_flag=True, help="Try again what keeps BUILD out of its suite; no other option then counts.")
@click.option("-a", "--arch", "arches", multiple=True, help="Architecture, may be repeated (default: the build's).")
@click.option("--nowait", is_flag=True, help="Return as soon as the hub has the order.")
@options_of(CheckClient)
def command(
    build: int, checks: tuple[str, ...], fail_on: tuple[str, ...], policy: str | None, gate: bool,
    arches: tuple[str, ...], nowait: bool, client: CheckClient, as_json: bool,
) -> int:  # fmt: skip
    """Check the packages of BUILD on a builder: lintian, piuparts, autopkgtest, installation, upgrade and so on.

    What is checked of every build of a target is said by `target checks`. The exit status is 4 if the policy refuses
    what was found.

    \b
    deb-orchestrator check 12
    deb-orchestrator check 12 --check lintian,piuparts --fail-on lintian:warning
    """
    ask = CheckAsk(names=checks, fail_on=fail_on, policy=policy, arches=arches, gate=gate)
    found, ordered = order(client, build, ask)
    if not nowait:
        found = follow(client, found, ordered, quiet=as_json)
    mine = pick(found, ordered)
    if as_json:
        print_json(mine)
    else:
        click.echo("\n".join(describe_checks(build, mine)))
    return find_status(mine)


def order(client: CheckClient, build: int, ask: CheckAsk) -> tuple[Build, set[int]]:
    """The build, and the numbers of the new orders."""
    before = {one.id for one in client.build(build).checks}
    found = client.order_checks(build, ask)
    return found, {one.id for one in found.checks} - before


def find_status(checks: Sequence[BuildCheck]) -> int:
    """The worst."""
    return max((EXIT.get(one.state, 0) for one in checks), default=0)


def follow(client: CheckClient, build: Build, ordered: set[int], *, quiet: bool) -> Build:
    """Until the orders have ended; says where to look meanwhile, and what they wait for. Ctrl-C stops watching."""
    if not quiet:
        click.echo(f"ordered; look again with: deb-orchestrator show {build.id}", err=True)
    told: set[str] = set()
    looks = 0
    while any(not one.state.ended for one in pick(build, ordered)):
        looks += 1
        if looks % WHY == 0 and not quiet:
            told |= _say_why(client, build.id, ordered, told)
        time.sleep(POLL)
        build = client.build(build.id)
    return build


def _say_why(client: CheckClient, build: int, ordered: set[int], told: set[str]) -> set[str]:
    """What is new of why they do not run."""
    said = {
        f"{reason.subject}: {reason.fact}{f'; {reason.next}' if reason.next else ''}"
        for reason in client.why(build)
        if reason.subject.split()[0] in ("check", "gate") and int(reason.subject.split()[1]) in ordered
    } - told
    for line in sorted(said):
        click.echo(printable(line), err=True)
    return said


def pick(build: Build, ids: set[int]) -> list[BuildCheck]:
    return [one for one in build.checks if one.id in ids]
