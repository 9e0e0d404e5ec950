"""Removing all of one kind from the store. What is in use stays."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass

from debcore.errors import Failure
from debroot.caches import list_caches, remove_cache
from debroot.gc import collect, list_store
from debroot.layers import StoreEntry
from debroot.named import remove_named
from debroot.store import Store
from debroot.sweep import holding_pool, list_answers, list_pool, remove_lists

#: What was removed, and what could not be because it is in use: names for a person.
Outcome = tuple[list[str], list[str]]


@dataclass(frozen=True)
class Only:
    """What belongs to one suite and architecture."""

    suite: str
    arch: str

    def has(self, entry: StoreEntry) -> bool:
        return (entry.suite, entry.arch) == (self.suite, self.arch)


def scrub(store: Store, kinds: Sequence[str], *, only: Only | None = None) -> Outcome:
    """Remove all of *kinds*, which are keys of KINDS; with *only* what belongs to it.

    Errors: Failure if one of the kinds is shared by all suites and *only* is given.
    """
    if only and (shared := [kind for kind in kinds if kind not in OWNED]):
        raise Failure(f"{shared[0]} is shared by all presets", hint=f"without -r: deb-mock scrub {shared[0]}")
    gone = [removal.id for removal in collect(store)]
    kept: list[str] = []
    for function in dict.fromkeys(KINDS[kind] for kind in KINDS if kind in kinds):  # roots before what they stand on
        removed, used = function(store, only)
        gone += removed
        kept += used
    return gone, kept


def _scrub_roots(store: Store, only: Only | None) -> Outcome:
    roots = [e.id for e in list_store(store) if e.kind == "root" and (only is None or only.has(e))]
    return _each(roots, lambda name: remove_named(store, name))


def _scrub_layers(store: Store, only: Only | None) -> Outcome:
    tools = {layer for _, layer in _tools(store)}
    return _remove_layers(store, lambda e: e.id not in tools and (only is None or only.has(e)))


def _scrub_tools(store: Store, _only: Only | None) -> Outcome:
    notes = list(_tools(store))
    for name, _ in notes:
        (store.path / "resolved" / name).unlink(missing_ok=True)
    layers = {layer for _, layer in notes}
    return _remove_layers(store, lambda entry: entry.id in layers)


def _scrub_compiled(store: Store, _only: Only | None) -> Outcome:
    return _each([entry.id for entry in list_caches(store, measured=False)], lambda id_: remove_cache(store, id_))


def _scrub_cache(store: Store, _only: Only | None) -> Outcome:
    gone, kept = [], []
    with holding_pool(store) as free:
        for name, _, _ in list(list_pool(store)) if free else ():
            store.pool_path(name).unlink(missing_ok=True)
            gone.append(name)
    kept += [] if free else ["fetched packages"]
    for place in list((store.path / "apt").iterdir()):
        try:
            remove_lists(store, place.name)
        except Failure:
            kept.append(f"package lists {place.name}")
        else:
            gone.append(place.name)
    for answer in list_answers(store):
        answer.unlink(missing_ok=True)
    return gone, kept


def _tools(store: Store) -> Iterator[tuple[str, str]]:
    """(note, id of the layer) of the tools roots that are remembered."""
    for note in (store.path / "resolved").glob("tools-*"):
        with suppress(OSError, ValueError, KeyError, TypeError):
            yield note.name, json.loads(note.read_text())["layer"]


def _remove_layers(store: Store, wanted: Callable[[StoreEntry], bool]) -> Outcome:
    """Layers that *wanted* names and those that stand on them go from the top down."""
    layers = [entry for entry in list_store(store) if entry.kind == "layer"]
    chosen = {entry.id for entry in layers if wanted(entry)}
    ordered = sorted((e for e in layers if e.id in chosen), key=lambda entry: -len(entry.parents))
    return _each([entry.id for entry in ordered], store.remove)


def _each(names: Sequence[str], remove: Callable[[str], None]) -> Outcome:
    gone, kept = [], []
    for name in names:
        try:
            remove(name)
        except Failure:
            kept.append(name[:24])
        else:
            gone.append(name)
    return gone, kept


#: Kinds of which each preset has its own.
OWNED = ("chroot", "root-cache")
KINDS: Mapping[str, Callable[[Store, Only | None], Outcome]] = {
    "chroot": _scrub_roots,
    "root-cache": _scrub_layers,
    "bootstrap": _scrub_tools,
    "c-cache": _scrub_compiled,
    "cache": _scrub_cache,
    "apt-cache": _scrub_cache,
    "yum-cache": _scrub_cache,
    "dnf-cache": _scrub_cache,
}
