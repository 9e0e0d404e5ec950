"""Which packages of a source are built: sbuild's truth table, and the build dependencies that follow from it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from debcore.errors import ConfigError
from debcore.relations import is_for, reduce_build_depends


@dataclass(frozen=True)
class Parts:
    """What to make. Source: sbuild(1) --arch-any --arch-all --source; dpkg-buildpackage(1) --build."""

    any: bool
    all: bool
    source: bool

    @property
    def flag(self) -> str:
        """dpkg-buildpackage's option."""
        table = {
            (True, True, True): "-F",
            (True, True, False): "-b",
            (True, False, True): "-G",
            (True, False, False): "-B",
            (False, True, True): "-g",
            (False, True, False): "-A",
            (False, False, True): "-S",
        }
        return table[self.any, self.all, self.source]

    @property
    def word(self) -> str:
        """sbuild's Build Type: the words of dpkg-buildpackage --build."""
        if self.any and self.all:
            return "full" if self.source else "binary"
        return ",".join(word for word, on in (("source", self.source), ("any", self.any), ("all", self.all)) if on)


TYPES: Mapping[str, Parts] = {
    "full": Parts(any=True, all=True, source=True),
    "binary": Parts(any=True, all=True, source=False),
    "any": Parts(any=True, all=False, source=False),
    "all": Parts(any=False, all=True, source=False),
    "source,any": Parts(any=True, all=False, source=True),
    "source,all": Parts(any=False, all=True, source=True),
    "source": Parts(any=False, all=False, source=True),
}


def find_type(*, any: bool, all: bool, source: bool) -> str | None:
    """The type with exactly these parts; None if nothing is left to build."""
    return next((name for name, parts in TYPES.items() if parts == Parts(any=any, all=all, source=source)), None)


def binary_only_type(type_: str) -> str:
    """*type_* for a binNMU: packages for all architectures are the same everywhere, so they get a source version."""
    return "any" if TYPES[type_].any else type_


class NothingToBuild(ConfigError):
    """The source has no package for this architecture; sbuild calls it skipped."""


def choose_parts(type_: str, *, architectures: Sequence[str], arch: str, name: str) -> Parts:
    """The parts of *type_* if the source has at least one of them for *arch*.

    Errors: ConfigError if there would be nothing to build.
    """
    parts = TYPES[type_]
    for_any, for_all = is_for(architectures, arch), "all" in architectures
    if parts.source or (parts.any and for_any) or (parts.all and for_all):
        return parts
    has = "packages for all architectures only" if for_all else f"packages for {' '.join(architectures)} only"
    hint = "build them with --build=all" if for_all else "choose a preset of such an architecture with -r"
    raise NothingToBuild(name, f"nothing to build for {arch} with --build={type_}: it has {has}", hint=hint)


def reduce_for_parts(
    fields: Mapping[str, str], parts: Parts, *, arch: str, profiles: Sequence[str] = ()
) -> tuple[str, str]:
    """Build dependencies and conflicts that hold for *parts*. Errors: ConfigError on a relation that cannot be read."""
    return reduce_build_depends(fields, any=parts.any, all=parts.all, arch=arch, profiles=profiles)


def add_relations(fields: Mapping[str, str], more: Mapping[str, str]) -> dict[str, str]:
    """*fields* of a control file with the relations of *more* appended to those of the same name."""
    joined = {
        name: ", ".join(text for text in (fields.get(name, "").strip(" ,\n"), more[name]) if text) for name in more
    }
    return {**fields, **joined}
