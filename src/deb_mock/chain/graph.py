"""Which source must be built before which: from build dependencies and binary packages to levels. All pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise

from debcore.errors import ConfigError
from debcore.version import compare_versions


@dataclass(frozen=True)
class Wanted:
    """One alternative: a package name, and what its version must be (`relation` "" if nothing)."""

    name: str
    relation: str = ""
    version: str = ""


@dataclass(frozen=True)
class Clause:
    """One clause of a relation field: any of its alternatives will do."""

    field: str
    text: str  #: as it is written, restrictions included
    reduced: str  #: without restrictions, for apt
    alternatives: tuple[Wanted, ...]

    def __str__(self) -> str:
        return f"{self.field}: {self.text}"


@dataclass(frozen=True)
class Binary:
    """What is known of a binary package before it is built. Its version is taken to be the source's."""

    name: str
    provides: tuple[tuple[str, str], ...] = ()  #: virtual names, each with its version or ""
    depends: tuple[Clause, ...] = ()


@dataclass(frozen=True)
class Node:
    """One source of a chain."""

    name: str
    version: str
    binaries: tuple[Binary, ...]
    wants: tuple[Clause, ...]  #: build dependencies that hold


@dataclass(frozen=True)
class Edge:
    """*after* needs a package of *before* because of `clause`. `via`: the package that has the clause, if it is not
    the source itself but something installed for it."""

    after: str
    before: str
    clause: Clause
    via: str = ""

    def __str__(self) -> str:
        which = f"{self.after} (through {self.via})" if self.via else self.after
        return f"{which} needs {self.before} — {self.clause}"


@dataclass(frozen=True)
class Graph:
    """The sources in the order they were given, and one edge for each pair that has an order."""

    nodes: tuple[Node, ...]
    edges: tuple[Edge, ...]

    @cached_property
    def needs(self) -> Mapping[str, frozenset[str]]:
        """What must be built before each source, directly."""
        direct: dict[str, set[str]] = {node.name: set() for node in self.nodes}
        for edge in self.edges:
            direct[edge.after].add(edge.before)
        return {name: frozenset(names) for name, names in direct.items()}

    def closure(self, name: str) -> frozenset[str]:
        """What must be built before *name*, directly or not."""
        found: set[str] = set()
        todo = [*self.needs[name]]
        while todo:
            one = todo.pop()
            if one not in found:
                found.add(one)
                todo += self.needs[one]
        return frozenset(found)

    def levels(self) -> tuple[tuple[str, ...], ...]:
        """Sources of one level need only those of the levels before. Errors: ConfigError explaining a cycle."""
        placed: set[str] = set()
        found = []
        while len(placed) < len(self.nodes):
            left = [node.name for node in self.nodes if node.name not in placed]
            level = tuple(name for name in left if self.needs[name] <= placed)
            if not level:
                raise _explain_cycle(self.find_cycle(frozenset(left)))
            found.append(level)
            placed.update(level)
        return tuple(found)

    def find_cycle(self, among: frozenset[str]) -> tuple[Edge, ...]:
        """Edges that lead from one of *among* back to it. Each of *among* must need another of them."""
        by_pair = {(edge.after, edge.before): edge for edge in self.edges}
        path = [min(among)]
        while True:
            here = path[-1]
            following = min(self.needs[here] & among)
            if following in path:
                ring = [*path[path.index(following) :], following]
                return tuple(by_pair[pair] for pair in pairwise(ring))
            path.append(following)


def make_graph(nodes: Sequence[Node]) -> Graph:
    """Errors: ConfigError if two sources have one name, or two build the same package."""
    makers: dict[str, str] = {}
    for node in nodes:
        for binary in node.binaries:
            other = makers.setdefault(binary.name, node.name)
            if other != node.name:
                raise ConfigError("", f"{other} and {node.name} both build {binary.name}", hint="build one of them")
    names = [node.name for node in nodes]
    for name in names:
        if names.count(name) > 1:
            raise ConfigError("", f"{name} is given twice", hint="a chain builds each source once")
    edges: dict[tuple[str, str], Edge] = {}
    for node in nodes:
        for edge in _edges_of(node, nodes):
            edges.setdefault((edge.after, edge.before), edge)
    return Graph(tuple(nodes), tuple(edges.values()))


def _edges_of(node: Node, nodes: Sequence[Node]) -> Iterator[Edge]:
    """Also through what the packages of other sources depend on: apt installs that too."""
    todo = [(clause, "") for clause in node.wants]
    seen: set[str] = set()
    while todo:
        clause, via = todo.pop(0)
        for maker, binary in find_makers(clause, nodes):
            if maker.name == node.name:
                continue  # the archive's own: a source cannot wait for itself
            yield Edge(node.name, maker.name, clause, via)
            if binary.name not in seen:
                seen.add(binary.name)
                todo += [(depended, binary.name) for depended in binary.depends]


def find_makers(clause: Clause, nodes: Sequence[Node]) -> Iterator[tuple[Node, Binary]]:
    """Sources of *nodes* with a package that meets *clause*."""
    for node in nodes:
        for binary in node.binaries:
            if any(_meets(wanted, node, binary) for wanted in clause.alternatives):
                yield node, binary


def _meets(wanted: Wanted, node: Node, binary: Binary) -> bool:
    if binary.name == wanted.name:
        return _fits(node.version, wanted)
    # an unversioned Provides meets only an unversioned clause: Policy 7.5
    return any(
        name == wanted.name and (_fits(version, wanted) if version else not wanted.relation)
        for name, version in binary.provides
    )


def _fits(version: str, wanted: Wanted) -> bool:
    order = compare_versions(version, wanted.version) if wanted.relation else 0
    fitting = {"": True, "=": order == 0, ">=": order >= 0, "<=": order <= 0, ">>": order > 0, "<<": order < 0}
    return fitting.get(wanted.relation, True)


def _explain_cycle(cycle: Sequence[Edge]) -> ConfigError:
    ring = " → ".join([*(edge.after for edge in cycle), cycle[-1].before])
    lines = "\n".join(f"  {edge}" for edge in cycle)
    profiles = sorted({word for edge in cycle for word in _avoiding_profiles(edge.clause.text)})
    hint = f"{cycle[-1].clause} closes it: build {cycle[-1].after} without the chain once, or use a build profile"
    if profiles:
        hint = f"the profile {profiles[0]} breaks it: -P {profiles[0]}"
    return ConfigError("", f"the sources need each other: {ring}\n{lines}", hint=hint)


def _avoiding_profiles(text: str) -> Iterator[str]:
    """Profiles that switch *text* off: `<!stage1>` and the like. Source: deb-src-control(5)."""
    formulas = [part.split(">")[0] for part in text.split("<")[1:] if ">" in part]
    if len(formulas) == 1:
        yield from (word[1:] for word in formulas[0].split() if word.startswith("!"))
