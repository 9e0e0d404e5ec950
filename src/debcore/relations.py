"""Relations of source packages: which build dependencies hold for a build, the same for apt, dose3, builder and hub."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence

from debian.deb822 import PkgRelation

from debcore.errors import ConfigError

#: A package's name in a relation, with room for what old packages are called.
PACKAGE = re.compile(r"[A-Za-z0-9][A-Za-z0-9+.-]*")
#: Relation operators as python-debian names its parts.
Relation = Mapping[str, object]


def is_for(architectures: Iterable[str], arch: str) -> bool:
    """Whether architecture-dependent packages are built on *arch* (Linux only). Source: deb-src-control(5)."""
    wildcards = {"any", "linux-any", f"any-{arch}", f"linux-{arch}", arch}
    return any(word in wildcards for word in architectures)


def reduce_build_depends(
    fields: Mapping[str, str], *, any: bool, all: bool, arch: str, profiles: Sequence[str] = ()
) -> tuple[str, str]:
    """Build dependencies and conflicts, as two fields without restrictions, of a build on and for *arch*.

    *any*, *all*: packages that depend on the architecture are made, and those that do not. Names of *fields* as in a
    .dsc or a Sources index.

    Architecture and profile restrictions are evaluated; alternatives stay, and apt takes the first that can be had,
    as Debian's builders do. `clean` needs Build-Depends alone. Source: Policy 7.7, deb-src-control(5).
    Errors: ConfigError on a relation that cannot be read.
    """
    suffixes = ["", *(["-Arch"] if any else []), *(["-Indep"] if all else [])]
    depends = [fields.get(f"Build-Depends{suffix}", "") for suffix in suffixes]
    conflicts = [fields.get(f"Build-Conflicts{suffix}", "") for suffix in suffixes]
    return tuple(_reduce(texts, arch=arch, profiles=profiles) for texts in (depends, conflicts))  # type: ignore[return-value]


def _reduce(texts: Sequence[str], *, arch: str, profiles: Sequence[str]) -> str:
    kept: list[str] = []
    for text in texts:
        for _, usable in holding_clauses(text, arch=arch, profiles=profiles):
            clause = " | ".join(format_relation(relation) for relation in usable)
            if clause not in kept:
                kept.append(clause)
    return ", ".join(kept)


def holding_clauses(text: str, *, arch: str, profiles: Sequence[str]) -> Iterator[tuple[str, list[Relation]]]:
    """Each clause of a relation field that holds: as it is written, and its alternatives that can be used.

    Errors: ConfigError on a relation that cannot be read.
    """
    for written in text.split(","):
        for alternatives in PkgRelation.parse_relations(written) if written.strip() else []:
            for relation in alternatives:
                if not PACKAGE.fullmatch(str(relation["name"])):  # python-debian gives what it cannot read as a name
                    hint = "write relations as in deb-src-control(5), such as: debhelper-compat (= 13), gcc [amd64]"
                    raise ConfigError("build dependencies", f"{relation['name']!r} cannot be read", hint=hint)
            usable: list[Relation] = [
                relation for relation in alternatives if _holds(relation, arch=arch, profiles=profiles)
            ]
            if usable:
                yield " ".join(written.split()), usable


def _holds(relation: Relation, *, arch: str, profiles: Sequence[str]) -> bool:
    archs = relation.get("arch")
    if isinstance(archs, list):
        named = [str(a.arch) for a in archs]
        negated = not archs[0].enabled
        if is_for(named, arch) == negated:
            return False
    formulas = relation.get("restrictions")
    if isinstance(formulas, list):
        return any(all((term.profile in profiles) == term.enabled for term in formula) for formula in formulas)
    return True


def format_relation(relation: Relation) -> str:
    """The relation without its restrictions."""
    text = str(relation["name"])
    if relation.get("archqual"):
        text += f":{relation['archqual']}"
    version = relation.get("version")
    if isinstance(version, tuple):
        text += f" ({version[0]} {version[1]})"
    return text
