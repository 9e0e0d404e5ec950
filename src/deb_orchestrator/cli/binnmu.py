"""`binnmu`: build anew what a suite has, without a new source."""

from __future__ import annotations

import click

from deb_orchestrator.cli.build import find_target
from deb_orchestrator.cli.connection import options_of
from deb_orchestrator.cli.watching import EXIT, follow, print_end
from debcore.cli import print_json
from debcore.hub.model import BinNmuAsk
from debcore.hub.suite_client import SuiteClient
from debcore.hub.suites import RebuildPlan


@click.command()
@click.argument("sources", nargs=-1)
@click.option("--of", "of", multiple=True, metavar="SOURCE", help="All that build-depends on its packages, too.")
@click.option("--plan", is_flag=True, help="With --of: only print the plan, in levels.")
@click.option("-m", "--reason", help="Why, for the changelog entry; needed but for --plan.")
@click.option("-t", "--target", help="Target to build for (default: the hub's only one).")
@click.option("-a", "--arch", "arches", multiple=True, help="Architecture, may be repeated (default: the target's).")
@click.option("--maintainer", metavar="NAME", help="Who signs the entry: Name <address>.")
@click.option("--nowait", is_flag=True, help="Return as soon as the hub has the request.")
@options_of(SuiteClient)
def command(
    sources: tuple[str, ...], of: tuple[str, ...], plan: bool, reason: str | None, target: str | None,
    arches: tuple[str, ...], maintainer: str | None, nowait: bool, client: SuiteClient, as_json: bool,
) -> int:  # fmt: skip
    """Rebuild SOURCES of the target's suite as binNMUs, in the order of their build-dependencies.

    Each gets the next number: +b1, +b2, … after its version. Packages for all architectures stay as they are.

    \b
    deb-orchestrator binnmu -t trixie-local -m 'Rebuild against libfoo2' bar baz
    deb-orchestrator binnmu -t transition-foo --of libfoo --plan
    """
    chosen = find_target(client, target)
    planned = client.plan_rebuild(chosen.name, of) if of else None
    if plan:
        if planned is None:
            raise click.UsageError("--plan needs --of")
        print_json(planned) if as_json else print_plan(planned)
        return 0
    sources += tuple(one.source for level in planned.levels for one in level) if planned else ()
    if not sources or reason is None:
        raise click.UsageError("name SOURCES or --of, and a --reason")
    ask = BinNmuAsk(sources=sources, reason=reason, arches=arches, maintainer=maintainer)
    request = client.binnmu(chosen.name, ask)
    if not nowait:
        request = follow(client, request.id, quiet=as_json)
    print_json(request) if as_json else click.echo(f"request {request.id}", err=True)
    if nowait:
        return 0
    if not as_json:
        print_end(client, request)
    return EXIT[request.state]


def print_plan(plan: RebuildPlan) -> None:
    """One line for each source, in the order of building."""
    for n, level in enumerate(plan.levels, start=1):
        for one in level:
            click.echo(f"level {n}  {one.source} {one.version}+b{one.binnmu}")
    for name in plan.by_hand:
        click.echo(f"by hand  {name}: its packages are for all architectures, so it needs a new version")
