"""deb-bootc-compose why"""

from __future__ import annotations

import difflib
from collections.abc import Iterator
from dataclasses import asdict

import click

from deb_bootc_compose.compare.composes import StoreDebs
from deb_bootc_compose.compare.text import megabytes
from deb_bootc_compose.lock import LockedVariant
from deb_bootc_compose.relations import find_lock, load_relations, say_unknown
from deb_bootc_compose.why import Relations, Step, size_of
from debcore.cli import print_json, printable
from debcore.errors import Failure
from debroot.store import Store


@click.command()
@click.argument("package")
@click.argument("what", required=False)
@click.option("--variant", help="NAME.ARCH; needed only where the package is in several.")
@click.option("--all", "show_all", is_flag=True, help="Every package that wants it, not only the shortest chain.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def command(package: str, what: str | None, variant: str | None, show_all: bool, as_json: bool) -> None:
    """Say why PACKAGE is in an image, and what would go with it.

    WHAT is a compose or a lock file (default: the newest compose here, else compose.lock.json).

    deb-bootc-compose why libsystemd-shared composes/latest-server-13
    """
    lock = find_lock(what)
    store = Store.open()
    names = [key for key, one in lock.variants.items() if variant in (None, key) and has(one, package)]
    if not names:
        there = {one.name for locked in lock.variants.values() for one in locked.installed.values()}
        near = difflib.get_close_matches(package, sorted(there), 1)
        hint = f"did you mean {near[0]}?" if near else "deb-bootc-compose why-size --json lists all"
        raise Failure(f"{package} is not in {variant or 'any variant'}", hint=hint)
    documents = []
    for key in names:
        relations = load_relations(StoreDebs(store), lock.variants[key], package)
        documents.append(_document(key, package, relations))
        if not as_json:
            for line in _lines(key, package, relations, show_all=show_all):
                click.echo(printable(line))
        if lacks := say_unknown(relations):
            click.echo(printable(f"{key}: {lacks}"), err=True)
    if as_json:
        print_json(documents)


def has(variant: LockedVariant, package: str) -> bool:
    return any(one.name == package for one in variant.installed.values())


def _lines(key: str, package: str, relations: Relations, *, show_all: bool) -> Iterator[str]:
    one = relations.packages[package]
    large = megabytes(one.size) if one.known else "size unknown"
    yield f"{key}: {package} {one.version}, {large}, source {one.source}, of the {one.stage} stage"
    chain = relations.chain(package)
    if not chain:
        known = "" if all(one.known for one in relations.packages.values()) else " whose needs are known"
        yield f"  nothing in the image{known} wants it by Depends or Recommends"
    for depth, step in enumerate(chain):
        yield f"  {'  ' * depth}{_say(step)}"
    if show_all:
        yield "  wanted by"
        for step in relations.who_wants(package):
            yield f"    {step.package or step.field}{f' ({step.field})' if step.package else ''}"
    along = [name for name in relations.only_for(package) if name != package]
    if along:
        size = size_of(relations.packages[name] for name in along)
        yield f"  only for it: {', '.join(along)} ({megabytes(size)})"


def _say(step: Step) -> str:
    means = f" (given by {step.gives})" if step.gives != step.wanted else ""
    if not step.package:
        return f"{step.wanted}{means}: {'the manifest asks for it' if step.field == 'manifest' else 'base set'}"
    return f"{step.field} {step.wanted}{means}"


def _document(key: str, package: str, relations: Relations) -> dict[str, object]:
    one = relations.packages[package]
    return {
        "variant": key, "package": package, "version": one.version, "source": one.source, "stage": one.stage,
        "size": one.size if one.known else None, "chain": [asdict(step) for step in relations.chain(package)],
        "wanted_by": [asdict(step) for step in relations.who_wants(package)],
        "only_for_it": relations.only_for(package),
        "unknown": sorted(name for name, one in relations.packages.items() if not one.known),
    }  # fmt: skip
