"""Dependency layers: the nearest layer that is a subset at the same versions, plus what is missing."""

from __future__ import annotations

import json
import logging
from collections.abc import Sequence
from contextlib import suppress

from debcore.log import counted
from debroot.flatten import add_packages
from debroot.install import check_installed
from debroot.resolve import Resolution, fetch
from debroot.store import MAX_DEPTH, Layer, Package, Store, layer_id

log = logging.getLogger(__name__)


def extend_layer(store: Store, layer: Layer, resolution: Resolution) -> Layer:
    """*layer* with *resolution* applied, made on the nearest layer if it is missing. Errors: as install_on."""
    from debroot.bootstrap import find_core_tools

    if not resolution.packages and not resolution.removed:
        return layer
    base = layer.parents[0] if layer.parents else layer
    wanted = plan_packages(layer, resolution)
    added, gone = subtract(wanted, base.packages), subtract(base.packages, wanted)
    key = extended_id(base.id, base.packages, wanted)
    if (found := store.find(key)) is not None:
        return found
    with store.making(f"layer-{key}"):
        if (found := store.find(key)) is not None:
            return found
        below = base if gone else find_nearest(store, base, added)
        missing = subtract(wanted, below.packages)
        log.info("Installing %s on layer %s", counted(len(missing), "package"), below.id[:12])
        fetch(store, missing, tools=find_core_tools(store))
        with store.using(below), store.workplace("root", "work") as place:
            there = {package.name for package in below.packages}
            removed = [name for name in resolution.removed if name in there]
            parents = add_packages(store, below, place, missing, removed)
            check_installed(place / "root", wanted)
            made = Layer(key, place, parents, wanted, layer.arch, layer.suite)
            return store.commit_layer(place, made)


def extended_id(base: str, packages: Sequence[Package], wanted: Sequence[Package]) -> str:
    """The name of the layer with exactly *wanted* on the base layer *base*, which has *packages*."""
    identity: dict[str, object] = {"base": base}
    if gone := sorted(package.key for package in subtract(packages, wanted)):
        identity["without"] = gone
    return layer_id(identity, subtract(wanted, packages))


def plan_packages(layer: Layer, resolution: Resolution) -> tuple[Package, ...]:
    """What is installed afterwards."""
    return merge_packages(layer.packages, resolution.packages, resolution.removed)


def merge_packages(before: Sequence[Package], added: Sequence[Package], removed: Sequence[str]) -> tuple[Package, ...]:
    """*before* without *removed* (names), and *added* in the place of their other versions; sorted."""
    result = {(p.name, p.arch): p for p in before if p.name not in removed}
    for package in added:
        for other in [k for k in result if k[0] == package.name and "all" in (k[1], package.arch)]:
            del result[other]  # an upgrade may change between a real architecture and all
        result[package.name, package.arch] = package
    return tuple(sorted(result.values(), key=lambda p: (p.name, p.arch)))


def subtract(packages: Sequence[Package], known: Sequence[Package]) -> tuple[Package, ...]:
    keys = {package.key for package in known}
    return tuple(package for package in packages if package.key not in keys)


def find_nearest(store: Store, base: Layer, added: Sequence[Package]) -> Layer:
    """The layer on *base* with the most of *added* and nothing else, not too deep; *base* itself if there is none."""
    wanted = {package.key for package in (*base.packages, *added)}
    best, most = base, len(base.packages)
    for path in (store.path / "layers").glob("*/meta.json"):
        with suppress(OSError, ValueError, KeyError):
            meta = json.loads(path.read_text())
            if meta["parents"][:1] != [base.id] or len(meta["parents"]) >= MAX_DEPTH - 1:
                continue
            keys = {(p["name"], p["version"], p["arch"], p["sha256"]) for p in meta["packages"]}
            if most < len(keys) and keys < wanted:
                found = store.find(path.parent.name)
                if found is not None:
                    best, most = found, len(keys)
    return best
