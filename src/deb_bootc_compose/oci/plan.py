"""Which path goes into which layer: by source package, so that an update moves the layers of what changed.

Kernel, initramfs, configuration and the dpkg database have layers of their own, for they change on other days. A source
package that is large has its own too; the rest share bins that are chosen by a hash of the name, so that a new package
moves nobody else. With the plan of the previous image, large packages keep what they had. Pure; standard library only.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

#: Layers in the order of the image: what changes most often comes last.
TAIL = ("kernel", "initramfs", "files", "etc", "database")
BINS = 16
#: A source package below this size (bytes) never has a layer of its own.
LARGE = 1 << 20
MAX_LAYERS = 64
FEWEST = 8  #: layers that a plan needs

CACHED = re.compile(r"(.*)/__pycache__/([^/]+)\.cpython-\d+(?:\.opt-\d)?\.pyc")


@dataclass(frozen=True)
class Path:
    """What the plan needs to know of one path of the tree that is not a directory."""

    name: str
    size: int
    link: tuple[int, int] | None = None  #: device and inode of a file with several names


@dataclass(frozen=True)
class Plan:
    """What goes where."""

    layers: tuple[str, ...]  #: names in the order of the image
    assigned: Mapping[str, str]  #: path → name of its layer
    single: tuple[str, ...]  #: source packages with layers of their own


def find_group(name: str, owners: Mapping[str, str]) -> str:
    """The group of one path: one of TAIL, or `source:NAME`."""
    if name.startswith("usr/lib/modules/"):
        return "initramfs" if name.endswith("/initramfs.img") else "kernel"
    if name.startswith("usr/lib/sysimage/"):
        return "database"
    if name.startswith("etc/"):
        return "etc"
    match = CACHED.fullmatch(name)
    owner = owners.get(name) or (owners.get(f"{match[1]}/{match[2]}.py") if match else None)
    return f"source:{owner}" if owner else "files"


def make_plan(
    paths: Iterable[Path], owners: Mapping[str, str], *, previous: Iterable[str] = (), max_layers: int = MAX_LAYERS
) -> Plan:
    """Plan layers for *paths* (sorted by name). *previous*: `single` of the image before.

    All names of one file are in the layer of the first. There are never more than *max_layers* (at least 8).
    """
    groups: dict[str, str] = {}
    first: dict[tuple[int, int], str] = {}
    sizes: dict[str, int] = {}
    for path in paths:
        group = find_group(path.name, owners)
        if path.link is not None:
            group = first.setdefault(path.link, group)
        groups[path.name] = group
        sizes[group] = sizes.get(group, 0) + path.size
    sources = {g: size for g, size in sizes.items() if g.startswith("source:")}
    bins = max(1, min(BINS, max_layers - len(TAIL) - 1))
    room = max_layers - len(TAIL) - bins
    kept = [f"source:{name}" for name in sorted(previous) if f"source:{name}" in sources][:room]
    by_size = sorted(
        (g for g, size in sources.items() if size >= LARGE and g not in kept), key=lambda g: (-sources[g], g)
    )
    single = sorted(kept + by_size[: room - len(kept)])
    names = {g: g if g in single or g in TAIL else find_bin(g, bins) for g in sizes}
    used = set(names.values())
    heads = [*single, *sorted(used - set(single) - set(TAIL))]
    layers = tuple(name for name in (*heads, *TAIL) if name in used)
    assigned = {name: names[group] for name, group in groups.items()}
    return Plan(layers, assigned, tuple(g.removeprefix("source:") for g in single))


def find_bin(group: str, bins: int) -> str:
    """The shared layer of a small source package: a function of its name alone."""
    number = int.from_bytes(hashlib.sha256(group.encode()).digest()[:4], "big") % bins
    return f"bin:{number:02d}"
