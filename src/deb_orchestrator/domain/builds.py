"""The state of a build in wanna-build's words: a pure function of facts and its job, so that nobody sets it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from deb_orchestrator.domain.jobs import Outcome, State
from debcore.hub.checks import CheckState
from debcore.hub.model import BuildState


@dataclass(frozen=True, kw_only=True)
class Facts:
    """What is known of one architecture of a build. `job` is None before its needs are installed."""

    cancelled: bool = False
    refused: str | None = None
    imported: bool = False
    scratch: bool = False  #: no suite will hold it
    live: bool = False  #: a published generation of the suite holds it
    unpublished: str | None = None  #: why the generation that would hold it is not published
    job: State | None = None
    outcome: Outcome | None = None
    reason: str = ""
    dep_wait: bool = False  #: a build dependency of it does not exist, and that is all
    gate: CheckState | None = None  #: of the checks that keep it out of the suite, until it is there
    gate_reason: str = ""
    needs: tuple[tuple[int, str], ...] = ()  #: builds that are not installed yet, and their source's name


def find_state(facts: Facts) -> tuple[BuildState, str]:
    """The state and, where there is one, the reason in words."""
    if facts.refused is not None:
        return BuildState.FAILED, f"refused by the hub: {facts.refused}"
    if facts.imported and facts.gate not in (None, CheckState.PASSED):
        return _of_gate(facts)
    if facts.imported and facts.scratch:
        return BuildState.KEPT, "a scratch build: its files are here, and in no suite"
    if facts.imported and facts.live:
        return BuildState.INSTALLED, ""
    if facts.imported and facts.unpublished is not None:
        return BuildState.BUILD_ATTEMPTED, f"built, but the suite is not published: {facts.unpublished}"
    if facts.imported:
        return BuildState.UPLOADED, "waits for the next publication"
    if facts.cancelled or facts.job == State.CANCELLED:
        return BuildState.CANCELLED, facts.reason
    if facts.job is None:
        names = ", ".join(f"build {number} ({name})" for number, name in facts.needs)
        return BuildState.DEP_WAIT, f"waits for {names}" if names else "waits to be started"
    return _of_job(facts.job, facts)


def _of_gate(facts: Facts) -> tuple[BuildState, str]:
    if facts.cancelled:
        return BuildState.CANCELLED, facts.reason
    if facts.gate in (CheckState.QUEUED, CheckState.RUNNING):
        return BuildState.BUILT, f"the checks of its target are {facts.gate}"
    said = f": {facts.gate_reason}" if facts.gate_reason else ""
    return BuildState.FAILED, f"built, but kept out by the checks of its target ({facts.gate}){said}"


def _of_job(job: State, facts: Facts) -> tuple[BuildState, str]:
    if job == State.BLOCKED and facts.outcome != Outcome.DEPS:
        return BuildState.NEEDS_BUILD, "waits for the solver, which says whether its dependencies can be met"
    if job == State.BLOCKED:
        state = BuildState.DEP_WAIT if facts.dep_wait else BuildState.BD_UNINSTALLABLE
        return state, facts.reason or "its dependencies cannot be met"
    if job == State.FAILED:
        return _of_failure(facts)
    return _WORDS[job], ""


_WORDS = {
    State.QUEUED: BuildState.NEEDS_BUILD,
    State.RUNNING: BuildState.BUILDING,
    State.SUCCEEDED: BuildState.BUILT,
}


def _of_failure(facts: Facts) -> tuple[BuildState, str]:
    if facts.outcome == Outcome.DEPS:
        return BuildState.BD_UNINSTALLABLE, facts.reason
    if facts.outcome in (Outcome.FAILED, Outcome.INVALID):
        return BuildState.FAILED, facts.reason
    return BuildState.BUILD_ATTEMPTED, facts.reason


#: From the furthest behind to the furthest on: a build is where its slowest architecture is; failures show first.
_ORDER = (
    BuildState.FAILED, BuildState.BUILD_ATTEMPTED, BuildState.CANCELLED, BuildState.BD_UNINSTALLABLE,
    BuildState.DEP_WAIT, BuildState.NEEDS_BUILD, BuildState.BUILDING, BuildState.BUILT, BuildState.UPLOADED,
    BuildState.KEPT, BuildState.INSTALLED,
)  # fmt: skip


def find_whole(states: Iterable[BuildState]) -> BuildState:
    """The state of a build from those of its architectures."""
    return min(states, key=_ORDER.index, default=BuildState.INSTALLED)
