"""What keeps a build's files and a suite's packages, as words for people; "" where nothing does. Pure."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from debcore.hub.upkeep import Retention

DAY_MS = 86_400_000


@dataclass(frozen=True, kw_only=True)
class Rules:
    """*kept* at time *at* (milliseconds). `cutoff_event`: the last event before the days of superseded packages.

    `snapshots`: for each suite the events, sorted, as of which a snapshot that is kept sees it; `alive`: their names.
    """

    kept: Retention
    at: int
    cutoff_event: int = 0
    snapshots: Mapping[str, Sequence[int]] = field(default_factory=dict)
    alive: frozenset[str] = frozenset()

    def border(self, days: int) -> int:
        """Milliseconds: what ended before is too old."""
        return self.at - days * DAY_MS


@dataclass(frozen=True, kw_only=True)
class Membership:
    """A package was in `suite` from `created` on, and until `revoked` (events)."""

    suite: str
    created: int
    revoked: int | None


@dataclass(frozen=True, kw_only=True)
class Life:
    """A build as far as it matters here. `uses`: what keeps a package that it made, or ""."""

    id: int
    scratch: bool
    under_way: bool
    added: bool  #: a suite got what it made
    ended_at: int  #: milliseconds
    uses: str = ""


def why_package(rules: Rules, one: Membership) -> str:
    """What keeps a package because of one membership in a suite."""
    if one.revoked is None:
        return f"suite {one.suite}"
    if one.revoked > rules.cutoff_event:
        return f"history of suite {one.suite}"
    events = rules.snapshots.get(one.suite, ())
    first = bisect_left(events, one.created)
    if first < len(events) and events[first] < one.revoked:
        return f"snapshot at event {events[first]}"
    return ""


def why_build(rules: Rules, life: Life) -> str:
    """What keeps all that a build used and made."""
    if life.under_way:
        return "builds under way"
    if life.uses:
        return f"builds of packages in use ({life.uses})"
    if life.scratch:
        return "young scratch builds" if life.ended_at >= rules.border(rules.kept.scratch) else ""
    if not life.added and life.ended_at >= rules.border(rules.kept.failed):
        return "young builds that no suite got"
    return ""


def why_log(rules: Rules, life: Life) -> str:
    """What keeps a log when nothing keeps its build."""
    return "young logs" if life.ended_at >= rules.border(rules.kept.logs) else ""
