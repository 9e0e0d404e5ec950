"""`suite`: the hub's apt repositories."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal

import click

from deb_orchestrator.cli import suite_archive
from deb_orchestrator.cli.connection import options_of, print_rows
from debcore.cli import print_json, printable
from debcore.hub.snippet import apt_snippet
from debcore.hub.suite_client import SuiteClient
from debcore.hub.suites import Moved, PackageAsk, RuleAsk, SuiteAsk

options = options_of(SuiteClient)


@click.group()
def command() -> None:
    """Suites: signed apt repositories that apt reads as they are.

    A suite may inherit from others, has a package list, and keeps its whole history.
    """


@command.command("list")
@options
def list_suites(client: SuiteClient, as_json: bool) -> None:
    """List the suites."""
    suites = client.suites()
    if as_json:
        print_json(suites)
        return
    print_rows(
        ("SUITE", "GENERATION", "EVENT", "ARCHITECTURES", "URI"),
        ((s.name, s.generation, s.event, " ".join(s.arches), s.apt_uri) for s in suites),
    )


@command.command("show")
@click.argument("name")
@options
def show_suite(name: str, client: SuiteClient, as_json: bool) -> None:
    """Print what to put into /etc/apt/sources.list.d/NAME.sources, key included."""
    suite = client.suite(name)
    if as_json:
        print_json(suite)
    elif not suite.generation:
        click.echo(f"{name} has nothing published yet")
    else:
        click.echo(apt_snippet(suite), nl=False)


@command.command("make")
@click.argument("name")
@click.option("-a", "--arch", "arches", multiple=True, default=("amd64",), show_default=True, help="May be repeated.")
@click.option("-p", "--parent", "parents", multiple=True, help="Inherit from it; the first is asked first.")
@options
def make_suite(
    name: str, arches: tuple[str, ...], parents: tuple[str, ...], client: SuiteClient, as_json: bool
) -> None:
    """Make a suite; one that inherits is a side suite of its parents.

    \b
    deb-orchestrator suite make transition-foo --parent trixie-local
    """
    suite = client.make_suite(name, SuiteAsk(arches=arches, parents=parents))
    print_json(suite) if as_json else click.echo(f"suite {suite.name}")


@command.command("inherit")
@click.argument("name")
@click.argument("parents", nargs=-1)
@click.option("--nothing", is_flag=True, help="Inherit from no suite from now on.")
@options
def inherit(name: str, parents: tuple[str, ...], nothing: bool, client: SuiteClient, as_json: bool) -> None:
    """Let NAME inherit from PARENTS, in this order, instead of its present ones; without any, show what it inherits.

    The first suite that holds a source gives all of it, whatever version others hold. Loops are refused.
    """
    if nothing and parents:
        raise click.UsageError("name parents or give --nothing, not both")
    found = client.set_parents(name, parents) if parents or nothing else client.inheritance(name)
    print_json(found) if as_json else click.echo(" → ".join(found.order))


command.add_command(suite_archive.command)


@command.command("rules")
@click.argument("name")
@click.option("--at", type=int, metavar="EVENT", help="As of that event.")
@options
def list_rules(name: str, at: int | None, client: SuiteClient, as_json: bool) -> None:
    """The package list: sources that NAME takes or blocks, with their owners, inherited lines included."""
    rules = client.rules(name, at=at)
    if as_json:
        print_json(rules)
        return
    print_rows(("SOURCE", "STATE", "OWNER", "FROM"), ((r.source, r.state, r.owner, r.suite) for r in rules))


def _rule_verb(verb: str, state: Literal["allowed", "blocked"], help_: str) -> None:
    @command.command(verb, help=help_)
    @click.argument("name")
    @click.argument("sources", nargs=-1, required=True)
    @click.option("--owner", default="", help="Who answers for it.")
    @options
    def set_rules(name: str, sources: tuple[str, ...], owner: str, client: SuiteClient, as_json: bool) -> None:
        rules = [client.set_rule(name, source, RuleAsk(state=state, owner=owner)) for source in sources][-1]
        print_json(rules) if as_json else click.echo(f"{name}: {', '.join(sources)} {state}")


_rule_verb("allow", "allowed", "Take SOURCES into NAME, also where '*' is blocked.")
_rule_verb("block", "blocked", "Keep SOURCES out of NAME and hide what it inherits of them; '*' is all without a rule.")


@command.command("unrule")
@click.argument("name")
@click.argument("sources", nargs=-1, required=True)
@options
def remove_rules(name: str, sources: tuple[str, ...], client: SuiteClient, as_json: bool) -> None:
    """Remove NAME's own lines for SOURCES from its package list: what its parents say counts again."""
    for source in sources:
        client.remove_rule(name, source)
    if as_json:
        print_json(client.rules(name))


