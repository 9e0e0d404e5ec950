"""Wire models of suites: what they inherit, which packages they take, what they held and hold."""

from __future__ import annotations

import re
from datetime import datetime
from typing import Annotated, Literal

from pydantic import Field, StringConstraints, field_validator

from debcore.hub.model import Arch, Name, SourceName, Version
from debcore.job.model import AptSource, Wire

Component = Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9+.-]{0,31}$")]
#: A source, or `*` for all that no other rule names.
RuleSource = Annotated[str, StringConstraints(pattern=r"^(\*|[a-z0-9][a-z0-9+.-]+)$", max_length=128)]
_WORD = re.compile(r"[!-~]{1,500}")


class SuiteAsk(Wire):
    """A suite to make. `parents`: the suites that it inherits from, the first is asked first."""

    arches: tuple[Arch, ...] = Field(default=("amd64",), min_length=1, max_length=32)
    components: tuple[Component, ...] = Field(default=("main",), min_length=1, max_length=16)
    parents: tuple[Name, ...] = Field(default=(), max_length=32)
    valid_s: int | None = Field(default=None, ge=3600)  #: seconds that apt accepts a publication


class Archive(Wire):
    """An outside archive below a suite, as the roots of its builds have it. No sources: none is known."""

    sources: tuple[AptSource, ...] = Field(default=(), max_length=32)

    @field_validator("sources")
    @classmethod
    def _check(cls, sources: tuple[AptSource, ...]) -> tuple[AptSource, ...]:
        """The hub's own files are none of a client's business, and no line breaks reach apt's configuration."""
        for source in sources:
            for word in (*source.uris, *source.suites, *source.components, *source.architectures, *source.types):
                if not _WORD.fullmatch(word):
                    raise ValueError(f"{word[:100]!r} cannot stand in an apt source")
            if any(not uri.startswith(("http://", "https://")) for uri in source.uris):
                raise ValueError("an archive is read by http or https")
            if source.signed_by is None and not source.trusted:
                raise ValueError("an archive has a key: signed_by")
        return sources


class ParentsAsk(Wire):
    parents: tuple[Name, ...] = Field(max_length=32)


class Inheritance(Wire):
    """`order`: the suite, then all that it inherits from, as they are asked for a package."""

    suite: str
    parents: tuple[str, ...]
    order: tuple[str, ...]


class RuleAsk(Wire):
    state: Literal["allowed", "blocked"]
    owner: Annotated[str, StringConstraints(max_length=128)] = ""


class Rule(Wire):
    """One line of a package list; `suite` is the one that says so."""

    source: RuleSource
    state: Literal["allowed", "blocked"]
    owner: str = ""
    suite: str = ""


class Held(Wire):
    """A package that a suite sees, and the suite of the order that gives it. `arch` "source" is a source package."""

    name: str
    version: str
    arch: str
    source: str
    suite: str


class SuiteContent(Wire):
    """A page of what a suite sees as of `event`. The next one is asked for with `after`; `next` is its offset, for
    hubs and clients that know nothing better."""

    suite: str
    event: int
    packages: tuple[Held, ...]
    next: int | None = None
    after: str | None = None


class Moved(Wire):
    """A package whose version differs: "" where it is not there."""

    name: str
    arch: str
    old: str = ""
    new: str = ""


class SuiteDiff(Wire):
    """What changed for those who use the suite, from event `old` to event `new`."""

    suite: str
    old: int
    new: int
    packages: tuple[Moved, ...] = ()
    order_before: tuple[str, ...] = ()
    order_after: tuple[str, ...] = ()


class SuiteChange(Wire):
    """One event of a suite's own history."""

    event: int
    at: datetime
    type: str
    build: int | None = None
    packages: tuple[Moved, ...] = ()
    parents: tuple[str, ...] | None = None  #: those from then on, if they changed
    rules: tuple[Rule, ...] = ()  #: that came
    more: int = 0  #: packages that are left out, at least


class PackageAsk(Wire):
    """A source version with all its binaries, known to the hub already; `version` null: the one that `suite` sees."""

    source: SourceName
    version: Version | None = None
    suite: Name | None = None


class Rebuild(Wire):
    source: str
    version: str
    binnmu: int  #: N of +bN


class RebuildPlan(Wire):
    """What build-depends on a package of `of`: each level is built when the one before it is in the suite.

    `by_hand`: sources that make packages for all architectures only; they need a new version.
    """

    of: tuple[str, ...]
    levels: tuple[tuple[Rebuild, ...], ...] = ()
    by_hand: tuple[str, ...] = ()


class MergeAsk(Wire):
    """The suite whose own packages are taken."""

    suite: Name


class RevertAsk(Wire):
    event: int = Field(ge=0)
