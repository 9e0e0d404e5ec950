"""deb-bootc-compose config"""

from __future__ import annotations

from pathlib import Path

import click

from deb_bootc_compose.cli.build import parse_settings
from deb_bootc_compose.manifest.load import Manifest, load_manifest
from debcore.cli import print_json


@click.command()
@click.argument("manifest", type=click.Path(path_type=Path), default=Path())
@click.option("--set", "settings", multiple=True, metavar="NAME=VALUE", help="Set a variable of the manifest.")
@click.option("--json", "as_json", is_flag=True, help="Print the whole resolved manifest.")
def command(manifest: Path, settings: tuple[str, ...], as_json: bool) -> None:
    """Check MANIFEST and show each value with the file and line that gave it."""
    loaded = load_manifest(manifest, variables=parse_settings(settings))
    if as_json:
        print_json(loaded.document())
        return
    flat = values(loaded)
    for dotted, origin in loaded.origins.items():
        if dotted in flat:
            click.echo(f"{dotted} = {flat[dotted]}  [{origin}]")


def values(loaded: Manifest) -> dict[str, object]:
    """Dotted key → value, defaults too; what stands under `variants` as variants.NAME.ARCH."""
    document = loaded.document()
    flat = dict(_flatten("", document["compose"]))
    for spec in document["specs"]:
        flat |= dict(_flatten(f"variants.{spec['name']}.{spec['arch']}", spec["variant"]))
    return flat


def _flatten(prefix: str, value: object) -> list[tuple[str, object]]:
    if isinstance(value, dict) and value:
        items = [(str(key), item) for key, item in value.items()]
    elif isinstance(value, list) and value:
        items = [(str(index), item) for index, item in enumerate(value)]
    else:
        return [(prefix, value)]
    return [pair for key, item in items for pair in _flatten(f"{prefix}.{key}" if prefix else key, item)]
