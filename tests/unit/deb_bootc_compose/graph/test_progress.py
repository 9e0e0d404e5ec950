"""What runs now, and how long it will take: from journals of earlier composes to lines."""

from __future__ import annotations

import json
import logging
import time
from pathlib import Path

import pytest
from click.testing import CliRunner

from deb_bootc_compose.cli import group
from deb_bootc_compose.cli.progress import JsonProgress, Progress, State, TerminalProgress, words
from deb_bootc_compose.compose import Options, start_compose
from deb_bootc_compose.estimate import DEPTH, expect, load_past, past_durations, time_left
from deb_bootc_compose.graph import Node
from deb_bootc_compose.journal import Entry, Journal
from deb_bootc_compose.manifest import load_manifest
from tests.unit.deb_bootc_compose.report.world import KEY, make_compose

#: a ─┬─ b ─┬─ d
#:    └─ c ─┘
DIAMOND = [
    Node(id="a", kind="x"), Node(id="b", kind="x", needs=("a",)), Node(id="c", kind="x", needs=("a",)),
    Node(id="d", kind="x", needs=("b", "c")),
]  # fmt: skip
PAST = {"a": 10.0, "b": 20.0, "c": 5.0, "d": 1.0}


def finished(task: str, seconds: float) -> Entry:
    return Entry(1, "", "task.finished", {"task": task, "seconds": seconds})


def started(task: str) -> Entry:
    return Entry(1, "", "task.started", {"task": task})


def test_durations_are_the_median_by_task_and_by_kind() -> None:
    journals = [
        [finished("tree.a", 10), finished("lock", 1)],
        [finished("tree.a", 99), finished("tree.a", 20)],  # resumed: the last time counts
        [finished("tree.a", 30), finished("tree.b", 40)],
    ]
    past = past_durations(journals)
    assert past == {"tree.a": 20, "tree.b": 40, "tree": 25, "lock": 1}
    assert [expect(task, past) for task in ("tree.a", "tree.new", "lock", "boot.a")] == [20, 25, 1, None]


@pytest.mark.parametrize(
    ("done", "running", "jobs", "left"),
    [
        ((), {}, 2, 31), ((), {}, 1, 36), ((), {"a": 4.0}, 2, 27), (("a",), {"b": 19.0, "c": 1.0}, 2, 5),
        (("a", "b", "c"), {"d": 50.0}, 2, 0), (("a", "b", "c", "d"), {}, 2, None),
    ],
)  # fmt: skip
def test_time_left_is_that_of_the_longest_way(
    done: tuple[str, ...], running: dict[str, float], jobs: int, left: float | None
) -> None:
    assert time_left(DIAMOND, done=done, running=running, past=PAST, jobs=jobs) == left


def test_what_is_not_known_counts_nothing() -> None:
    assert time_left(DIAMOND, done=(), running={}, past={}, jobs=2) is None
    assert time_left(DIAMOND, done=(), running={}, past={"b": 3.0}, jobs=2) == 3
    cut = [Node(id="d", kind="x", needs=("gone",))]
    assert time_left(cut, done=(), running={}, past={"d": 3.0}, jobs=2) == 0


def test_the_past_is_read_from_the_newest_composes(tmp_path: Path) -> None:
    composes = [make_compose(tmp_path) for _ in range(DEPTH + 1)]
    target = composes[0].path.parent
    past = load_past(target, own=composes[-1].path)
    assert past[f"boot.{KEY}"] == 2.0
    assert past["boot"] == 2.0
    composes[1].journal_path.write_text("damaged\n")
    assert load_past(target, own=composes[-1].path)["lock"] == 2.0
    assert load_past(tmp_path / "nowhere", own=tmp_path) == {}


def test_the_last_line_says_what_runs() -> None:
    state = State(DIAMOND, PAST, 2)
    state.hear(started("a"), 0.0)
    assert state.line(2.0) == "0 of 4 tasks · about 29 s left · a (2 s)"
    state.hear(finished("a", 10), 10.0)
    state.hear(started("b"), 10.0)
    state.hear(started("c"), 10.0)
    state.said["b"] = "halfway"
    assert state.line(11.0) == "1 of 4 tasks · about 20 s left · b (1 s, halfway) · c (1 s)"
    resumed = State(DIAMOND, PAST, 2)
    resumed.hear(started("d"), 0.0)  # the others were done before
    assert resumed.line(0.0) == "3 of 4 tasks · about to end · d (0 s)"
    assert State(DIAMOND, {}, 2).line(0.0) == "0 of 4 tasks"


def test_times_are_coarse() -> None:
    assert [words(s) for s in (0.4, 59, 60, 3599, 3600, 7300)] == [
        "0 s",
        "59 s",
        "1 min",
        "60 min",
        "1 h 0 min",
        "2 h 1 min",
    ]


