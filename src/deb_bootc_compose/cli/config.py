"""deb-bootc-compose config"""

from __future__ import annotations

from pathlib import Path

import click
import yaml

from deb_bootc_compose.cli.build import parse_settings
from deb_bootc_compose.manifest.load import Manifest, load_manifest, merged_document
from debcore.cli import print_json, printable


class _ConfigGroup(click.Group):
    """A word that is no verb is show's: `config MANIFEST` is `config show MANIFEST`."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        if not args or (args[0] not in self.commands and args[0] not in ctx.help_option_names):
            args = ["show", *args]
        return super().parse_args(ctx, args)


@click.group(cls=_ConfigGroup)
def command() -> None:
    """Check a manifest, and show what it comes to.

    \b
    deb-bootc-compose config            each value with the file and line that gave it
    deb-bootc-compose config dump       the whole as one file, which composes the same

    `config MANIFEST` is `config show MANIFEST`.
    """


@command.command("dump", short_help="Print a manifest as one file.")
@click.argument("manifest", type=click.Path(path_type=Path), default=Path())
@click.option("--set", "settings", multiple=True, metavar="NAME=VALUE", help="Set a variable of the manifest.")
def dump(manifest: Path, settings: tuple[str, ...]) -> None:
    """Print MANIFEST as one file: includes merged, conditions decided, variables put in, paths absolute."""
    document = merged_document(manifest, variables=parse_settings(settings))
    click.echo(yaml.safe_dump(document, sort_keys=False, allow_unicode=True, width=120), nl=False)


@command.command("show", short_help="Check a manifest and show its values.")
@click.argument("manifest", type=click.Path(path_type=Path), default=Path())
@click.option("--set", "settings", multiple=True, metavar="NAME=VALUE", help="Set a variable of the manifest.")
@click.option("--json", "as_json", is_flag=True, help="Print the whole resolved manifest.")
def show(manifest: Path, settings: tuple[str, ...], as_json: bool) -> None:
    """Check MANIFEST and show each value with the file and line that gave it."""
    loaded = load_manifest(manifest, variables=parse_settings(settings))
    if as_json:
        print_json(loaded.document())
        return
    flat = values(loaded)
    for dotted, origin in loaded.origins.items():
        if dotted in flat:
            click.echo(printable(f"{dotted} = {flat[dotted]}  [{origin}]"))


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
