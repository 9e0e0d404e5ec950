"""Two locks of one variant side by side. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from deb_bootc_compose.lock import Lock, LockedPackage
from debcore.version import parse_version

Kind = Literal["added", "removed", "upgraded", "downgraded", "rebuilt"]
KINDS: tuple[Kind, ...] = ("upgraded", "downgraded", "rebuilt", "added", "removed")


@dataclass(frozen=True)
class Change:
    """One binary package; `before` is None if it was added, `after` if it was removed."""

    kind: Kind
    before: LockedPackage | None
    after: LockedPackage | None

    @property
    def package(self) -> LockedPackage:
        found = self.after or self.before
        assert found is not None
        return found

    @property
    def name(self) -> str:
        return self.package.name

    @property
    def source(self) -> str:
        return self.package.source or self.package.name


@dataclass(frozen=True)
class SourceChange:
    """The changed binary packages of one source that changed in the same way between the same versions."""

    source: str
    kind: Kind
    before: str | None  #: version of the source
    after: str | None
    changes: tuple[Change, ...]


def compare_packages(
    before: Mapping[str, LockedPackage], after: Mapping[str, LockedPackage]
) -> tuple[SourceChange, ...]:
    """*before* and *after* by name:arch (LockedVariant.installed). In the order of KINDS, then by source."""
    groups: dict[tuple[int, str, str | None, str | None], list[Change]] = {}
    for key in sorted(before.keys() | after.keys()):
        change = _compare(before.get(key), after.get(key))
        if change is not None:
            versions = (_source_version(change.before), _source_version(change.after))
            groups.setdefault((KINDS.index(change.kind), change.source, *versions), []).append(change)
    found = sorted(groups.items(), key=lambda item: (*item[0][:2], item[0][2] or "", item[0][3] or ""))
    return tuple(
        SourceChange(source, KINDS[kind], old, new, tuple(changes)) for (kind, source, old, new), changes in found
    )


def _compare(before: LockedPackage | None, after: LockedPackage | None) -> Change | None:
    if before is None or after is None:
        return Change("added" if before is None else "removed", before, after)
    if before.key == after.key:
        return None
    old, new = parse_version(before.version), parse_version(after.version)
    return Change("rebuilt" if old == new else "upgraded" if old < new else "downgraded", before, after)


def _source_version(package: LockedPackage | None) -> str | None:
    return None if package is None else package.source_version or package.version


def common_variants(before: Lock, after: Lock) -> tuple[list[str], list[str]]:
    """(variants of both, variants of one only), as NAME.ARCH, sorted."""
    return sorted(before.variants.keys() & after.variants.keys()), sorted(
        before.variants.keys() ^ after.variants.keys()
    )


def download_size(changes: Sequence[SourceChange]) -> int:
    """Bytes of the .debs that are new."""
    return sum(change.after.size for group in changes for change in group.changes if change.after is not None)


@dataclass(frozen=True)
class SizeChange:
    """Bytes of one package on each side; 0 where it is not."""

    name: str
    before: int
    after: int

    @property
    def growth(self) -> int:
        return self.after - self.before


def compare_sizes(before: Mapping[str, int], after: Mapping[str, int]) -> tuple[SizeChange, ...]:
    """By package name; without what is as large as before. The largest difference first."""
    names = before.keys() | after.keys()
    found = [SizeChange(name, before.get(name, 0), after.get(name, 0)) for name in names]
    return tuple(sorted((one for one in found if one.growth), key=lambda one: (-abs(one.growth), one.name)))
