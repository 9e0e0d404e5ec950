"""deb-bootc-compose why-size"""

from __future__ import annotations

from typing import Any

import click

from deb_bootc_compose.compare.composes import StoreDebs
from deb_bootc_compose.compare.text import megabytes
from deb_bootc_compose.relations import find_lock, load_relations, say_unknown
from deb_bootc_compose.why import Relations, size_of
from debcore.cli import print_json, printable
from debroot.store import Store


@click.command()
@click.argument("what", required=False)
@click.option("--variant", help="NAME.ARCH (default: all).")
@click.option("--top", type=click.IntRange(1), default=25, show_default=True, help="How many packages to show.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON, of all packages.")
def command(what: str | None, variant: str | None, top: int, as_json: bool) -> None:
    """Say what makes an image large: each package's installed size, and what would go if it were left out.

    WHAT is a compose or a lock file (default: the newest compose here, else compose.lock.json). Sizes are those that
    the packages state (Installed-Size); what maintainer scripts make, such as the initramfs, is not in them.
    """
    lock = find_lock(what)
    debs = StoreDebs(Store.open())
    documents = {}
    for key, locked in lock.variants.items():
        if variant in (None, key):
            relations = load_relations(debs, locked)
            documents[key] = _table(relations)
            if lacks := say_unknown(relations):
                click.echo(printable(f"{key}: {lacks}"), err=True)
    if as_json:
        print_json(documents)
        return
    for key, rows in documents.items():
        click.echo(f"{key}: {len(rows)} packages, {megabytes(sum(row['size'] or 0 for row in rows))} installed")
        click.echo(f"  {'with what only':>14} {'itself':>10}  package")
        click.echo(f"  {'it needs':>14}")
        for row in rows[:top]:
            name = printable(row["package"]) + (f" (and {row['only_for_it']} more)" if row["only_for_it"] else "")
            itself = "?" if row["size"] is None else megabytes(row["size"])
            click.echo(f"  {megabytes(row['with_only_for_it']):>14} {itself:>10}  {name}")


def _table(relations: Relations) -> list[dict[str, Any]]:
    rows = []
    for name, package in relations.packages.items():
        along = relations.only_for(name)
        whole = size_of(relations.packages[one] for one in along) if along else package.size
        rows.append({
            "package": name, "size": package.size if package.known else None, "with_only_for_it": whole,
            "only_for_it": max(0, len(along) - 1),
        })  # fmt: skip
    return sorted(rows, key=lambda row: (-row["with_only_for_it"], row["package"]))