@command.command("content")
@click.argument("name")
@click.option("--at", type=int, metavar="EVENT", help="As of that event.")
@options
def show_content(name: str, at: int | None, client: SuiteClient, as_json: bool) -> None:
    """What NAME holds and inherits."""
    packages = [package for page in client.content(name, at=at) for package in page.packages]
    if as_json:
        print_json(packages)
        return
    print_rows(
        ("PACKAGE", "VERSION", "ARCH", "SOURCE", "FROM"),
        ((p.name, p.version, p.arch, p.source, p.suite) for p in packages),
    )


@command.command("add")
@click.argument("name")
@click.argument("source")
@click.argument("version", required=False)
@click.option("--from", "other", metavar="SUITE", help="As SUITE sees it (default: the newest that the hub has).")
@options
def add_package(
    name: str, source: str, version: str | None, other: str | None, client: SuiteClient, as_json: bool
) -> None:
    """Put SOURCE with its binaries, which the hub has already, into NAME."""
    event = client.add_package(name, PackageAsk(source=source, version=version, suite=other))
    _print_event(event, as_json)


@command.command("remove")
@click.argument("name")
@click.argument("source")
@options
def remove_package(name: str, source: str, client: SuiteClient, as_json: bool) -> None:
    """Take SOURCE with its binaries out of NAME. What NAME inherits of it stays: see `suite block`."""
    _print_event(client.remove_package(name, source), as_json)


@command.command("merge")
@click.argument("name")
@click.argument("other")
@options
def merge_suite(name: str, other: str, client: SuiteClient, as_json: bool) -> None:
    """Take all packages that OTHER itself holds into NAME, at one event or not at all: the end of a side suite."""
    _print_event(client.merge(name, other), as_json)


@command.command("history")
@click.argument("name")
@click.option("--before", type=int, metavar="EVENT", help="Older ones only.")
@click.option("-n", "--limit", type=click.IntRange(1, 1000), default=20, show_default=True)
@options
def show_history(name: str, before: int | None, limit: int, client: SuiteClient, as_json: bool) -> None:
    """NAME's own changes, newest first."""
    changes = client.history(name, before=before, limit=limit)
    if as_json:
        print_json(changes)
        return
    for change in changes:
        build = f" by build {change.build}" if change.build else ""
        click.echo(f"event {change.event}  {change.at:%Y-%m-%d %H:%M}  {change.type}{build}")
        if change.parents is not None:
            click.echo(f"  inherits from {', '.join(change.parents) or 'nothing'}")
        for rule in change.rules:
            click.echo(printable(f"  {rule.state} {rule.source}" + (f" (owner {rule.owner})" if rule.owner else "")))
        _print_moves(change.packages, indent="  ")


@command.command("diff")
@click.argument("name")
@click.argument("old", type=int)
@click.argument("new", type=int, required=False)
@options
def diff_suite(name: str, old: int, new: int | None, client: SuiteClient, as_json: bool) -> None:
    """What changed in NAME for its users from event OLD to event NEW (default: the last), inherited packages too."""
    diff = client.diff(name, old, new)
    if as_json:
        print_json(diff)
        return
    if diff.order_before != diff.order_after:
        click.echo(f"inherits {' → '.join(diff.order_after)} (was {' → '.join(diff.order_before)})")
    _print_moves(diff.packages)


@command.command("revert")
@click.argument("name")
@click.argument("event", type=int)
@click.option("--yes", is_flag=True, help="Do not only show what would change.")
@options
def revert_suite(name: str, event: int, yes: bool, client: SuiteClient, as_json: bool) -> None:
    """Let NAME be again what it was at EVENT: its own packages, parents and package list.

    Nothing is lost: the present state stays in the history, and can be reverted to. apt on machines that have newer
    packages does not downgrade them by itself.
    """
    if yes:
        _print_event(client.revert(name, event), as_json)
        return
    diff = client.diff(name, event)
    back = [Moved(name=one.name, arch=one.arch, old=one.new, new=one.old) for one in diff.packages]
    if as_json:
        print_json(back)
        return
    _print_moves(back)
    click.echo("nothing is changed yet: give --yes (what parents have changed since will stay)", err=True)


def _print_event(event: int, as_json: bool) -> None:
    print_json({"event": event}) if as_json else click.echo(f"as of event {event}")


def _print_moves(moves: Iterable[Moved], *, indent: str = "") -> None:
    """`+` came, `-` left, `±` has another version."""
    for one in moves:
        mark = "±" if one.old and one.new else "+" if one.new else "-"
        versions = f"{one.old} → {one.new}" if one.old and one.new else one.new or one.old
        click.echo(printable(f"{indent}{mark} {one.name} {one.arch} {versions}"))
