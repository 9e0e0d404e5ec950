"""The corpus of failures, built for real: exit status, stage, class and first real error of each.

With DEBOOTC_RECORD=1 the logs of the failed steps become the golden files of the unit tests.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from debcore.job import Status
from tests.failures.case import GOLDEN, Case
from tests.failures.corpus import CASES, cut_step

pytestmark = [pytest.mark.root, pytest.mark.slow, pytest.mark.timeout(900)]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_a_failure_is_told_as_it_is(case: Case, tool: Any, tmp_path: Path) -> None:
    source = case.write(tmp_path)
    built = tool.build(source, tmp_path / "out", *case.words)
    if os.environ.get("DEBOOTC_RECORD"):
        record(case, built)
    assert built.status == case.status.exit_status, built.said
    message = case.message
    if case.status is Status.LIMIT and built.result.failure.log_offset is None:
        message = "limit was hit" if case.logged else message  # a control group ended it before it could complain
    assert message in built.said
    if case.status is Status.INVALID:  # refused before there was anything to record
        return
    failure = built.result.failure
    assert (failure.stage, failure.kind) == (case.stage, case.kind), built.said
    assert message in failure.message
    if failure.log_offset is not None:
        data = (tmp_path / "out" / "build.log").read_bytes()
        assert failure.message.split(": ")[0][:40].encode() in data[failure.log_offset :][:400]
    assert bool(list((tmp_path / "out").glob("*.deb"))) == bool(case.check)


def record(case: Case, built: Any) -> None:
    GOLDEN.mkdir(exist_ok=True)
    if case.check:
        case.log.write_text((built.directory / f"{case.check}.log").read_text())
    elif case.logged and built.result.failure.log_offset is not None:
        case.log.write_text(cut_step(built.log))
