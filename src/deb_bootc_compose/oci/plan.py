"""Which path goes into which layer: by source package, so that an update moves the layers of what changed.

Kernel, initramfs, hardware database, configuration and the dpkg database have layers of their own, for they change on
other days; so has what the manifest names. All other source packages begin with a layer each, and those are merged
whose union costs least, until there are as few as asked for: what is fetched in a week, expected from how often each
source was uploaded in the last year. The plan of the previous image is where that begins, if there is one: what was
together stays together, and only what is new looks for a place.

`by-name` needs no previous image: large sources have layers of their own, the rest share bins that are chosen by a hash
of the name, so that a new package moves nobody else.

Pure; standard library only; whole numbers only, so that every machine plans alike.
"""

from __future__ import annotations

import fnmatch
import hashlib
import heapq
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from debcore.errors import Failure

#: Layers in the order of the image: what changes most often comes last.
TAIL = ("kernel", "initramfs", "hwdb", "files", "etc", "database")
BINS = 16
#: A source package below this size (bytes) never has a layer of its own in a plan by name.
LARGE = 1 << 20
MAX_LAYERS = 64
FEWEST = 8  #: layers that a plan needs
#: Uploads in a year of a source whose changelog is not in the image.
UNKNOWN = 2
#: Weeks in which a client that fetches a layer again, because its content moved, gets that back.
PATIENCE = 26
ONE = 1_000_000  #: a probability of 1

CACHED = re.compile(r"(.*)/__pycache__/([^/]+)\.cpython-\d+(?:\.opt-\d)?\.pyc")


@dataclass(frozen=True)
class Path:
    """What the plan needs to know of one path of the tree that is not a directory."""

    name: str
    size: int
    link: tuple[int, int] | None = None  #: device and inode of a file with several names


@dataclass(frozen=True)
class Rule:
    """A layer that the manifest asks for: globs of package or source names, and of absolute paths."""

    name: str
    packages: tuple[str, ...] = ()
    paths: tuple[str, ...] = ()


@dataclass(frozen=True)
class Packages:
    """What the tree's dpkg database says."""

    owners: Mapping[str, str] = field(default_factory=dict)  #: path → source package
    binaries: Mapping[str, Sequence[str]] = field(default_factory=dict)  #: source → its packages
    uploads: Mapping[str, int] = field(default_factory=dict)  #: source → uploads in the last year


@dataclass(frozen=True)
class Plan:
    """What goes where."""

    layers: tuple[str, ...]  #: names in the order of the image
    assigned: Mapping[str, str]  #: path → name of its layer
    sources: Mapping[str, tuple[str, ...]]  #: layer → its source packages: what the next plan begins with


class Grouping:
    """Which group a path belongs to: a layer of the manifest, one of TAIL, or `source:NAME`."""

    def __init__(self, packages: Packages, rules: Sequence[Rule] = ()) -> None:
        self._owners = packages.owners
        self._paths = [
            (re.compile(fnmatch.translate(glob)), f"own:{rule.name}") for rule in rules for glob in rule.paths
        ]
        self._sources: dict[str, str] = {}
        for rule in rules:
            found = [s for s, names in packages.binaries.items() if any(_matches(rule, name) for name in (s, *names))]
            if rule.packages and not found:
                raise Failure(
                    f"layer {rule.name}: no package of the image is called {' or '.join(rule.packages)}",
                    hint="correct outputs.container.layers, or leave the layer out",
                )
            for source in found:
                self._sources.setdefault(source, f"own:{rule.name}")

    def find(self, name: str) -> str:
        for pattern, group in self._paths:
            if pattern.fullmatch(f"/{name}"):
                return group
        if name.startswith("usr/lib/modules/"):
            return "initramfs" if name.endswith("/initramfs.img") else "kernel"
        if name.startswith("usr/lib/sysimage/"):
            return "database"
        if name.startswith("etc/"):
            return "etc"
        if name == "usr/lib/udev/hwdb.bin":
            return "hwdb"
        match = CACHED.fullmatch(name)
        owner = self._owners.get(name) or (self._owners.get(f"{match[1]}/{match[2]}.py") if match else None)
        return self._sources.get(owner, f"source:{owner}") if owner else "files"


def _matches(rule: Rule, name: str) -> bool:
    return any(fnmatch.fnmatchcase(name, glob) for glob in rule.packages)


def make_plan(
    paths: Iterable[Path],
    packages: Packages,
    *,
    grouping: Grouping | None = None,
    previous: Mapping[str, Sequence[str]] | None = None,
    by_name: bool = False,
    max_layers: int = MAX_LAYERS,
) -> Plan:
    """Plan layers for *paths* (sorted by name). *previous*: `sources` of the image before.

    All names of one file are in the layer of the first. There are never more than *max_layers* (at least 8). Errors:
    Failure if the manifest asks for more layers of its own than that leaves.
    """
    grouping = grouping or Grouping(packages)
    groups: dict[str, str] = {}
    first: dict[tuple[int, int], str] = {}
    sizes: dict[str, int] = {}
    for path in paths:
        group = grouping.find(path.name)
        if path.link is not None:
            group = first.setdefault(path.link, group)
        groups[path.name] = group
        sizes[group] = sizes.get(group, 0) + path.size
    names = place_groups(sizes, packages.uploads, previous=previous or {}, by_name=by_name, max_layers=max_layers)
    order = sorted(set(names.values()), key=_rank)
    sources: dict[str, list[str]] = {}
    for group in sorted(names):
        if group.startswith("source:"):
            sources.setdefault(names[group], []).append(group.removeprefix("source:"))
    assigned = {name: names[group] for name, group in groups.items()}
    return Plan(tuple(order), assigned, {layer: tuple(found) for layer, found in sources.items()})


