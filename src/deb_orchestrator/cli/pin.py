"""`pin`: what is kept although no suite has it any more."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click

from deb_orchestrator.cli.connection import age, options_of, print_rows
from debcore.cli import print_json
from debcore.errors import ConfigError
from debcore.hub.upkeep import PinAsk, PinFile
from debcore.hub.upkeep_client import UpkeepClient

_SHA256 = re.compile(r"[0-9a-f]{64}")
FILE = click.Path(path_type=Path, dir_okay=False, exists=True)


@click.group()
def command() -> None:
    """Keep packages that an image needs, whatever becomes of them in their suite."""


@command.command("add")
@click.argument("name")
@click.option("--lock", "locks", type=FILE, multiple=True, help="A lock.json of deb-bootc-compose; may be repeated.")
@click.option("--packages", multiple=True, metavar="NAME[=VERSION]", help="On all architectures; may be repeated.")
@click.option("--suite", help="Whose packages, where no version is said.")
@click.option("--note", default="", help="For people.")
@options_of(UpkeepClient)
def add(
    name: str, locks: tuple[Path, ...], packages: tuple[str, ...], suite: str | None, note: str, client: UpkeepClient,
    as_json: bool,
) -> None:  # fmt: skip
    """Keep what a lock names, or single packages, with their sources, until the pin is removed.

    \b
    deb-orchestrator pin add desktop-2026-11 --lock lock.json
    deb-orchestrator pin add rescue --packages hello=2.10-3 --packages tar --suite trixie-local

    Adding a pin again replaces it. A compose with packages of a hub pins them itself, as compose-ID.
    """
    files = {file.sha256: file for path in locks for file in load_locked(path)}
    made = client.put_pin(name, PinAsk(note=note, files=tuple(files.values()), packages=packages, suite=suite))
    if as_json:
        print_json(made)
    else:
        more = f"; {made.unknown} others are not the hub's" if made.unknown else ""
        click.echo(f"{made.name}: {made.files} files are kept{more}")


@command.command("list")
@options_of(UpkeepClient)
def list_(client: UpkeepClient, as_json: bool) -> None:
    """List pins."""
    found = client.pins()
    if as_json:
        print_json(found)
        return
    rows = [(one.name, one.files, one.size, one.by, age(one.created_at), one.note) for one in found]
    print_rows(("PIN", "FILES", "BYTES", "BY", "AGE", "NOTE"), rows)


@command.command("remove")
@click.argument("name")
@options_of(UpkeepClient)
def remove(name: str, client: UpkeepClient, as_json: bool) -> None:
    """Let go what only this pin kept: the next collections remove it."""
    client.remove_pin(name)
    print_json({"removed": name}) if as_json else click.echo(f"{name}: removed")


def load_locked(path: Path) -> list[PinFile]:
    """The packages of a lock: whatever has a name and a SHA-256. Errors: ConfigError."""
    try:
        found = list(find_locked(json.loads(path.read_bytes())))
    except (OSError, ValueError) as error:
        raise ConfigError(str(path), f"cannot be read: {error}", hint="give a compose's lock.json") from error
    if not found:
        raise ConfigError(str(path), "names no packages by hash", hint="give a compose's lock.json")
    return found


def find_locked(document: Any) -> Iterator[PinFile]:
    """Of any depth. Pure."""
    if isinstance(document, list):
        for one in document:
            yield from find_locked(one)
    elif isinstance(document, dict):
        name, sha256 = document.get("name"), document.get("sha256")
        if isinstance(name, str) and isinstance(sha256, str) and _SHA256.fullmatch(sha256):
            words = (name, document.get("version"), document.get("arch"))
            yield PinFile(sha256=sha256, label=" ".join(str(word) for word in words if word)[:300])
        for one in document.values():
            yield from find_locked(one)
