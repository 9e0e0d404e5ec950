"""`uploader`: who may upload with dput."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from urllib.parse import urlsplit

import click

from deb_orchestrator.cli.connection import options_of, print_rows
from debcore.cli import print_json
from debcore.errors import Failure
from debcore.hub.door_client import DoorClient
from debcore.hub.doors import UploaderAsk


@click.group()
def command() -> None:
    """People and programs that upload source packages with dput or dput-ng."""


@command.command("add")
@click.argument("name")
@click.argument("key", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("-t", "--target", "targets", multiple=True, help="Only for this target, may be repeated (default: all).")
@click.option("--days", type=click.IntRange(1, 3650), default=365, show_default=True, metavar="N")
@options_of(DoorClient)
def add(name: str, key: Path, targets: tuple[str, ...], days: int, client: DoorClient, as_json: bool) -> None:
    """Let NAME upload what is signed with KEY, an exported OpenPGP key, and print the profile for ~/.dput.cf.

    The profile has a section for each target and holds a secret that is never shown again. Adding NAME anew replaces
    key and secret.

    \b
    gpg --export --armor alice@example.org > alice.asc
    deb-orchestrator uploader add alice alice.asc >> ~/.dput.cf
    dput trixie-local hello_1.0_source.changes
    """
    ask = UploaderAsk(name=name, certificate=load_key(key), targets=targets, days=days)
    made = client.add_uploader(ask)
    if as_json:
        print_json(made)
        return
    names = made.targets or tuple(target.name for target in client.targets())
    click.echo(make_profile(client.http.base_url, made.secret or "", names), nl=False)


def load_key(path: Path) -> str:
    """Errors: Failure if it is a secret key, or not armoured."""
    try:
        text = path.read_text("ascii")
    except (OSError, UnicodeDecodeError) as error:
        raise Failure(f"{path} is no armoured key", hint="export it with: gpg --export --armor NAME") from error
    if "PRIVATE KEY" in text:
        raise Failure(f"{path} holds a secret key: nobody but you may have it", hint="gpg --export --armor NAME")
    return text


def make_profile(url: str, secret: str, targets: Sequence[str]) -> str:
    """Sections of a dput.cf(5), which dput-ng reads too: one for each target, of its name."""
    parts = urlsplit(url)
    return "".join(
        f"[{target}]\nfqdn = {parts.netloc}\nmethod = {parts.scheme}\n"
        f"incoming = {parts.path}/upload/{secret}/{target}\nallow_unsigned_uploads = 0\nallow_dcut = 0\n"
        "allowed_distributions = (?!UNRELEASED)\n\n"
        for target in targets
    )


@command.command("list")
@options_of(DoorClient)
def list_uploaders(client: DoorClient, as_json: bool) -> None:
    found = client.uploaders()
    if as_json:
        print_json(found)
        return
    print_rows(
        ("NAME", "KEY", "TARGETS", "EXPIRES", ""),
        (
            (u.name, u.fingerprint, " ".join(u.targets) or "all", f"{u.expires_at:%Y-%m-%d}",
             "revoked" if u.revoked else "")
            for u in found
        ),
    )  # fmt: skip


@command.command("revoke")
@click.argument("name")
@options_of(DoorClient)
def revoke(name: str, client: DoorClient, as_json: bool) -> None:
    """At once: NAME uploads nothing any more."""
    client.revoke_uploader(name)
    if as_json:
        print_json({"revoked": name})