def _rank(layer: str) -> tuple[int, str]:
    """Single sources, shared layers, those of the manifest, then TAIL."""
    if layer in TAIL:
        return 3 + TAIL.index(layer), ""
    return ("source", "bin", "own").index(layer.partition(":")[0]), layer


def place_groups(
    sizes: Mapping[str, int],
    uploads: Mapping[str, int],
    *,
    previous: Mapping[str, Sequence[str]],
    by_name: bool = False,
    max_layers: int = MAX_LAYERS,
) -> dict[str, str]:
    """Group → layer. *sizes*: bytes of each group; *uploads*: in a year, by source. Errors: Failure, as make_plan."""
    sources = {group: size for group, size in sizes.items() if group.startswith("source:")}
    fixed = {group: group for group in sizes if group not in sources}
    room = max_layers - len(TAIL) - sum(group.startswith("own:") for group in fixed)
    if room < 1:
        raise Failure(f"the manifest's own layers leave no room among {max_layers}", hint="raise max-layers")
    if by_name:
        return fixed | place_by_name(sources, room)
    return fixed | Partition(sources, uploads, previous).merge(room)


def place_by_name(sources: Mapping[str, int], room: int) -> dict[str, str]:
    """Large sources alone, the rest by a hash of the name."""
    bins = max(1, min(BINS, room - 1))
    large = sorted((g for g, size in sources.items() if size >= LARGE), key=lambda g: (-sources[g], g))
    alone = set(large[: room - bins])
    return {group: group if group in alone else find_bin(group, bins) for group in sources}


def find_bin(group: str, bins: int) -> str:
    """The shared layer of a small source package: a function of its name alone."""
    number = int.from_bytes(hashlib.sha256(group.encode()).digest()[:4], "big") % bins
    return f"bin:{number:02d}"


@dataclass(frozen=True)
class _Part:
    """Sources that share a layer."""

    groups: tuple[str, ...]  #: sorted
    size: int  #: bytes
    quiet: int  #: of ONE: the probability that none of them changes in a week
    layer: str = ""  #: its name in the previous image; "": it is new
    moved: int = 0  #: bytes that clients have of it already


class Partition:
    """Layers of sources that are merged two by two, the cheapest first."""

    def __init__(
        self, sources: Mapping[str, int], uploads: Mapping[str, int], previous: Mapping[str, Sequence[str]]
    ) -> None:
        self._parts: dict[int, _Part] = {}
        quiet = {group: quiet_week(uploads.get(group.removeprefix("source:"), UNKNOWN)) for group in sources}
        left = set(sources)
        for layer in sorted(previous):
            kept = sorted(left & {f"source:{name}" for name in previous[layer]})
            left -= set(kept)
            if kept:
                product = ONE
                for group in kept:
                    product = product * quiet[group] // ONE
                size = sum(sources[group] for group in kept)
                self._add(_Part(tuple(kept), size, product, layer, size))
        for group in sorted(left):
            self._add(_Part((group,), sources[group], quiet[group]))

    def _add(self, part: _Part) -> int:
        number = len(self._parts) and max(self._parts) + 1
        self._parts[number] = part
        return number

    def merge(self, room: int) -> dict[str, str]:
        """Group → layer, of *room* layers at most."""
        heap = [
            (merging_costs(a, b), i, j) for i, a in self._parts.items() for j, b in self._parts.items() if i < j
        ] if len(self._parts) > room else []  # fmt: skip
        heapq.heapify(heap)
        while len(self._parts) > room:
            _, i, j = heapq.heappop(heap)
            if i not in self._parts or j not in self._parts:
                continue
            a, b = self._parts[i], self._parts[j]
            number = self._add(_union(a, b))
            del self._parts[i], self._parts[j]
            merged = self._parts[number]
            for other, part in self._parts.items():
                if other != number:
                    heapq.heappush(heap, (merging_costs(part, merged), other, number))
        return dict(self._named())

    def _named(self) -> Iterator[tuple[str, str]]:
        """Those of one source by its name; shared ones keep their number, new ones take the lowest that is free."""
        shared = [part for part in self._parts.values() if len(part.groups) > 1]
        taken = {part.layer for part in shared if part.layer.startswith("bin:")}
        free = (name for name in (f"bin:{number:02d}" for number in range(1000)) if name not in taken)
        for part in sorted(self._parts.values(), key=lambda part: part.groups):
            alone = len(part.groups) == 1
            name = part.groups[0] if alone else part.layer if part.layer.startswith("bin:") else next(free)
            yield from ((group, name) for group in part.groups)


def quiet_week(uploads: int) -> int:
    """Of ONE: that a source of so many uploads in a year has none in a week. Even the quietest may."""
    chance = ONE - ONE // 200
    for _ in range(uploads):
        chance = chance * 51 // 52
    return chance


def merging_costs(a: _Part, b: _Part) -> int:
    """Bytes (times ONE) that two layers in one cost a client more in a week, the one move included."""
    both = a.quiet * b.quiet // ONE
    weekly = (a.size + b.size) * (ONE - both) - a.size * (ONE - a.quiet) - b.size * (ONE - b.quiet)
    return weekly + (a.moved + b.moved) * ONE // PATIENCE


def _union(a: _Part, b: _Part) -> _Part:
    """Of two that had names, the larger one's stays."""
    layer = max((a, b), key=lambda part: (bool(part.layer), part.size)).layer
    return _Part(
        tuple(sorted((*a.groups, *b.groups))), a.size + b.size, a.quiet * b.quiet // ONE, layer, a.moved + b.moved
    )
