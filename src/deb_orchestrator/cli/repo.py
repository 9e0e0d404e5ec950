"""`repo`: suites as repositories."""

from __future__ import annotations

import re
from datetime import UTC, datetime

import click

from deb_orchestrator.cli.connection import options_of, print_rows
from debcore.cli import print_json
from debcore.hub.repo_client import RepoClient
from debcore.hub.repos import SnapshotAsk, SuiteKey, SuiteSettings

options = options_of(RepoClient)
_TIMES = ("%Y-%m-%d", "%Y-%m-%dT%H:%M", "%Y-%m-%dT%H:%M:%S")
_UNITS = {"h": 3600, "d": 86400, "w": 7 * 86400}


@click.group()
def command() -> None:
    """Suites as repositories: what they publish."""


@command.command("snapshot")
@click.argument("name")
@click.option("--event", type=click.IntRange(min=1), metavar="N", help="As of this event (default: as it is now).")
@click.option("--at", type=click.DateTime(_TIMES), metavar="TIME", help="As of this moment, UTC.")
@options
def make_snapshot(name: str, client: RepoClient, as_json: bool, event: int | None, at: datetime | None) -> None:
    """Serve the suite as it was as a repository that stays as it is, and print what to give apt as its name.

    \b
    deb-orchestrator repo snapshot trixie-local --at 2026-03-14T12:00
    """
    ask = SnapshotAsk(event=event, at=at.replace(tzinfo=UTC) if at else None)
    made = client.make_snapshot(name, ask)
    if as_json:
        print_json(made)
    else:
        click.echo(made.name)


@command.command("list-snapshots")
@click.argument("name")
@options
def list_snapshots(name: str, client: RepoClient, as_json: bool) -> None:
    """List the snapshots of a suite."""
    found = client.snapshots(name)
    if as_json:
        print_json(found)
        return
    rows = [(one.name, f"{one.at:%Y-%m-%d %H:%M:%S}", "" if one.live else "awaits its signature") for one in found]
    print_rows(("SNAPSHOT", "AS OF (UTC)", ""), rows)


@command.command("keys")
@click.argument("name")
@options
def list_keys(name: str, client: RepoClient, as_json: bool) -> None:
    """List the keys that sign the suite, or did."""
    _print_keys(client.keys(name), as_json)


@command.command("add-key")
@click.argument("name")
@options
def add_key(name: str, client: RepoClient, as_json: bool) -> None:
    """Have the suite signed by a new key too, so that the old one can be retired later.

    \b
    deb-orchestrator repo add-key trixie-local
    deb-orchestrator repo keys trixie-local
    deb-orchestrator repo retire-key trixie-local FINGERPRINT
    """
    _print_keys(client.add_key(name), as_json)


@command.command("retire-key")
@click.argument("name")
@click.argument("fingerprint")
@options
def retire_key(name: str, fingerprint: str, client: RepoClient, as_json: bool) -> None:
    """Let a key sign no more. Clients that hold no other one refuse the suite from then on."""
    _print_keys(client.retire_key(name, fingerprint.replace(" ", "").upper()), as_json)


def _print_keys(keys: list[SuiteKey], as_json: bool) -> None:
    if as_json:
        print_json(keys)
        return
    rows = [(key.number, key.state, key.fingerprint, f"{key.created_at:%Y-%m-%d}") for key in keys]
    print_rows(("NUMBER", "STATE", "FINGERPRINT", "SINCE"), rows)


class Duration(click.ParamType[int]):
    """`12h`, `7d`, `2w` in seconds; `never` is 0."""

    name = "duration"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> int:
        match = re.fullmatch(r"([1-9][0-9]{0,4})([hdw])", str(value))
        if match is None and value != "never":
            self.fail(f"{value!r} is no duration: say 12h, 7d, 2w or never", param, ctx)
        return int(match[1]) * _UNITS[match[2]] if match else 0


@command.command("set")
@click.argument("name")
@click.option("--valid", type=Duration(), metavar="TIME", help="apt refuses what is older: 12h, 7d, 2w or never.")
@click.option("--contents/--no-contents", default=None, help="Contents indexes, for apt-file (default: yes).")
@click.option("--translation/--no-translation", default=None, help="Translation-en (default: yes).")
@click.option("--xz/--no-xz", default=None, help="Packages and Sources also in xz (default: no).")
@click.option("--debug/--no-debug", default=None, help="Debug symbols go to the suite NAME-debug (default: no).")
@click.option("--private/--public", default=None, help="Only those read it who may (see access; default: all).")
@options
def set_repo(name: str, client: RepoClient, as_json: bool, valid: int | None, **switches: bool | None) -> None:
    """Change what a suite publishes; without options print what it does.

    The hub signs a suite with --valid anew when half of the time has passed.

    \b
    deb-orchestrator repo set trixie-local --valid 7d --debug
    """
    given: dict[str, object] = {key: value for key, value in switches.items() if value is not None}
    if valid is not None:
        given["valid_s"] = valid or None
    settings = client.settings(name)
    if given:
        settings = client.set_settings(name, SuiteSettings.model_validate(settings.model_dump() | given))
    if as_json:
        print_json(settings)
        return
    print_rows(("SETTING", "VALUE"), [(key, _say(value)) for key, value in settings.model_dump().items()])


def _say(value: object) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return "never" if value is None else str(value)
