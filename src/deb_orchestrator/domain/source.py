"""What the hub knows of a source package from its .dsc, and the order in which several are built. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from debcore.errors import Failure

_RELATION = re.compile(r"\s*([a-z0-9][a-z0-9+.-]+)")


@dataclass(frozen=True)
class Binary:
    """A line of Package-List. `arches` are the words of arch=, such as any, all, linux-any."""

    name: str
    type: str  #: deb or udeb
    arches: tuple[str, ...]


@dataclass(frozen=True)
class Source:
    name: str
    version: str
    binaries: tuple[Binary, ...]
    build_depends: tuple[str, ...]  #: names only, of all alternatives

    @property
    def has_any(self) -> bool:
        """True if some binary depends on the architecture."""
        return any(set(binary.arches) - {"all"} for binary in self.binaries)

    @property
    def has_all(self) -> bool:
        return any("all" in binary.arches for binary in self.binaries)


def parse_source(fields: Mapping[str, str]) -> Source:
    """From the fields of a .dsc (any case of names). Errors: Failure if a needed one is missing."""
    low = {name.lower(): value for name, value in fields.items()}
    for name in ("source", "version"):
        if not low.get(name, "").strip():
            raise Failure(f"the .dsc lacks the field {name.title()}", hint="make it with: dpkg-source -b DIR")
    depends = ",".join(low.get(f"build-depends{part}", "") for part in ("", "-arch", "-indep"))
    return Source(low["source"].strip(), low["version"].strip(), _binaries(low), parse_names(depends))


def parse_names(relations: str) -> tuple[str, ...]:
    """The package names of a relation field, alternatives included, in order and once each. Policy 7.1."""
    names = (_RELATION.match(part) for clause in relations.split(",") for part in clause.split("|"))
    return tuple(dict.fromkeys(match[1] for match in names if match))


def _binaries(low: Mapping[str, str]) -> tuple[Binary, ...]:
    listed = []
    for line in low.get("package-list", "").split("\n"):
        words = line.split()
        if len(words) >= 2:
            arches = next((word[5:] for word in words[2:] if word.startswith("arch=")), "any")
            listed.append(Binary(words[0], words[1], tuple(arches.split(","))))
    if listed:
        return tuple(listed)
    every = tuple(low.get("architecture", "any").split())
    return tuple(Binary(name.strip(), "deb", every) for name in low.get("binary", "").split(",") if name.strip())


def find_order(sources: Sequence[Source]) -> dict[int, tuple[int, ...]]:
    """For each index of *sources* the indexes of those that must be built before it.

    Errors: Failure naming the sources of a cycle, and two sources that make the same binary.
    """
    maker: dict[str, int] = {}
    for i, source in enumerate(sources):
        for binary in source.binaries:
            if maker.setdefault(binary.name, i) != i:
                other = sources[maker[binary.name]].name
                raise Failure(f"{source.name} and {other} both make {binary.name}", hint="ask for one of them")
    needs = {
        i: tuple(sorted({maker[name] for name in source.build_depends if maker.get(name, i) != i}))
        for i, source in enumerate(sources)
    }
    _check_cycle(sources, needs)
    return needs


def find_levels(needs: Mapping[int, Sequence[int]]) -> list[list[int]]:
    """Indexes in levels: each needs only what is on earlier ones. Those of a cycle, and above it, are left out."""
    left = dict(needs)
    levels: list[list[int]] = []
    while ready := [i for i, before in left.items() if not set(before) & left.keys()]:
        levels.append(ready)
        for i in ready:
            del left[i]
    return levels


def _check_cycle(sources: Sequence[Source], needs: Mapping[int, Sequence[int]]) -> None:
    left = needs.keys() - {i for level in find_levels(needs) for i in level}
    if left:
        names = ", ".join(sorted(sources[i].name for i in left))
        raise Failure(
            f"these sources need each other to build: {names}",
            hint="build one of them first with a build profile that breaks the cycle",
        )
