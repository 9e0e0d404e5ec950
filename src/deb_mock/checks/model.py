"""What a check is and what it finds, as values. A check never decides whether a build fails: the policy does."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, get_args

if TYPE_CHECKING:
    from deb_mock.checks.bed import Bed

#: From grave to harmless; `override` is what the maintainer has overridden, `not-run` what could not be tried here.
Level = Literal["error", "warning", "info", "pedantic", "experimental", "override", "not-run"]
LEVELS: tuple[Level, ...] = get_args(Level)


@dataclass(frozen=True)
class Finding:
    """One thing found. `tag` names its kind: waivers go by it."""

    level: Level
    tag: str
    subject: str  #: the package, test or file that it is about
    text: str = ""


@dataclass(frozen=True)
class Found:
    """All that one check found, and the version of the program that looked."""

    findings: tuple[Finding, ...] = ()
    tool: str = ""


class NotRun(Exception):
    """The check could not be made; the message says why. Never a pass. `tag` names the kind of reason."""

    def __init__(self, reason: str, *, tag: str = "not-run") -> None:
        super().__init__(reason)
        self.tag = tag


#: Tag of a check that has nothing to try.
NO_TESTS = "no-tests"


@dataclass(frozen=True)
class Check:
    """One check. `run` raises NotRun where there is nothing to check, or it cannot be checked here."""

    name: str
    text: str  #: what it shows, one sentence
    packages: tuple[str, ...]  #: installed in a layer of the target's own base
    run: Callable[[Bed], Found]
