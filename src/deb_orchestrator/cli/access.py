"""`access`: who may do what with a suite, and who reads it if it is private."""

from __future__ import annotations

from typing import Literal
from urllib.parse import urlsplit

import click

from deb_orchestrator.cli.connection import options_of, print_rows
from debcore.cli import print_json
from debcore.hub.door_client import DoorClient
from debcore.hub.doors import AptCredentialAsk, SuiteRole


@click.group()
def command() -> None:
    """Who may change a suite, and who may read it if it is private (`repo set NAME --private`)."""


@command.command("grant")
@click.argument("suite")
@click.argument("who")
@click.argument("role", type=click.Choice(["manager", "reader"]))
@options_of(DoorClient)
def grant(suite: str, who: str, role: Literal["manager", "reader"], client: DoorClient, as_json: bool) -> None:
    """Let WHO, the name of a token, change SUITE (manager), or read it although it is private (reader)."""
    _print(client.set_role(suite, who, role), as_json)


@command.command("revoke")
@click.argument("suite")
@click.argument("who")
@options_of(DoorClient)
def revoke(suite: str, who: str, client: DoorClient, as_json: bool) -> None:
    """Take away what WHO was granted."""
    _print(client.set_role(suite, who, None), as_json)


@command.command("list")
@click.argument("suite")
@options_of(DoorClient)
def list_roles(suite: str, client: DoorClient, as_json: bool) -> None:
    _print(client.roles(suite), as_json)


def _print(roles: list[SuiteRole], as_json: bool) -> None:
    print_json(roles) if as_json else print_rows(("WHO", "ROLE"), [(one.principal, one.role) for one in roles])


@command.command("apt")
@click.argument("suite")
@click.argument("name")
@click.option("--days", type=click.IntRange(1, 3650), default=365, show_default=True, metavar="N")
@options_of(DoorClient)
def add_credential(suite: str, name: str, days: int, client: DoorClient, as_json: bool) -> None:
    """Make a credential NAME by which apt reads SUITE, and print what to put into /etc/apt/auth.conf.d (mode 0600).

    The password is never shown again; NAME again gets a new one.

    \b
    deb-orchestrator access apt internal web-servers | sudo install -m 600 /dev/stdin /etc/apt/auth.conf.d/internal.conf
    """
    made = client.add_credential(suite, AptCredentialAsk(name=name, days=days))
    if as_json:
        print_json(made)
    else:
        click.echo(make_auth(client.suite(suite).apt_uri, made.name, made.secret or ""))


def make_auth(uri: str, name: str, secret: str) -> str:
    """A line of apt_auth.conf(5), which wants plain http to be named."""
    parts = urlsplit(uri)
    machine = f"{parts.netloc}{parts.path}/" if parts.scheme == "https" else f"{uri}/"
    return f"machine {machine} login {name} password {secret}"


@command.command("apt-list")
@click.argument("suite")
@options_of(DoorClient)
def list_credentials(suite: str, client: DoorClient, as_json: bool) -> None:
    """List the credentials of apt."""
    found = client.credentials(suite)
    if as_json:
        print_json(found)
    else:
        print_rows(("NAME", "EXPIRES"), [(one.name, f"{one.expires_at:%Y-%m-%d}") for one in found])


@command.command("apt-revoke")
@click.argument("suite")
@click.argument("name")
@options_of(DoorClient)
def remove_credential(suite: str, name: str, client: DoorClient, as_json: bool) -> None:
    """At once: apt with the credential NAME reads SUITE no more."""
    client.remove_credential(suite, name)
    if as_json:
        print_json({"revoked": name})
