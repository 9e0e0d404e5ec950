"""The Python API on real builds: results, events as they happen, cancellation, several at once."""

from __future__ import annotations

import os
import re
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from deb_mock.api import Cancel, Event, Failure, Order, Status, Store, plan_build, run_build, start_build
from debcore.command import run
from tests.integration.deb_mock.conftest import REPOSITORY, Tool, left_by, processes, unique_sleep
from tests.integration.deb_mock.test_mock_stop import check_nothing_left, mentioned, running, wait_for

pytestmark = [pytest.mark.root, pytest.mark.timeout(300)]

SLEEP = unique_sleep()


@pytest.fixture
def plan(native: Callable[..., Path], tmp_path: Path) -> Callable[..., Order]:
    """The order for a tiny package with this `build` command."""

    def make(build: str = "true", *, name: str = "tiny") -> Order:
        tree = native(build=build, name=name)
        return plan_build(tree, settings={"archive.max_age": "1h"}, resultdir=tmp_path / f"out-{name}")

    return make


@pytest.fixture
def store(tool: Tool) -> Iterator[Store]:
    """The test store, from a caller with a private umask."""
    before = os.umask(0o077)
    yield Store.open(tool.store)
    os.umask(before)


def test_a_build_gives_its_result_events_and_output(plan: Callable[..., Order], store: Store) -> None:
    order, events, output = plan("echo built-here"), list[Event](), list[bytes]()
    result = run_build(order, store=store, on_event=events.append, on_output=output.append)
    assert result.status is Status.BUILT, result.failure
    assert (order.directory / "tiny_1.0_all.deb").is_file()
    assert [event.n for event in events] == list(range(1, len(events) + 1))
    assert [e.type for e in events if "stage" not in e.type] == ["progress", "environment.ready", "build.complete"]
    assert b"".join(output) == (order.directory / "build.log").read_bytes()


def test_a_failed_build_is_a_result_and_no_exception(plan: Callable[..., Order], store: Store) -> None:
    result = run_build(plan("echo 'x.c:1:1: error: no such thing' >&2; false"), store=store)
    assert result.status is Status.FAILED
    assert result.failure is not None
    assert result.failure.kind == "compile"


@pytest.mark.parametrize("stage", ["source", "root", "resolve", "pack", "build"])
def test_a_cancelled_build_leaves_nothing(plan: Callable[..., Order], store: Store, stage: str) -> None:
    before, order = processes(), plan(SLEEP)
    token = Cancel()

    def listen(event: Event) -> None:
        if event.type == "stage.started" and event.data["stage"] == stage:
            threading.Timer(0.05, token.set).start()

    result = run_build(order, store=store, on_event=listen, cancel=token)
    assert result.status is Status.CANCELLED
    assert result.outputs == ()
    assert result.failure is not None
    assert result.failure.message == "stopped by the caller"
    assert not order.directory.exists()
    wait_for(lambda: left_by(before, SLEEP) == [])
    check_nothing_left(store.path)


def test_builds_go_on_beside_the_caller_and_leaving_the_block_cancels(plan: Callable[..., Order], store: Store) -> None:
    long, short = plan(SLEEP, name="long"), plan(name="short")
    with start_build(long, store=store) as first, start_build(short, store=store) as second:
        seen = [event.type for event in second.events()]
        assert seen[-1] == "build.complete"
        assert second.result().status is Status.BUILT
        wait_for(lambda: running(SLEEP))
        with pytest.raises(TimeoutError):
            first.result(timeout=0.1)
        assert not first.done
    assert first.result().status is Status.CANCELLED
    assert [event.type for event in first.events()][-1] == "build.complete"
    wait_for(lambda: not mentioned(SLEEP))
    check_nothing_left(store.path)


def test_a_listener_that_raises_ends_the_build(plan: Callable[..., Order], store: Store) -> None:
    def listen(event: Event) -> None:
        raise KeyError(event.type)

    order = plan()
    with pytest.raises(KeyError):
        run_build(order, store=store, on_event=listen)
    assert not order.directory.exists()


def test_what_the_caller_got_wrong_raises(tmp_path: Path) -> None:
    with pytest.raises(Failure, match="neither a"):
        plan_build("no/such/thing")
    with pytest.raises(Failure, match="unknown key"):
        plan_build("hostname", settings={"build.profile": ["nocheck"]})


@pytest.mark.parametrize(
    ("build", "status", "says"), [("true", 0, "built: tiny_1.0_all.deb"), ("false", 4, "failed: ")]
)
def test_the_program_of_the_how_to_works(
    native: Callable[..., Path], tool: Tool, tmp_path: Path, build: str, status: int, says: str
) -> None:
    page = (REPOSITORY / "docs" / "howto" / "deb-mock-from-python.md").read_text()
    program = tmp_path / "program.py"
    program.write_text(re.findall(r"```python\n(.*?)```", page, re.DOTALL)[0])
    done = run(
        [sys.executable, program, native(build=build), tmp_path / "out"],
        env=tool.environment({"PYTHONPATH": str(REPOSITORY / "src")}), check=False,
    )  # fmt: skip
    assert done.status == status, done.stderr
    assert "now: resolve" in done.text
    assert says in done.text
