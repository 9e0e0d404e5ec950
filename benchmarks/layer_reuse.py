#!/usr/bin/env python3
"""What an update downloads, by how the content of the image is put into layers.

    layer_reuse.py [server|desktop]…

The packages of an image of Debian 13 are resolved and fetched; the changelog of each source says when it was uploaded.
Two years are replayed week by week, a compose where anything changed:

* `stable`: the 52 weeks before the newest upload, as machines with Debian 13 and its security suite had them;
* `unstable`: the year to April 2025, before the release was frozen, as they came into unstable.

The dates are real, the rest is simulated. The size of a source is that of its .debs (today's) in each week, for a .deb
is compressed as a layer is; a source that is uploaded changes as a whole. The kernel's modules, the initramfs and what
no package owns have sizes of a real image (examples/server). The initramfs changes with the sources that have files in
it, the hardware database with systemd, /etc and the dpkg database each time. No planner sees an upload before its week.

The last table is of one upload: each source alone, on the image as it is at the end of the first year.
"""

from __future__ import annotations

import functools
import hashlib
import json
import statistics
import sys
from bisect import bisect_right
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from benchmarks.archive import cache
from benchmarks.chunkers import KERNEL, Image, Planner, chunkah, each_source, one_layer, ours, rpm_ostree
from benchmarks.measure import print_table
from deb_bootc_compose.compare.changelog import load_changelog
from deb_bootc_compose.oci.history import parse_uploads
from debroot.resolve import fetch, resolve
from debroot.sources import find_host_sources
from debroot.store import Package, Store

COMMON = (
    "?essential", "apt", "systemd-sysv", "dbus", "udev", "kmod", "linux-image-amd64", "dracut", "ostree", "ostree-boot",
    "zstd", "grub2-common", "openssh-server", "ca-certificates", "python3", "podman",
)  # fmt: skip
PACKAGES = {
    "server": (*COMMON, "libpam-systemd", "iproute2", "nftables", "chrony", "sudo", "systemd-resolved", "skopeo"),
    "desktop": (*COMMON, "gnome-core", "flatpak", "network-manager", "cups"),
}
#: Bytes of examples/server's layers at bb82c4d, zstd: what no package's size tells.
UNOWNED = {"initramfs": 23_700_000, "hwdb": 2_100_000, "files": 200_000, "etc": 300_000, "database": 1_100_000}
#: Of a kernel's .deb, what is not below /usr/lib/modules.
KERNEL_REST = 1_500_000
#: Sources with files in a server's initramfs.
IN_INITRAMFS = frozenset(
    {"linux-signed-amd64", "systemd", "glibc", "dracut", "kmod", "util-linux", "ostree", "bash", "coreutils", "openssl",
     "e2fsprogs", "dash", "zlib", "libzstd", "xz-utils", "dbus", "lvm2", "libcap2"}
)  # fmt: skip
DAY = 86_400
WEEK = 7 * DAY
WEEKS = 52
SMALL = 0.05  #: of the image: what an update of one small package may cost
FREEZE = datetime(2025, 4, 1, tzinfo=UTC).timestamp()


@dataclass(frozen=True)
class Source:
    binaries: Mapping[str, int]  #: name → bytes of the .deb
    uploads: tuple[float, ...]  #: seconds since the epoch, oldest first

    @property
    def size(self) -> int:
        return sum(self.binaries.values())

    def count(self, start: float, end: float) -> int:
        """Uploads after *start*, up to *end*."""
        return bisect_right(self.uploads, end) - bisect_right(self.uploads, start)


@dataclass(frozen=True)
class Result:
    downloads: tuple[int, ...]  #: bytes of each update
    full: int  #: bytes of the image
    layers: int  #: of the last image

    @property
    def mean(self) -> float:
        return statistics.mean(self.downloads)


def load_sources(name: str) -> dict[str, Source]:
    """The sources of one image, from the archive; kept in the cache by the packages' hashes."""
    store = Store.open()
    packages = resolve(
        store, sources=find_host_sources("trixie"), arch="amd64", install=PACKAGES[name], max_age=DAY
    ).packages
    key = hashlib.sha256("".join(sorted(package.sha256 for package in packages)).encode()).hexdigest()[:16]
    kept = cache() / f"changelogs-{name}-{key}.json"
    if not kept.exists():
        fetch(store, packages)
        kept.write_text(json.dumps(read_sources(store, packages)))
    read = json.loads(kept.read_text())
    return {source: Source(one["binaries"], tuple(sorted(one["uploads"]))) for source, one in read.items()}


