"""deb-bootc-compose explain"""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from pathlib import Path

import click

from deb_bootc_compose.cli.build import parse_settings
from deb_bootc_compose.cli.config import values
from deb_bootc_compose.manifest.load import load_manifest
from debcore.cli import print_json, printable
from debcore.errors import Failure


@click.command()
@click.argument("key")
@click.argument("manifest", type=click.Path(path_type=Path), default=Path())
@click.option("--set", "settings", multiple=True, metavar="NAME=VALUE", help="Set a variable of the manifest.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def command(key: str, manifest: Path, settings: tuple[str, ...], as_json: bool) -> None:
    """Say what KEY of MANIFEST is, and which file and line gave it.

    KEY is a dotted name, or the last parts of one; with what stands below it.

    \\b
    deb-bootc-compose explain release.version
    deb-bootc-compose explain kargs
    """
    loaded = load_manifest(manifest, variables=parse_settings(settings))
    known = values(loaded)
    found = find_keys(key, known)
    if not found:
        near = difflib.get_close_matches(key, _parts(known), 1)
        hint = f"did you mean {near[0]!r}?" if near else "deb-bootc-compose config shows all"
        raise Failure(f"the manifest has no key {key!r}", hint=hint)
    rows = [{"key": name, "value": known[name], "origin": loaded.origins.get(name)} for name in found]
    if as_json:
        print_json(rows)
        return
    for row in rows:
        click.echo(f"{printable(str(row['key']))} = {printable(str(row['value']))}  [{row['origin'] or 'default'}]")


def find_keys(key: str, known: Mapping[str, object]) -> list[str]:
    """Names of *known* that are *key* or stand below it, from their beginning; else in which *key* stands anywhere."""
    below = [name for name in known if name == key or name.startswith(f"{key}.")]
    return below or [name for name in known if f".{key}." in f".{name}."]


def _parts(known: Mapping[str, object]) -> list[str]:
    return sorted({*known, *(part for name in known for part in name.split(".") if not part.isdigit())})
