"""deb-bootc-compose explain"""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence
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

    KEY is a dotted name, or parts of one in their order; with what stands below it.

    \b
    deb-bootc-compose explain release.version
    deb-bootc-compose explain kargs
    deb-bootc-compose explain server.outputs
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
    """Names of *known* that are *key* or stand below it, from their beginning; else in which *key* stands anywhere.

    Else those that have its parts with others between: a manifest has no architecture in variants.server.outputs.
    """
    below = [name for name in known if name == key or name.startswith(f"{key}.")]
    below = below or [name for name in known if f".{key}." in f".{name}."]
    return below or [name for name in known if _has_in_order(name.split("."), key.split("."))]


def _has_in_order(name: Sequence[str], parts: Sequence[str]) -> bool:
    left = iter(name)
    return all(part in left for part in parts)


def _parts(known: Mapping[str, object]) -> list[str]:
    return sorted({*known, *(part for name in known for part in name.split(".") if not part.isdigit())})
