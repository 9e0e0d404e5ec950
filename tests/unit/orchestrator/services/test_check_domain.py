"""The state of an order to check packages, and what of a builder's word is believed."""

from __future__ import annotations

from typing import Any

import pytest

from deb_orchestrator.domain.builds import Facts, find_state
from deb_orchestrator.domain.checks import find_check_state, find_contradiction
from deb_orchestrator.domain.jobs import Outcome, State
from debcore.hub.checks import CheckState
from debcore.hub.model import BuildState
from debcore.job import CheckReport, Result, Status


def report(name: str, outcome: Any = "passed", *, fatal: bool = False) -> CheckReport:
    return CheckReport(name=name, outcome=outcome, fatal=fatal)


GOOD = (report("lintian"), report("install", "not-run"))


@pytest.mark.parametrize(
    ("names", "reports", "words"),
    [
        (("lintian", "install"), GOOD, ""),
        ((), GOOD, ""),
        (("lintian", "blhc"), GOOD, "says nothing of blhc"),
        ((), (), "has checked nothing"),
        (("lintian",), (report("lintian", "failed", fatal=True),), "that all is well"),
        (("lintian",), (report("lintian", "not-run", fatal=True),), "that all is well"),
        (("lintian",), (report("lintian", "failed"),), "that all is well"),
    ],
)
def test_a_builders_word(names: tuple[str, ...], reports: tuple[CheckReport, ...], words: str) -> None:
    found = find_contradiction(names, Result(job="1", status=Status.BUILT, checks=reports))
    assert words in found if words else not found


def test_who_says_that_it_failed_needs_no_proof() -> None:
    assert not find_contradiction(("lintian",), Result(job="1", status=Status.FAILED))


@pytest.mark.parametrize(
    ("job", "outcome", "state"),
    [
        (State.BLOCKED, None, CheckState.QUEUED),
        (State.QUEUED, Outcome.HOST, CheckState.QUEUED),
        (State.RUNNING, None, CheckState.RUNNING),
        (State.SUCCEEDED, Outcome.SUCCEEDED, CheckState.PASSED),
        (State.FAILED, Outcome.FAILED, CheckState.FAILED),
        *((State.FAILED, outcome, CheckState.ERROR) for outcome in Outcome if outcome is not Outcome.FAILED),
        (State.CANCELLED, Outcome.CANCELLED, CheckState.CANCELLED),
    ],
)
def test_the_state_of_an_order(job: State, outcome: Outcome | None, state: CheckState) -> None:
    assert find_check_state(job, outcome) is state


@pytest.mark.parametrize(
    ("gate", "cancelled", "state"),
    [
        (CheckState.QUEUED, False, BuildState.BUILT),
        (CheckState.RUNNING, False, BuildState.BUILT),
        (CheckState.RUNNING, True, BuildState.CANCELLED),
        (CheckState.PASSED, False, BuildState.UPLOADED),
        (CheckState.FAILED, False, BuildState.FAILED),
        (CheckState.ERROR, False, BuildState.FAILED),
        (CheckState.CANCELLED, False, BuildState.FAILED),
        (CheckState.FAILED, True, BuildState.CANCELLED),
        (None, False, BuildState.UPLOADED),
    ],
)
def test_a_build_behind_a_gate(gate: CheckState | None, cancelled: bool, state: BuildState) -> None:
    assert find_state(Facts(imported=True, job=State.SUCCEEDED, gate=gate, cancelled=cancelled))[0] is state
