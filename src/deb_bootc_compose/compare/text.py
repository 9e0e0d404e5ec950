"""A comparison for a terminal, and as a document."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from deb_bootc_compose.compare.changelog import Entry
from deb_bootc_compose.compare.composes import Difference, VariantDifference
from deb_bootc_compose.compare.files import FileChange
from deb_bootc_compose.compare.layers import LayerChanges
from deb_bootc_compose.compare.packages import KINDS, SourceChange, download_size
from debcore.cli import printable

#: Lines of one changelog entry that a terminal shows.
LINES = 12
FILES = 10  #: of each variant that a terminal shows


def lines(difference: Difference) -> Iterator[str]:
    """Names and versions are a lock's, the rest a changelog's: none of it may steer the terminal."""
    return map(printable, _lines(difference))


def _lines(difference: Difference) -> Iterator[str]:
    yield f"{difference.before.name} → {difference.after.name}"
    before, after = difference.before.lock.snapshots, difference.after.lock.snapshots
    for name in sorted({*before, *after}):
        if before.get(name) != after.get(name):
            yield f"snapshot of {name}: {before.get(name, 'none')} → {after.get(name, 'none')}"
    for key in difference.only:
        where = difference.before if key in difference.before.lock.variants else difference.after
        yield f"{key}: only in {where.name}"
    for variant in difference.variants:
        yield from _variant(variant)


def _variant(variant: VariantDifference) -> Iterator[str]:
    yield ""
    if not variant.packages and (variant.layers is None or not variant.layers.download):
        yield f"{variant.key}: the same packages"
        return
    count = {kind: sum(len(c.changes) for c in variant.packages if c.kind == kind) for kind in KINDS}
    said = ", ".join(f"{number} {kind}" for kind, number in count.items() if number)
    yield f"{variant.key}: {said or 'the same packages'}; {megabytes(download_size(variant.packages))} of .debs"
    for kind in KINDS:
        group = [change for change in variant.packages if change.kind == kind]
        if group:
            yield f"  {kind}"
        for change in group:
            yield from _change(change, variant.changelogs.get(change.source, ()))
    if variant.layers is not None:
        yield from _layers(variant.layers)
    if variant.files is not None:
        yield from _files("files", variant.files.files)
        if variant.files.initramfs is not None:
            yield from _files("initramfs", variant.files.initramfs)


def _files(what: str, changes: tuple[FileChange, ...]) -> Iterator[str]:
    """How many, and the largest differences."""
    counts = ((kind, sum(change.kind == kind for change in changes)) for kind in ("changed", "added", "removed"))
    said = ", ".join(f"{number} {kind}" for kind, number in counts if number)
    growth = sum(change.growth for change in changes)
    yield f"  {what}: {said or 'the same'}" + (f", {megabytes(growth, sign=True)}" if said else "")
    largest = sorted(changes, key=lambda change: (-abs(change.growth), change.path))[:FILES]
    for change in largest:
        yield f"    {megabytes(change.growth, sign=True):>10}  {change.path} ({change.kind})"
    if len(changes) > len(largest):
        yield f"    {'':>10}  … {len(changes) - len(largest)} more; --html and --json have all"


def _change(change: SourceChange, entries: tuple[Entry, ...]) -> Iterator[str]:
    versions = " → ".join(version for version in (change.before, change.after) if version)
    names = ", ".join(c.name for c in change.changes)
    of = f" ({names})" if names != change.source else ""
    cves = sorted({cve for entry in entries for cve in entry.cves})
    yield f"    {change.source} {versions}{of}" + (f"  fixes {', '.join(cves)}" if cves else "")
    for entry in entries:
        yield f"      {entry.version}" + (f", urgency {entry.urgency}" if entry.urgency else "")
        for line in entry.lines[:LINES]:
            yield f"        {line}".rstrip()
        if len(entry.lines) > LINES:
            yield f"        … {len(entry.lines) - LINES} lines more"


def _layers(layers: LayerChanges) -> Iterator[str]:
    new = [layer for layer in layers.layers if not layer.reused]
    yield (
        f"  image: {len(new)} of {len(layers.layers)} layers are new: an update fetches {megabytes(layers.download)} "
        f"of {megabytes(layers.size)}"
    )
    for layer in sorted(new, key=lambda layer: -layer.size):
        before = "new" if layer.before is None else f"was {megabytes(layer.before)}"
        yield f"    {megabytes(layer.size):>10}  {layer.name} ({before})"
    for name in layers.removed:
        yield f"    {'gone':>10}  {name}"


def megabytes(size: int, *, sign: bool = False) -> str:
    return f"{size / 1e6:+.1f} MB" if sign else f"{size / 1e6:.1f} MB"


def document(difference: Difference) -> dict[str, Any]:
    """For --json."""
    return {
        "schema": "deb-bootc-compose-diff/1",
        "before": difference.before.name,
        "after": difference.after.name,
        "only": list(difference.only),
        "snapshots": {"before": difference.before.lock.snapshots, "after": difference.after.lock.snapshots},
        "variants": {variant.key: _variant_document(variant) for variant in difference.variants},
    }


def _variant_document(variant: VariantDifference) -> dict[str, Any]:
    packages = [
        {
            "source": change.source,
            "change": change.kind,
            "before": change.before,
            "after": change.after,
            "packages": [
                {
                    "name": one.name,
                    "arch": one.package.arch,
                    "before": one.before.version if one.before else None,
                    "after": one.after.version if one.after else None,
                }
                for one in change.changes
            ],
            "changelog": [
                {"version": e.version, "urgency": e.urgency, "lines": e.lines, "cves": e.cves, "closes": e.bugs}
                for e in variant.changelogs.get(change.source, ())
            ],
        }
        for change in variant.packages
    ]
    layers = variant.layers and {
        "size": variant.layers.size,
        "download": variant.layers.download,
        "new": [
            {"name": la.name, "size": la.size, "before": la.before} for la in variant.layers.layers if not la.reused
        ],
        "reused": [layer.name for layer in variant.layers.layers if layer.reused],
        "removed": list(variant.layers.removed),
    }
    sizes = [{"name": one.name, "before": one.before, "after": one.after} for one in variant.sizes]
    files, initramfs = None, None
    if variant.files is not None:
        files = _file_documents(variant.files.files)
        initramfs = None if variant.files.initramfs is None else _file_documents(variant.files.initramfs)
    return {
        "packages": packages, "debs_size": download_size(variant.packages), "layers": layers, "sizes": sizes,
        "files": files, "initramfs": initramfs,
    }  # fmt: skip


def _file_documents(changes: tuple[FileChange, ...]) -> list[dict[str, Any]]:
    return [
        {
            "path": change.path,
            "change": change.kind,
            "before": change.before.size if change.before else None,
            "after": change.after.size if change.after else None,
        }
        for change in changes
    ]
