"""deb-mock list."""

from __future__ import annotations

from dataclasses import asdict, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import click

from deb_mock.cli.options import as_json
from deb_mock.preset import Description, describe_presets
from debcore.cli import print_json

if TYPE_CHECKING:
    from debroot.store import Store, StoreEntry


@click.command()
@click.argument("what", required=False, type=click.Choice(["presets", "roots"]))
@as_json
def command(*, what: str | None, as_json: bool) -> None:
    """Show the presets that -r takes, and the roots and layers in the store with their sizes; or one of the two.

    \b
    deb-mock list presets
    """
    presets = describe_presets() if what != "roots" else []
    store = _open_store() if what != "presets" else None
    if as_json:
        found: dict[str, object] = {}
        if what != "roots":
            found["presets"] = [asdict(preset) for preset in presets]
        if store:
            found |= {"store": str(store.path), "layers": [asdict(entry) for entry in list_all(store)]}
        print_json(found)
        return
    for preset in presets:
        _show_preset(preset)
    if store:
        _show_store(store)


def _open_store() -> Store:
    from debroot.store import Store

    return Store.open()


def _show_preset(preset: Description) -> None:
    click.echo(f"{preset.name:34}{preset.description}")
    click.echo(f"{'':34}{' '.join(preset.architectures)}")


def list_all(store: Store) -> list[StoreEntry]:
    """What the store holds, with the sizes of named roots and plugins' caches, which have to be measured."""
    from debroot.caches import list_caches
    from debroot.sweep import measure_roots

    entries = [replace(e, size=measure_roots(store, e.id)) if e.kind == "root" else e for e in store.list()]
    return [*entries, *list_caches(store)]


def _show_store(store: Store) -> None:
    entries = list_all(store)
    click.echo(f"Store {store.path}:" + ("" if entries else " empty"))
    for entry in entries:
        used = datetime.fromtimestamp(entry.used_at, UTC).strftime("%Y-%m-%d %H:%M")
        busy = "in use" if entry.in_use else ""
        size = f"{entry.size / 1e6:8.1f} MB"
        name = entry.id if entry.kind in ("root", "cache") else entry.id[:12]
        click.echo(f"{entry.kind:9}{name:12}  {entry.suite:10}{entry.arch:8}{size}  {used} {busy}".rstrip())
