"""The page of what changed between two composes. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from deb_bootc_compose.compare.composes import Difference, VariantDifference
from deb_bootc_compose.compare.files import File, FileChange
from deb_bootc_compose.compare.layers import LayerChanges
from deb_bootc_compose.compare.packages import KINDS, SourceChange, download_size
from deb_bootc_compose.report.html import Child, Html, cards, code, element, join, link, page, table
from deb_bootc_compose.report.plot import Bar, bars, size_text

TOP = 20  #: packages and layers that are drawn
MAX_FILES = 2000  #: rows of one table of files: more are only counted
#: Where a CVE and a bug are told about. Source: Debian's security tracker and bug tracking system.
CVE_PAGE = "https://security-tracker.debian.org/tracker/"
BUG_PAGE = "https://bugs.debian.org/"


def make_page(difference: Difference) -> str:
    before, after = difference.before.name, difference.after.name
    return page(
        f"{before} → {after}",
        element("header", element("p", "What changed from ", before, " to"), element("h1", after)),
        element(
            "main",
            [element("p", f"{key} is on one side only.", class_="note") for key in difference.only],
            [_variant(variant) for variant in difference.variants],
        ),
        element("footer", "Made by deb-bootc-compose diff --html."),
    )


def _variant(variant: VariantDifference) -> Html:
    return element(
        "section",
        element("h2", variant.key),
        _cards(variant),
        _packages(variant),
        _sizes(variant),
        _layers(variant.layers),
        _files(variant),
    )


def _cards(variant: VariantDifference) -> Html:
    counts = {kind: sum(len(c.changes) for c in variant.packages if c.kind == kind) for kind in KINDS}
    said = ", ".join(f"{number} {kind}" for kind, number in counts.items() if number)
    cves = {cve for entries in variant.changelogs.values() for entry in entries for cve in entry.cves}
    rows: list[tuple[str, Child, Child]] = [
        ("Packages changed", str(sum(counts.values())), said or "the same packages"),
        ("New .debs", size_text(download_size(variant.packages)), None),
    ]
    if variant.layers is not None:
        rows.append(("An update fetches", size_text(variant.layers.download), f"of {size_text(variant.layers.size)}"))
    if variant.changelogs:
        rows.append(("CVEs fixed", str(len(cves)), "as the changelogs say"))
    return cards(rows)


def _packages(variant: VariantDifference) -> Html | None:
    if not variant.packages:
        return None
    rows: list[list[Child]] = [
        [change.source, change.kind, change.before or "", change.after or "", ", ".join(c.name for c in change.changes),
         _cves(variant, change)]
        for change in variant.packages
    ]  # fmt: skip
    told = [change for change in variant.packages if variant.changelogs.get(change.source)]
    return join(
        element("h3", "Packages"),
        table(["Source", "What", "Before", "After", "Packages", "Fixes"], rows),
        [_changelog(variant, change) for change in told if change.kind == "upgraded"],
    )


def _cves(variant: VariantDifference, change: SourceChange) -> list[Html]:
    if change.kind != "upgraded":
        return []
    found = sorted({cve for entry in variant.changelogs.get(change.source, ()) for cve in entry.cves})
    return [element("span", link(f"{CVE_PAGE}{cve}", cve), " ") for cve in found]


def _changelog(variant: VariantDifference, change: SourceChange) -> Html:
    entries = variant.changelogs[change.source]
    return element(
        "details",
        element("summary", f"{change.source} {change.before} → {change.after}"),
        [
            join(
                element("p", entry.version, f", urgency {entry.urgency}" if entry.urgency else "", class_="note"),
                element("pre", "\n".join(entry.lines)),
                element("p", "Closes ", [join(link(f"{BUG_PAGE}{bug}", f"#{bug}"), " ") for bug in entry.bugs])
                if entry.bugs
                else None,
            )
            for entry in entries
        ],
    )


def _sizes(variant: VariantDifference) -> Html | None:
    if not variant.sizes:
        return None
    growth = sum(one.growth for one in variant.sizes)
    rows = [Bar(one.name, one.after, was=one.before, note=_signed(one.growth)) for one in variant.sizes[:TOP]]
    of = "installed" if variant.sizes_installed else "of .debs"
    more = f" The {TOP} largest of {len(variant.sizes)} differences are shown." if len(variant.sizes) > TOP else ""
    return join(
        element("h3", "Size by package"),
        element("p", f"{_signed(growth)} {of} in all. Below each bar, in grey, what it was.{more}", class_="note"),
        bars(rows, label="Size by package, and what it was"),
    )


def _layers(layers: LayerChanges | None) -> Html | None:
    if layers is None:
        return None
    new = sorted((layer for layer in layers.layers if not layer.reused), key=lambda layer: (-layer.size, layer.name))
    gone = f" Gone: {', '.join(layers.removed)}." if layers.removed else ""
    rows = [Bar(layer.name, layer.size, was=layer.before or 0) for layer in new[:TOP]]
    if rest := new[TOP:]:
        rows.append(Bar(f"{len(rest)} others", sum(layer.size for layer in rest), "rest"))
    return join(
        element("h3", "Layers"),
        element(
            "p",
            f"{len(new)} of {len(layers.layers)} layers are new: an update fetches {size_text(layers.download)} of "
            f"{size_text(layers.size)}, compressed.{gone}",
            class_="note",
        ),
        bars(rows, label="Size of new layers, and what they were") if rows else None,
    )


def _files(variant: VariantDifference) -> Html | None:
    if variant.files is None:
        return None
    initramfs = variant.files.initramfs
    return join(
        _file_table("Files", variant.files.files),
        _file_table("Initramfs", initramfs) if initramfs is not None else None,
    )


def _file_table(title: str, changes: Sequence[FileChange]) -> Html:
    counts = ((kind, sum(change.kind == kind for change in changes)) for kind in ("changed", "added", "removed"))
    said = ", ".join(f"{number} {kind}" for kind, number in counts if number) or "the same"
    rows: list[list[Child]] = [
        [code(change.path), change.kind, _size(change.before),
         _size(change.after), _signed(change.growth)]
        for change in changes[:MAX_FILES]
    ]  # fmt: skip
    cut = element("p", f"{len(changes) - MAX_FILES} more: --json has all.") if len(changes) > MAX_FILES else None
    growth = f", {_signed(sum(change.growth for change in changes))}" if changes else ""
    return join(
        element("h3", title),
        element("p", f"{said}{growth}.", class_="note"),
        element(
            "details",
            element("summary", f"All {len(changes)}"),
            table(["Path", "What", "Before", "After", "Difference"], rows, numbers=(2, 3, 4)),
            cut,
        )
        if rows
        else None,
    )


def _size(file: File | None) -> str:
    return "" if file is None else size_text(file.size)


def _signed(size: int) -> str:
    return f"+{size_text(size)}" if size > 0 else size_text(size)
