"""Every package of the image has what it needs, and nothing that it must not be with.

apt sees to that when the lock is made. What a base image brings, a .deb that was put over another, or a root that
something else made can break it, and dpkg says nothing until the next package is to be configured.
Source: Policy 7, deb-control(5), deb-version(7); architectures as apt and dpkg read Multi-Arch.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property

from deb_bootc_compose.lints.model import Lint, Root
from deb_bootc_compose.tree import dpkg
from debcore.errors import Failure
from debcore.version import compare_versions

#: A relation of a binary package: restrictions stand in source packages only.
RELATION = re.compile(
    r"(?P<name>[A-Za-z0-9][A-Za-z0-9+.-]*)(?::(?P<arch>[a-z0-9-]+))?"
    r"\s*(?:\(\s*(?P<op><<|<=|=|>=|>>|<|>)\s*(?P<version>[^\s)]+)\s*\))?"
)
#: As dpkg reads them; `<` and `>` are old spellings of `<=` and `>=`.
HOLDS = {
    "<<": (-1,), "<=": (-1, 0), "<": (-1, 0), "=": (0,), ">=": (0, 1), ">": (0, 1), ">>": (1,),
}  # fmt: skip
#: What dpkg calls a package whose files are there.
PRESENT = frozenset({"unpacked", "half-configured", "triggers-awaited", "triggers-pending", "installed"})
#: How many steps from what is wanted by nobody are shown.
CHAIN = 6


@dataclass(frozen=True)
class Relation:
    name: str
    arch: str  #: "" for none
    op: str  #: "" for any version
    version: str

    def __str__(self) -> str:
        return f"{self.name}{f':{self.arch}' if self.arch else ''}{f' ({self.op} {self.version})' if self.op else ''}"


@dataclass(frozen=True)
class Binary:
    """One package of the image."""

    name: str
    version: str
    arch: str  #: of the image for `all`
    multi: str
    source: str
    fields: Mapping[str, str]

    @property
    def label(self) -> str:
        return f"{self.name} {self.version}"


@dataclass(frozen=True)
class Offer:
    """*name* as *by* gives it: its own, or one that it provides; `version` "" for a virtual name without one."""

    by: Binary
    version: str


class Closure:
    """The packages of one dpkg status. Errors: Failure on relations and versions that cannot be read."""

    def __init__(self, status: str) -> None:
        present = [s for s in dpkg.parse_stanzas(status) if s.get("status", "").rpartition(" ")[2] in PRESENT]
        native = next((s["architecture"] for s in present if s["package"] == "dpkg"), "all")
        self.packages = [_binary(stanza, native) for stanza in present]
        self._offers: dict[str, list[Offer]] = defaultdict(list)
        for one in self.packages:
            self._offers[one.name].append(Offer(one, one.version))
            for clause in parse_clauses(one.fields.get("provides", ""), one):
                for given in clause:
                    self._offers[given.name].append(Offer(one, given.version))

    def find(self) -> Iterator[str]:
        """What does not hold, a sentence each, by package."""
        for one in self.packages:
            for field in ("pre-depends", "depends"):
                for clause in parse_clauses(one.fields.get(field, ""), one):
                    if not any(self._satisfies(offer, wanted, one) for wanted in clause for offer in self._of(wanted)):
                        yield self._unmet(one, clause)
            for field, word in (("conflicts", "conflicts with"), ("breaks", "breaks")):
                for clause in parse_clauses(one.fields.get(field, ""), one):
                    for unwanted in clause:
                        for label in sorted(self._met(one, unwanted)):
                            yield f"{one.name} {word} {unwanted}, and {label} is in the image"

    def _of(self, wanted: Relation) -> list[Offer]:
        return self._offers.get(wanted.name, [])

    def _satisfies(self, offer: Offer, wanted: Relation, by: Binary) -> bool:
        return self._fits_arch(offer, wanted, by) and _holds(offer.version, wanted)

    def _fits_arch(self, offer: Offer, wanted: Relation, by: Binary) -> bool:
        if wanted.arch == "any":
            return offer.by.multi in ("allowed", "foreign") or offer.by.arch == by.arch
        if wanted.arch:
            return offer.by.arch == wanted.arch
        return offer.by.multi == "foreign" or offer.by.arch == by.arch

    def _met(self, one: Binary, unwanted: Relation) -> set[str]:
        """What *unwanted* is here. A package is never against itself, nor against its other architectures."""
        found = set()
        for offer in self._of(unwanted):
            fits = unwanted.arch in ("", "any", offer.by.arch)
            if offer.by.name != one.name and fits and _holds(offer.version, unwanted):
                given = "" if offer.by.name == unwanted.name else f", which provides {unwanted.name},"
                found.add(f"{offer.by.label}{given}")
        return found

    def _unmet(self, one: Binary, clause: list[Relation]) -> str:
        words = " | ".join(map(str, clause))
        near = sorted({self._near(offer, wanted) for wanted in clause for offer in self._of(wanted)})
        said = f"; nearest: {', '.join(near)}" if near else ""
        chain = self._chain(one)
        why = f"; {one.name} is there for {' ← '.join(chain)}" if chain else ""
        return f"{one.name} depends on {words}, which nothing in the image provides{said}{why}"

    def _near(self, offer: Offer, wanted: Relation) -> str:
        where = f" of {offer.by.source}" if offer.by.source != offer.by.name else ""
        given = f"{wanted.name} {offer.version or 'without a version'}".strip()
        provider = "" if offer.by.name == wanted.name else f", provided by {offer.by.label}"
        arch = "" if offer.by.multi == "foreign" else f" ({offer.by.arch})"
        return f"{given}{where}{provider}{arch}"

    def _chain(self, one: Binary) -> list[str]:
        """Who wants *one*, who wants that, and so on: the first by name each."""
        chain: list[str] = []
        seen, at = {one.name}, one.name
        while len(chain) < CHAIN:
            wanting = sorted(self._wanted_by.get(at, set()) - seen)
            if not wanting:
                break
            at = wanting[0]
            seen.add(at)
            chain.append(at)
        return chain

    @cached_property
    def _wanted_by(self) -> Mapping[str, set[str]]:
        found: dict[str, set[str]] = defaultdict(set)
        for one in self.packages:
            for field in ("pre-depends", "depends"):
                for clause in parse_clauses(one.fields.get(field, ""), one):
                    for wanted in clause:
                        for offer in self._of(wanted):
                            found[offer.by.name].add(one.name)
        return found


def parse_clauses(field: str, of: Binary) -> Iterator[list[Relation]]:
    """The clauses of a relation field, each a list of alternatives. Errors: Failure naming what cannot be read."""
    for clause in (text for text in field.split(",") if text.strip()):
        found = []
        for text in clause.split("|"):
            match = RELATION.fullmatch(text.strip())
            if match is None:
                raise Failure(f"{of.name} {of.version} has a relation that cannot be read: {text.strip()!r}")
            found.append(Relation(*(part or "" for part in match.group("name", "arch", "op", "version"))))
        yield found


def _binary(stanza: Mapping[str, str], native: str) -> Binary:
    arch = stanza.get("architecture", "")
    name = stanza["package"]
    return Binary(
        name, stanza.get("version", ""), native if arch == "all" else arch, stanza.get("multi-arch", "no"),
        stanza.get("source", name).partition(" ")[0], stanza,
    )  # fmt: skip


def _holds(version: str, wanted: Relation) -> bool:
    """A virtual name without a version meets no relation that has one: Policy 7.5."""
    if not wanted.op:
        return True
    return bool(version) and compare_versions(version, wanted.version) in HOLDS[wanted.op]


def check(root: Root) -> Iterator[str]:
    status = root.read(f"{dpkg.IMAGE_ADMINDIR}/status") or ""
    try:
        yield from Closure(status).find()
    except Failure as failure:
        yield str(failure)


TEXT = "every package has what it depends on, and nothing that it conflicts with or breaks"
LINT = Lint("repoclosure", "fatal", "debian", TEXT, check)