def test_a_terminal_keeps_its_lines_above_the_last_one() -> None:
    written: list[str] = []
    progress = TerminalProgress(write=written.append, width=lambda: 30)
    progress.begin(DIAMOND, past=PAST, jobs=2)
    progress.hear(started("a"))
    progress("a", "evil \x1b[2J\ntext that is longer than the line")
    end = time.monotonic() + 60
    while len(written) < 3 and time.monotonic() < end:  # drawn again by itself
        time.sleep(0.05)
    progress.close()
    progress.line("after")
    assert all("\x1b" not in piece.removeprefix("\r\x1b[K") for piece in written)
    first = next(piece for piece in written if "evil" in piece)
    line, _, last = first.rpartition("\n")
    assert line.startswith("\r\x1b[K00:0")
    assert last.startswith("0 of 4 tasks · about ")
    assert len(last) == 29
    assert sum(piece.endswith("s tasks") or "of 4 tasks" in piece for piece in written) >= 2
    assert written[-1].endswith("after\n")  # and no last line any more


def test_a_pipe_gets_a_line_for_each_event(capsys: pytest.CaptureFixture[str]) -> None:
    progress = Progress()
    progress.begin(DIAMOND, past=PAST, jobs=2)
    progress.hear(started("a"))
    progress("a", "working\x1b")
    assert capsys.readouterr().err == "00:00 a: working\\x1b\n"


def test_json_lines(capsys: pytest.CaptureFixture[str]) -> None:
    progress = JsonProgress()
    progress.begin(DIAMOND, past=PAST, jobs=2)
    progress.hear(Entry(1, "", "compose.started", {"id": "X", "pid": 4}))
    progress.hear(started("a"))
    progress("a", "work\n\x1b")
    progress.log(logging.makeLogRecord({"name": "deb_bootc_compose.graph", "msg": "a: started"}))
    progress.log(logging.makeLogRecord({"name": "deb_bootc_compose.x", "msg": "hm", "levelname": "WARNING"}))
    progress.hear(Entry(1, "", "task.failed", {"task": "a", "seconds": 1.0, "error": {"message": "no"}}))
    lines = [json.loads(line) for line in capsys.readouterr().err.splitlines()]
    assert [line["event"] for line in lines] == [
        "compose.started", "task.started", "task.progress", "log", "task.failed",
    ]  # fmt: skip
    assert lines[0] | {"id": "X", "done": 0, "total": 4, "running": [], "left": 31.0} == lines[0]
    assert lines[1] | {"task": "a", "running": ["a"]} == lines[1]
    assert lines[2]["text"] == "work\n\x1b"
    assert lines[3] | {"level": "warning", "text": "hm"} == lines[3]
    assert lines[4] | {"error": "no", "seconds": 1.0, "done": 1, "running": []} == lines[4]


def test_build_with_json_says_all_in_json(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    make_compose(tmp_path)  # an earlier one
    monkeypatch.setenv("DEBOOTC_STORE", str(tmp_path / "file"))
    (tmp_path / "file").write_text("")  # no store can be made there: the first task fails
    done = CliRunner().invoke(group, ["build", str(tmp_path), "--json"])
    assert done.stdout == ""
    lines = [json.loads(line) for line in done.stderr.splitlines()]
    events = [line["event"] for line in lines if line["event"] != "log"]
    assert events == ["compose.started", "task.started", "task.failed", "compose.ended"]
    start = next(line for line in lines if line["event"] == "task.started")
    assert start["left"] >= 8  # what the earlier one took: lock, tree, commit, image, boot and so on, 2 s each
    assert any("deb-bootc-compose resume" in line.get("text", "") for line in lines)
    assert logging.getLogger("deb_bootc_compose").propagate


def test_status_knows_the_time_left_of_a_compose_that_runs(tmp_path: Path) -> None:
    make_compose(tmp_path)  # an earlier one, 2 s each task
    compose = start_compose(load_manifest(tmp_path), tmp_path / "composes", Options())
    with compose.running():
        journal = Journal(compose.journal_path)
        journal.append("compose.started", id=compose.id, pid=1)
        journal.append("task.started", task="lock", identity="0")
        journal.append("compose.resumed", id=compose.id, pid=2)
        fresh = json.loads(CliRunner().invoke(group, ["status", str(compose.path), "--json"]).stdout)
        journal.append("task.started", task=f"boot.{KEY}", identity="0")
        journal.close()
        later = json.loads(CliRunner().invoke(group, ["status", str(compose.path), "--json"]).stdout)
        shown = CliRunner().invoke(group, ["status", str(compose.path)]).stdout
    assert fresh["left"] == 10.0  # lock, tree, commit, image, boot, one after the other
    assert 0 <= later["left"] < fresh["left"]
    assert " left, as earlier composes took" in shown
    ended = json.loads(CliRunner().invoke(group, ["status", str(compose.path), "--json"]).stdout)
    assert ended["left"] is None