def read_sources(store: Store, packages: tuple[Package, ...]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for package in packages:
        one = found.setdefault(package.source or package.name, {"binaries": {}, "uploads": []})
        one["binaries"][package.name] = package.size
        if not one["uploads"]:
            text = load_changelog(store.pool_path(package.sha256), package=package.name, arch="amd64")
            one["uploads"] = [moment.timestamp() for moment in parse_uploads(text or "")]
    return found


def replay(sources: Mapping[str, Source], end: float, planner: Planner) -> Result:
    """A year of weekly composes up to *end*."""
    sizes = sizes_of(sources)
    state = dict.fromkeys(sizes, 0)
    kept, have, downloads, count = None, set[object](), list[int](), 0
    for now, changed in weeks(sources, end):
        for group in affected(changed):
            state[group] += 1
        uploads = {name: source.count(now - 365 * DAY, now) for name, source in sources.items()}
        placed, kept = planner(Image(sizes, uploads, {n: s.binaries for n, s in sources.items()}), kept)
        layers = content(placed, sizes, state, sources)
        count = len(layers)
        if changed:
            downloads.append(sum(size for layer, size in layers.items() if layer not in have))
        have = set(layers)
    return Result(tuple(downloads), sum(sizes.values()), count)


def alone(sources: Mapping[str, Source], end: float, planner: Planner) -> dict[str, float]:
    """Source → the share of the image that is fetched when nothing but that source was uploaded since *end*."""
    sizes = sizes_of(sources)
    uploads = {name: source.count(end - 365 * DAY, end) for name, source in sources.items()}
    placed, _ = planner(Image(sizes, uploads, {n: s.binaries for n, s in sources.items()}), None)
    before = content(placed, sizes, dict.fromkeys(sizes, 0), sources)
    shares = {}
    for name in sources:
        state = {**dict.fromkeys(sizes, 0), **dict.fromkeys(affected(frozenset({name})), 1)}
        after = content(placed, sizes, state, sources)
        shares[name] = sum(size for layer, size in after.items() if layer not in before) / sum(sizes.values())
    return shares


def sizes_of(sources: Mapping[str, Source]) -> dict[str, int]:
    """Bytes of each group."""
    sizes = {f"source:{name}": source.size for name, source in sources.items()} | UNOWNED
    return sizes | {KERNEL: KERNEL_REST, "kernel": sizes[KERNEL] - KERNEL_REST}


def weeks(sources: Mapping[str, Source], end: float) -> Iterator[tuple[float, frozenset[str]]]:
    """(its end, the sources that were uploaded in it) of the week before the year, and of each in which any was."""
    start = end - WEEKS * WEEK
    yield start, frozenset()
    for number in range(1, WEEKS + 1):
        now = start + number * WEEK
        changed = frozenset(name for name, source in sources.items() if source.count(now - WEEK, now))
        if changed:
            yield now, changed


def affected(changed: frozenset[str]) -> Iterator[str]:
    """Groups whose content is another after *changed* sources were uploaded."""
    yield from (f"source:{name}" for name in changed)
    if changed:
        yield from ("etc", "database")
    if KERNEL.removeprefix("source:") in changed:
        yield "kernel"
    if changed & IN_INITRAMFS:
        yield "initramfs"
    if "systemd" in changed:
        yield "hwdb"


def content(
    placed: Mapping[str, str], sizes: Mapping[str, int], state: Mapping[str, int], sources: Mapping[str, Source]
) -> dict[object, int]:
    """What is in each layer, as its digest would say → bytes. A plan by binary package names SOURCE/BINARY."""
    members: dict[str, list[tuple[str, int]]] = {}
    layers: dict[str, int] = {}
    for item, layer in placed.items():
        source, _, binary = item.partition("/")
        group, size = (f"source:{source}", sources[source].binaries[binary]) if binary else (item, sizes[item])
        members.setdefault(layer, []).append((item, state[group]))
        layers[layer] = layers.get(layer, 0) + size
    return {frozenset(found): layers[layer] for layer, found in members.items()}


PLANNERS: Mapping[str, Planner] = {
    "one layer": one_layer,
    "rpm-ostree's way, plan kept": rpm_ostree,
    "chunkah's way": chunkah,
    "ours, planned anew each time": functools.partial(ours, forget=True),
    "ours, by name": functools.partial(ours, by_name=True),
    "ours, plan kept": ours,
    "a layer for each source, without limit": each_source,
}


def main() -> None:
    for name in sys.argv[1:] or ["server"]:
        sources = load_sources(name)
        newest = max(source.uploads[-1] for source in sources.values() if source.uploads)
        for year, end in (("stable", newest), ("unstable", FREEZE)):
            rows = []
            for label, planner in PLANNERS.items():
                made = replay(sources, end, planner)
                assert len(made.downloads) > WEEKS / 4
                rows.append((
                    label, made.layers, f"{made.mean / 1e6:.1f}", f"{statistics.median(made.downloads) / 1e6:.1f}",
                    f"{100 * made.mean / made.full:.1f} %", f"{100 * (1 - made.mean / made.full):.1f} %",
                ))  # fmt: skip
            header = ("layers", "how many", "download, mean, MB", "median, MB", "of the image", "reused")
            what = f"{len(sources)} sources, {made.full / 1e6:.0f} MB, {len(made.downloads)} updates"
            print_table(f"{name}, {year}, to {datetime.fromtimestamp(end, UTC).date()}: {what}", header, rows)
        show_alone(name, sources, newest)


def show_alone(name: str, sources: Mapping[str, Source], end: float) -> None:
    rows = []
    for label, planner in PLANNERS.items():
        shares = alone(sources, end, planner)
        inside = [share for source, share in shares.items() if source in IN_INITRAMFS]
        others = [share for source, share in shares.items() if source not in IN_INITRAMFS]
        small = sum(share < SMALL for share in others)
        rows.append((
            label, f"{100 * statistics.median(others):.1f} %", f"{100 * max(others):.1f} %",
            f"{small} of {len(others)}", f"{100 * statistics.median(inside):.1f} %",
        ))  # fmt: skip
    header = ("layers", "median", "most", "less than 5 %", "of the initramfs: median")
    print_table(f"{name}: one source alone, share of the image", header, rows)


if __name__ == "__main__":
    main()
