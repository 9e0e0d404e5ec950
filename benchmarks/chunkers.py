"""Ways to put the content of an image into layers, ours and those of others as they describe them.

Each takes an image (sizes of groups, uploads of each source in the year before) and what it kept of the last plan, and
gives group → layer and what it keeps. Of the others not the programs but their rules: chunkah's src/packing.rs at
4c8abc3 and ostree-ext's chunking.rs in bootc at 534c76e, with packages of Debian in the place of RPMs.
"""

from __future__ import annotations

import hashlib
import math
import statistics
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from deb_bootc_compose.oci.plan import place_groups

#: Groups that no source package owns, or that change on days of their own.
UNOWNED = ("initramfs", "hwdb", "files", "etc", "database")
KERNEL = "source:linux-signed-amd64"
OFTEN = 52  #: uploads in a year that are assumed of what changes with every update


@dataclass(frozen=True)
class Image:
    """What a planner sees at one date."""

    sizes: Mapping[str, int]  #: bytes, compressed, of each group: `source:NAME`, kernel, and UNOWNED
    uploads: Mapping[str, int]  #: by source, in the year before
    binaries: Mapping[str, Mapping[str, int]]  #: bytes of the binary packages of each source


Placed = tuple[Mapping[str, str], Any]
Planner = Callable[[Image, Any], Placed]


def one_layer(image: Image, _: Any) -> Placed:
    return dict.fromkeys(image.sizes, "all"), None


def each_source(image: Image, _: Any) -> Placed:
    """No limit on layers: what no way of merging can better."""
    return {group: group for group in image.sizes}, None


def ours(image: Image, kept: Any, *, by_name: bool = False, forget: bool = False) -> Placed:
    previous = kept if kept and not forget else {}
    names = place_groups(image.sizes, image.uploads, previous=previous, by_name=by_name)
    plan: dict[str, list[str]] = {}
    for group, layer in names.items():
        if group.startswith("source:"):
            plan.setdefault(layer, []).append(group.removeprefix("source:"))
    return names, plan


def chunkah(image: Image, _: Any, *, layers: int = 64) -> Placed:
    """By source; size at least median + 1.5 MAD alone, in at most 80 % of the layers; the rest in three tiers of
    stability (mean ± σ), in bins by the hash of the name. Large unowned files alone, the others together."""
    items = {group: size for group, size in image.sizes.items() if group.startswith("source:")}
    items[KERNEL] = items.get(KERNEL, 0) + image.sizes["kernel"]
    items |= {group: image.sizes[group] for group in ("initramfs", "hwdb")}
    limit = _limit(list(items.values()), 1.5)
    large = [group for group in items if items[group] >= limit]
    alone = sorted(large, key=lambda group: (-items[group], group))[: int((layers - 1) * 0.8)]
    rest = sorted(set(items) - set(alone))
    tiers: dict[int, list[str]] = {}
    chances = {group: 1 - math.exp(-image.uploads.get(group.removeprefix("source:"), OFTEN) / 52) for group in rest}
    for group, tier in _by_spread(chances, 1).items():
        tiers.setdefault(tier, []).append(group)
    names = {group: group for group in alone}
    bins = layers - 1 - len(alone)
    for tier, groups in tiers.items():
        count = max(1, bins * len(groups) // len(rest))
        names |= {group: f"tier {tier} bin {_hash(group) % count}" for group in groups}
    unclaimed = dict.fromkeys(("files", "etc", "database"), "unclaimed")
    return {**names, "kernel": names[KERNEL], **unclaimed}, None


def rpm_ostree(image: Image, kept: Any, *, layers: int = 64) -> Placed:
    """By binary package; one layer for all that no package owns; three fifths of the others for packages of at least
    median + 2 MAD; the rest by three classes of frequency and of size (mean ± 2 σ). The plan is kept."""
    if kept is not None:
        return kept, kept
    sizes = {f"{source}/{name}": size for source, all_ in image.binaries.items() for name, size in all_.items()}
    large = sorted(
        (name for name, size in sizes.items() if size >= _limit(list(sizes.values()), 2)), key=lambda n: (-sizes[n], n)
    )
    alone = large[: int((layers - 3) * 0.6)]
    rest = [name for name in sorted(sizes) if name not in set(alone)]
    often = _by_spread({name: float(image.uploads.get(name.partition("/")[0], 0)) for name in rest}, 2)
    names = {name: name for name in alone}
    for tier in (0, 1, 2):
        inside = {name: float(sizes[name]) for name in rest if often[name] == tier}
        names |= {name: f"frequency {tier} size {size}" for name, size in _by_spread(inside, 2).items()}
    names |= dict.fromkeys(UNOWNED, "unpackaged")
    return names, names


def _limit(sizes: Sequence[int], times: float) -> float:
    middle = statistics.median(sizes)
    return middle + times * statistics.median(abs(size - middle) for size in sizes)


def _by_spread(values: Mapping[str, float], sigmas: float) -> dict[str, int]:
    """0 below mean − *sigmas* · σ, 2 above mean + that, else 1."""
    if not values:
        return {}
    mean, sigma = statistics.mean(values.values()), statistics.pstdev(values.values())
    return {n: 0 if v < mean - sigmas * sigma else 2 if v > mean + sigmas * sigma else 1 for n, v in values.items()}


def _hash(text: str) -> int:
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:4], "big")
