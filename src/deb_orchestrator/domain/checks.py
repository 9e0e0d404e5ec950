"""What became of an order to check packages: pure functions of its job and of what the builder says."""

from __future__ import annotations

from collections.abc import Sequence

from deb_orchestrator.domain.jobs import Outcome, State
from debcore.hub.checks import CheckState
from debcore.job import Result, Status

_ENDS = {State.SUCCEEDED: CheckState.PASSED, State.CANCELLED: CheckState.CANCELLED, State.RUNNING: CheckState.RUNNING}


def find_check_state(job: State, outcome: Outcome | None) -> CheckState:
    """The state of an order whose job is *job*; *outcome* is the job's."""
    if job is State.FAILED:
        return CheckState.FAILED if outcome is Outcome.FAILED else CheckState.ERROR
    return _ENDS.get(job, CheckState.QUEUED)


def find_contradiction(names: Sequence[str], result: Result) -> str:
    """Why a result that says that all is well cannot be believed, or "". *names*: what was ordered; (): anything."""
    if result.status is not Status.BUILT:
        return ""
    seen = {report.name for report in result.checks}
    if missing := [name for name in names if name not in seen]:
        return f"the builder says nothing of {', '.join(missing)}"
    if not seen:
        return "the builder has checked nothing"
    fatal = [report.name for report in result.checks if report.fatal or report.outcome == "failed"]
    return f"the builder says that {fatal[0]} failed, and that all is well" if fatal else ""
