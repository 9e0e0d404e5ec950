"""The verb `check`: what a person is told while nothing happens."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import cast

import pytest
from click.testing import CliRunner

from deb_orchestrator.cli import check, group
from deb_orchestrator.cli.build import check_builds
from debcore.hub.check_client import CheckClient
from debcore.hub.checks import BuildCheck, CheckAsk, CheckState
from debcore.hub.model import Build, BuildState, Reason, Request, RequestState


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


class Ordering(Hub):
    """Takes an order for each build; the one of build 8 fails."""

    def __init__(self) -> None:
        self.asked: list[tuple[int, CheckAsk]] = []

    def order_checks(self, id_: int, ask: CheckAsk) -> Build:
        self.asked.append((id_, ask))
        return self.build(id_)

    def build(self, id_: int) -> Build:
        state = CheckState.FAILED if id_ == 8 else CheckState.PASSED
        ordered = any(number == id_ for number, _ in self.asked)
        return build(state).model_copy(update={"id": id_} | ({} if ordered else {"checks": ()}))


def test_what_was_built_is_checked_and_the_worst_counts(capsys: pytest.CaptureFixture[str]) -> None:
    hub, ask = Ordering(), CheckAsk(names=("lintian",))
    request = Request(
        id="0" * 64, target="t", suite="s", arches=("amd64",), state=RequestState.READY, builds=(7, 8),
        created_at=datetime.now(UTC),
    )  # fmt: skip
    ended = check_builds(cast(CheckClient, hub), request, ask, quiet=False)
    assert hub.asked == [(7, ask), (8, ask)], "all are ordered before one is waited for"
    assert check.find_status(ended) == 4
    assert "check 3 amd64: failed" in capsys.readouterr().out


@pytest.mark.parametrize("words", [("--fail-on", "warning"), ("--checks", "lintian", "--nowait")])
def test_checks_that_would_not_be_made_are_refused(words: tuple[str, ...], tmp_path: Path) -> None:
    dsc = tmp_path / "x.dsc"
    dsc.touch()
    shown = CliRunner().invoke(group, ["build", "--hub", "http://localhost:1", str(dsc), *words])
    assert (shown.exit_code, "checks" in shown.output) == (2, True), shown.output
