"""The verb `check`: what a person is told while nothing happens."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import cast

import pytest

from deb_orchestrator.cli import check
from debcore.hub.check_client import CheckClient
from debcore.hub.checks import BuildCheck, CheckState
from debcore.hub.model import Build, BuildState, Reason


def build(state: CheckState) -> Build:
    order = BuildCheck(id=3, arch="amd64", job=1, state=state, created_at=datetime.now(UTC))
    return Build(
        id=7, source="x", version="1", target="t", suite="s", request=None, state=BuildState.INSTALLED,
        created_at=datetime.now(UTC), dsc_sha256="0" * 64, arches=(), checks=(order,),
    )  # fmt: skip


class Hub:
    """The order is queued for twelve looks, then passes."""

    looks = 0

    def build(self, _id: int) -> Build:
        self.looks += 1
        return build(CheckState.QUEUED if self.looks < 12 else CheckState.PASSED)

    def why(self, _id: int) -> list[Reason]:
        return [
            Reason(subject="build 7", fact="was asked for"),
            Reason(subject="check 2 amd64", fact="failed: another"),
            Reason(subject="check 3 amd64", fact="no approved agent can", next="start one"),
        ]


def test_it_says_once_what_is_waited_for(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(check, "POLL", 0)
    ended = check.follow(cast(CheckClient, Hub()), build(CheckState.QUEUED), {3}, quiet=False)
    assert ended.checks[0].state is CheckState.PASSED
    said = capsys.readouterr().err.splitlines()
    assert said == [
        "ordered; look again with: deb-orchestrator show 7",
        "check 3 amd64: no approved agent can; start one",
    ]
