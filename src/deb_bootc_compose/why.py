"""Why a package is in an image, and what it costs: the relations between the packages of one variant's lock. Pure."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

from debian.deb822 import PkgRelation

from debcore.deb822 import Stanza

#: Fields that bring a package in, the binding ones first. Source: Policy 7.2.
FIELDS = ("Pre-Depends", "Depends", "Recommends")


@dataclass(frozen=True)
class Installed:
    """One package of the lock and what its control file says."""

    name: str
    version: str
    source: str
    stage: str  #: base, archive or hub
    size: int  #: installed, bytes; 0 where it is not known
    wants: tuple[tuple[str, tuple[tuple[str, ...], ...]], ...]  #: (field, clauses of alternative names)
    provides: tuple[str, ...]
    essential: bool
    known: bool = True  #: whether its control file was read; without it neither its size nor what it wants is known


def describe(stanza: Stanza, *, source: str, stage: str) -> Installed:
    """*stanza*: the control file of the .deb."""
    wants = tuple((field, _clauses(stanza[field])) for field in FIELDS if field in stanza)
    provides = tuple(name for clause in _clauses(stanza.get("Provides", "")) for name in clause)
    size = stanza.get("Installed-Size", "0").strip()
    return Installed(
        name=stanza.require("Package", where=source),
        version=stanza.require("Version", where=source),
        source=source,
        stage=stage,
        size=int(size) * 1024 if size.isdigit() else 0,
        wants=wants,
        provides=provides,
        essential=stanza.get("Essential", "no") == "yes",
    )


def _clauses(field: str) -> tuple[tuple[str, ...], ...]:
    relations = PkgRelation.parse_relations(field) if field.strip() else []
    return tuple(tuple(str(one["name"]) for one in clause) for clause in relations)


@dataclass(frozen=True)
class Step:
    """`package` wants `wanted` by `field` (asked: the manifest or the base set does, `package` is "")."""

    package: str
    field: str
    wanted: str  #: as the relation says it: it may be a virtual name
    gives: str  #: the package of the image that is meant by it


@dataclass(frozen=True)
class Relations:
    """The packages of one variant, by name, with what the manifest asked for."""

    packages: Mapping[str, Installed]
    asked: Sequence[str]
    soft: bool = False  #: count Recommends as a reason

    @cached_property
    def _providers(self) -> Mapping[str, tuple[str, ...]]:
        found: dict[str, list[str]] = {}
        for package in self.packages.values():
            for name in package.provides:
                found.setdefault(name, []).append(package.name)
        return {name: tuple(sorted(names)) for name, names in found.items()}

    def given_by(self, name: str) -> tuple[str, ...]:
        """Packages of the image that *name* may mean."""
        return (name,) if name in self.packages else self._providers.get(name, ())

    def roots(self) -> list[Step]:
        """What is here without being wanted by another package."""
        asked = [name.partition(":")[0].partition("=")[0] for name in self.asked if not name.endswith("-")]
        found = [Step("", "manifest", name, given) for name in asked for given in self.given_by(name)]
        base = [p.name for p in self.packages.values() if p.essential or p.name in ("dpkg", "apt")]
        return found + [Step("", "base set", name, name) for name in sorted(base)]

    def wanted_by(self, package: str) -> Sequence[Step]:
        """What *package* wants of what is in the image."""
        return self._edges[package]

    @cached_property
    def _edges(self) -> Mapping[str, Sequence[Step]]:
        return {name: tuple(self._steps(package)) for name, package in self.packages.items()}

    def _steps(self, package: Installed) -> Iterator[Step]:
        for field, clauses in package.wants:
            for name in (name for clause in clauses if self.soft or field != "Recommends" for name in clause):
                for given in self.given_by(name):
                    if given != package.name:
                        yield Step(package.name, field, name, given)

    def who_wants(self, package: str) -> list[Step]:
        """Every direct reason for *package*."""
        steps = [step for step in self.roots() if step.gives == package]
        for name in sorted(self.packages):
            steps += [step for step in self.wanted_by(name) if step.gives == package]
        return list(dict.fromkeys(steps))

    def chain(self, package: str) -> list[Step]:
        """The shortest way from the manifest or the base set to *package*; empty if there is none."""
        came: dict[str, Step] = {}
        queue: deque[str] = deque()
        for step in self.roots():
            if step.gives not in came:
                came[step.gives] = step
                queue.append(step.gives)
        while queue and package not in came:
            for step in self.wanted_by(queue.popleft()):
                if step.gives not in came:
                    came[step.gives] = step
                    queue.append(step.gives)
        found: list[Step] = []
        at = package
        while at in came:
            found.append(came[at])
            at = came[at].package
        return found[::-1]

    @cached_property
    def _roots(self) -> frozenset[str]:
        return frozenset(step.gives for step in self.roots())

    def reached(self, without: str = "") -> set[str]:
        """What the manifest and the base set bring in, if there were no package *without*."""
        seen = set(self._roots - {without})
        queue = deque(seen)
        while queue:
            for step in self.wanted_by(queue.popleft()):
                if step.gives not in seen and step.gives != without:
                    seen.add(step.gives)
                    queue.append(step.gives)
        return seen

    def only_for(self, package: str) -> list[str]:
        """*package* and what nothing but it keeps in the image."""
        return sorted(self.reached() - self.reached(package))


def size_of(packages: Iterable[Installed]) -> int:
    return sum(package.size for package in packages)
