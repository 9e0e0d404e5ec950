"""What the hub's answers mean to a person."""

from __future__ import annotations

from datetime import UTC, datetime

from deb_bootc_compose.tasks.request import describe, explain
from debcore.errors import BuildFailed, DepsUnmet
from debcore.hub.model import Event, PackageFailure, Request, RequestState

NOW = datetime(2026, 11, 22, tzinfo=UTC)


def failed(*failures: PackageFailure) -> Request:
    return Request(
        id="a" * 64,
        target="t",
        suite="s",
        arches=("amd64",),
        state=RequestState.FAILED,
        failures=failures,
        created_at=NOW,
    )


def test_every_package_has_its_reason() -> None:
    error = explain(
        failed(
            PackageFailure(source="a", version="1", arch="amd64", build=7, status="failed", reason="main.c:1: error"),
            PackageFailure(source="b", version="2", status="deps", reason="needs nothing-like-it"),
        )
    )
    assert isinstance(error, BuildFailed)
    assert "a 1 on amd64: failed: main.c:1: error" in str(error)
    assert "b 2: deps: needs nothing-like-it" in str(error)
    assert "7" in error.hint


def test_unmet_dependencies_are_a_class_of_their_own() -> None:
    assert isinstance(explain(failed(PackageFailure(source="b", version="2", status="deps", reason="x"))), DepsUnmet)


def test_the_five_messages_are_told() -> None:
    event = Event(n=3, at=NOW, type="environment.ready", build=7, arch="amd64", attempt=1, superseded=True)
    assert list(describe(event)) == ["build 7 on amd64: its root stands (superseded)"]
    assert not list(describe(Event(n=4, at=NOW, type="suite.published")))
