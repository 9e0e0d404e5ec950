"""What a build waits for whose dependencies cannot be met: exactly what the proof of that names. Pure.

A missing clause is met by a package of that name, or one that provides it, in the version asked for. Besides, any other
version of a package of the proof may end the matter: the ones that conflict, and those of the chain that leads there.
"""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

from debcore.job import Unmet
from debcore.version import version_key

#: What dose3 calls the build dependencies themselves.
BUILD_DEPENDENCIES = "build-dependencies"
_ALTERNATIVE = re.compile(
    r"\s*(?P<name>[a-z0-9][a-z0-9+.-]+)(?::[a-z0-9-]+)?\s*(?:\(\s*(?P<op><<|<=|=|>=|>>|<|>)\s*(?P<version>[^\s()]+)\s*\))?\s*"
)
_COMPARE: dict[str, Callable[[bytes, bytes], bool]] = {
    "<<": operator.lt, "<=": operator.le, "=": operator.eq, ">=": operator.ge, ">>": operator.gt, "<": operator.le,
    ">": operator.ge,
}  # fmt: skip
#: Waits that one build may have; a proof that names more is waited for as a whole.
MOST = 200


@dataclass(frozen=True, order=True)
class Wait:
    """A package that comes, or changes. `op` and `version` as in a relation, "" for any."""

    name: str
    op: str = ""
    version: str = ""

    def __str__(self) -> str:
        return f"{self.name} ({self.op} {self.version})" if self.op else self.name


def find_waits(unmet: Iterable[Unmet]) -> tuple[Wait, ...]:
    """What may end the matter; () if the proof names nothing, or too much."""
    waits = {wait for one in unmet for wait in _waits_of(one)}
    return tuple(sorted(waits)) if len(waits) <= MOST else ()


def _waits_of(one: Unmet) -> Iterator[Wait]:
    if one.kind == "missing":
        yield from parse_clause(one.clause)
    for package in (one.package, one.other, *(step.package for step in (*one.chain, *one.other_chain))):
        name = package.split(" ")[0]
        if name and name != BUILD_DEPENDENCIES:
            yield from parse_clause(name)


def parse_clause(clause: str) -> Iterator[Wait]:
    """The alternatives of a clause; what cannot be read is left out."""
    for part in clause.split("|"):
        if match := _ALTERNATIVE.fullmatch(part):
            yield Wait(match["name"], match["op"] or "", match["version"] or "")


def is_dep_wait(unmet: Sequence[Unmet]) -> bool:
    """True if all that is wrong is a build dependency that does not exist (yet): wanna-build's dep-wait."""
    return bool(unmet) and all(one.kind == "missing" and one.package == BUILD_DEPENDENCIES for one in unmet)


def is_met(wait: Wait, version: str | None) -> bool:
    """Whether a package of that name, or what provides it, in *version* will do; None: provided without a version."""
    if not wait.op:
        return True
    if version is None:
        return False  # Policy 7.5: an unversioned Provides meets no versioned relation
    return _COMPARE[wait.op](version_key(version), version_key(wait.version))


def parse_provides(text: str) -> Iterator[tuple[str, str | None]]:
    """Names and versions of a Provides field. Policy 7.5."""
    for part in text.split(","):
        if match := _ALTERNATIVE.fullmatch(part):
            yield match["name"], match["version"]
