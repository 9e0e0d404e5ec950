"""Read what is compared: a compose directory, or a lock alone; and make the whole comparison of two."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from deb_bootc_compose.compare.changelog import Entry, entries_between, load_changelog
from deb_bootc_compose.compare.files import FileChanges, compare_layouts
from deb_bootc_compose.compare.layers import LayerChanges, compare_layers
from deb_bootc_compose.compare.packages import (
    SizeChange,
    SourceChange,
    common_variants,
    compare_packages,
    compare_sizes,
)
from deb_bootc_compose.directory import ComposeDirectory, find_compose
from deb_bootc_compose.lock import Lock, LockedPackage, load_lock
from debcore.errors import Failure
from debroot.resolve import fetch
from debroot.store import Store

log = logging.getLogger(__name__)


class Debs(Protocol):
    """Where .debs come from."""

    def prefetch(self, packages: Sequence[LockedPackage]) -> None:
        """Get as many of them as can be had, at once."""

    def find(self, package: LockedPackage) -> Path | None:
        """Its .deb; None where it cannot be had."""


@dataclass(frozen=True)
class Side:
    """One of the two: its name for people, its lock, and, of a compose, its images by NAME.ARCH."""

    name: str
    lock: Lock
    images: Mapping[str, list[Mapping[str, Any]]]
    layouts: Mapping[str, Path] = field(default_factory=dict)  #: OCI layouts that are there
    installed: Mapping[str, int] = field(default_factory=dict)  #: SHA-256 of a .deb → bytes, where recorded


@dataclass(frozen=True)
class VariantDifference:
    key: str  #: NAME.ARCH
    packages: tuple[SourceChange, ...]
    changelogs: Mapping[str, tuple[Entry, ...]]  #: by source; only of what was upgraded
    layers: LayerChanges | None  #: None where one side has no image
    sizes: tuple[SizeChange, ...] = ()  #: of packages, the largest difference first
    sizes_installed: bool = False  #: whether `sizes` are of what is installed; else of the .debs
    files: FileChanges | None = None  #: None where one side has no layout, or they were not asked for


@dataclass(frozen=True)
class Difference:
    before: Side
    after: Side
    variants: tuple[VariantDifference, ...]
    only: tuple[str, ...]  #: variants that only one side has


def load_side(name: str, targets: list[Path]) -> Side:
    """*name*: a lock file, a compose directory, or a compose's id below one of *targets*. Errors: Failure."""
    if Path(name).is_file():
        return Side(name, load_lock(Path(name)), {})
    compose = find_compose(name, targets)
    images, layouts = _load_images(compose)
    installed = dict(load_installed_sizes(compose.metadata / "debs.json"))
    return Side(compose.id, load_lock(compose.lock_path), images, layouts, installed)


def _load_images(compose: ComposeDirectory) -> tuple[dict[str, list[Mapping[str, Any]]], dict[str, Path]]:
    """(layers, layouts), each by NAME.ARCH."""
    path = compose.metadata / "layers.json"
    if not path.is_file():
        return {}, {}
    try:
        found = json.loads(path.read_bytes())["payload"]["layers"]
        layers = {key: image["layers"] for key, image in found.items()}
        places = {key: compose.path / image["path"] for key, image in found.items() if "path" in image}
        return layers, {key: place for key, place in places.items() if (place / "blobs").is_dir()}
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise Failure(f"{path} is damaged: {error}", hint="compose again") from error


def load_installed_sizes(path: Path) -> Iterator[tuple[str, int]]:
    """SHA-256 of a .deb → bytes that it takes once installed, of those that a debs.json knows. Errors: Failure."""
    if not path.is_file():
        return
    try:
        for arches in json.loads(path.read_bytes())["payload"]["debs"].values():
            for binaries in (binaries for sources in arches.values() for binaries in sources.values()):
                for one in binaries.values():
                    if one.get("installed_size") is not None:
                        yield one["sha256"], int(one["installed_size"])
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise Failure(f"{path} is damaged: {error}", hint="compose again") from error


def compare(before: Side, after: Side, debs: Debs | None, *, files: bool = False) -> Difference:
    """Without *debs* no changelogs are read; with *files* the layers that differ are."""
    both, only = common_variants(before.lock, after.lock)
    made = []
    for key in both:
        packages = compare_packages(before.lock.variants[key].installed, after.lock.variants[key].installed)
        changelogs = dict(_changelogs(packages, debs)) if debs else {}
        old, new = before.images.get(key), after.images.get(key)
        layers = compare_layers(old, new) if old is not None and new is not None else None
        known = _all_known(before, after, key)
        sizes = compare_sizes(_sizes(before, key, known), _sizes(after, key, known))
        changed = None
        if files and old is not None and new is not None and key in before.layouts and key in after.layouts:
            changed = compare_layouts(before.layouts[key], old, after.layouts[key], new)
        made.append(VariantDifference(key, packages, changelogs, layers, sizes, known, changed))
    return Difference(before, after, tuple(made), tuple(only))


def _all_known(before: Side, after: Side, key: str) -> bool:
    """Whether both sides know the installed size of every package: sizes of two kinds cannot be compared."""
    return all(
        p.sha256 in side.installed for side in (before, after) for p in side.lock.variants[key].installed.values()
    )


def _sizes(side: Side, key: str, known: bool) -> dict[str, int]:
    """Bytes by package: installed if *known*, else of the .deb."""
    packages = side.lock.variants[key].installed.values()
    return {p.name: side.installed[p.sha256] if known else p.size for p in packages}


def _changelogs(packages: Sequence[SourceChange], debs: Debs) -> Iterator[tuple[str, tuple[Entry, ...]]]:
    upgraded = [change for change in packages if change.kind == "upgraded"]
    debs.prefetch([_smallest_first(change)[0] for change in upgraded])
    for change in upgraded:
        entries = _changelog_of(change, debs)
        if entries is not None:
            yield change.source, entries


def _smallest_first(change: SourceChange) -> list[LockedPackage]:
    return sorted((one.after for one in change.changes if one.after), key=lambda package: package.size)


def _changelog_of(change: SourceChange, debs: Debs) -> tuple[Entry, ...] | None:
    """From the first of its packages that has one: a -dev package may only link to its library's."""
    for package in _smallest_first(change):
        deb = debs.find(package)
        text = load_changelog(deb, package=package.name, arch=package.arch) if deb else None
        if text is not None:
            return entries_between(text, change.before or "0", change.after or "0")
    return None


class StoreDebs:
    """.debs of the store's pool; those that it lacks are fetched, and what cannot be had is said."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def prefetch(self, packages: Sequence[LockedPackage]) -> None:
        with suppress(Failure):  # `find` says of each what it is that fails
            fetch(self._store, [package.package() for package in packages])

    def find(self, package: LockedPackage) -> Path | None:
        try:
            fetch(self._store, [package.package()])
        except Failure as error:
            log.warning("%s %s cannot be had: %s", package.name, package.version, error)
            return None
        return self._store.pool_path(package.sha256)
