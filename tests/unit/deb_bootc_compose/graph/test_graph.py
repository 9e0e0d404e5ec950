"""Identities, the journal, compose ids: what the graph rests on, without processes."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, cast

import pytest

from deb_bootc_compose.directory import make_compose_directory
from deb_bootc_compose.graph import Graph, Node, check_graph, identify
from deb_bootc_compose.journal import Journal, JournalDamaged, read_journal, read_results
from deb_bootc_compose.manifest.model import Compose, Release
from deb_bootc_compose.runner import Ended, Runner
from debcore.errors import Failure

NOW = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)
COMPOSE = Compose(
    schema_="deb-bootc-compose/1", suite="trixie", release=Release(name="Example", short="Example", version="13")
)


def test_a_torn_line_of_the_journal_is_cut(tmp_path: Path) -> None:
    path = tmp_path / "journal.jsonl"
    journal = Journal(path)
    journal.append("compose.started")
    journal.close()
    with path.open("ab") as file:
        file.write(b'{"n": 2, "ty')
    journal = Journal(path)
    journal.append("compose.resumed")
    journal.close()
    assert [entry.type for entry in read_journal(path)] == ["compose.started", "compose.resumed"]


def test_a_damaged_journal_is_said(tmp_path: Path) -> None:
    path = tmp_path / "journal.jsonl"
    path.write_text('{"n": 1, "at": "", "type": "x"}\n{"n": 3, "at": "", "type": "x"}\n')
    with pytest.raises(Failure, match="entry 3 where 2 was due"):
        list(read_journal(path))


def make_line(type_: str, **data: object) -> bytes:
    return json.dumps({"n": 1, "at": "", "type": type_, **data}).encode()


@pytest.mark.parametrize(
    "line",
    [
        b"[1]",
        b"3",
        b"null",
        b"\xff",
        b"{}",
        b'{"n": 1, "at": "", "type": ["x"]}',
        make_line("task.started", tasj="a", identity="0"),
        make_line("task.finished", task="a", identity="0", seconds=1, files=[], result=1),
        make_line("task.finished", task="a", identity="0", seconds=1, files=[], result={}),
        make_line("task.failed", task="a", identity="0", seconds="1", error={}),
    ],
)
def test_a_line_that_lacks_what_readers_need_is_damaged(tmp_path: Path, line: bytes) -> None:
    path = tmp_path / "journal.jsonl"
    path.write_bytes(line + b"\n")
    with pytest.raises(JournalDamaged, match="line 1 is damaged") as caught:
        read_results(path)
    assert "make a new one" in caught.value.hint


def test_a_graph_of_ours_that_is_wrong_is_a_bug() -> None:
    a = Node(id="a", kind="toy", needs=("b",))
    with pytest.raises(ValueError, match="no task"):
        check_graph([a])
    with pytest.raises(ValueError, match="cycle"):
        check_graph([a, Node(id="b", kind="toy", needs=("a",))])


def test_an_identity_is_of_the_inputs_alone() -> None:
    node = Node(id="a", kind="toy", params={"x": 1}, context={"path": "/here"})
    elsewhere = Node(id="b", kind="toy", params={"x": 1}, context={"path": "/there"})
    assert identify(node, {}) == identify(elsewhere, {})
    assert identify(node, {}) != identify(node, {"y": {"value": {}}})
    assert identify(node, {}) != identify(Node(id="a", kind="toy", version=2, params={"x": 1}), {})


def test_ids_follow_pungis_grammar_and_never_collide(tmp_path: Path) -> None:
    ids = [make_compose_directory(tmp_path, COMPOSE, now=NOW).id for _ in range(3)]
    assert ids == [f"Example-13-20261122.n.{respin}" for respin in range(3)]


def test_a_target_that_cannot_be_written_is_said(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(Failure, match="no compose directory can be made"):
        make_compose_directory(tmp_path / "file", COMPOSE, now=NOW)


class InstantRunner:
    """Each task ends at once; those in *failing* fail. `told` is what each was given."""

    def __init__(self, *failing: str) -> None:
        self.failing, self.told, self.ended = failing, dict[str, Any](), list[Ended]()

    def start(self, name: str, document: dict[str, Any]) -> None:
        self.told[name] = document
        error = {"message": "it broke", "status": 4} if name in self.failing else {}
        self.ended.append(Ended(name, None if error else {"value": {"of": name}}, error, Path("log")))

    def wait(self) -> list[Ended]:
        ended, self.ended = self.ended, []
        return ended


PARTS = [
    Node(id="lock", kind="toy"),
    *(
        Node(id=f"{kind}.{arch}", kind="toy", needs=needs, part=arch, optional=arch == "arm64")
        for arch in ("amd64", "arm64")
        for kind, needs in (("tree", ("lock",)), ("commit", (f"tree.{arch}",)), ("boot", (f"commit.{arch}",)))
    ),
    Node(
        id="publish", kind="toy", gathers=True,
        needs=("lock", *(f"{kind}.{arch}" for arch in ("amd64", "arm64") for kind in ("tree", "commit", "boot"))),
    ),
]  # fmt: skip


def run_parts(place: Path, *failing: str) -> tuple[Graph, InstantRunner]:
    journal, runner = Journal(place / "journal.jsonl"), InstantRunner(*failing)
    graph = Graph(PARTS, root=place, journal=journal, runner=cast(Runner, runner))
    try:
        graph.run()
    finally:
        journal.close()
    return graph, runner


@pytest.mark.parametrize("failing", ["tree.arm64", "boot.arm64"])
def test_what_gathers_sees_only_the_parts_that_are_whole(failing: str, tmp_path: Path) -> None:
    graph, runner = run_parts(tmp_path, failing)
    assert set(runner.told["publish"]["inputs"]) == {"lock", "tree.amd64", "commit.amd64", "boot.amd64"}
    assert graph.outcomes["publish"].result is not None
    assert graph.outcomes["boot.arm64"].result is None
    assert "boot.arm64" not in runner.told or failing == "boot.arm64"


def test_what_may_not_fail_ends_all(tmp_path: Path) -> None:
    with pytest.raises(Failure, match=r"boot\.amd64: it broke"):
        run_parts(tmp_path, "boot.amd64")


def test_with_nothing_fallen_all_is_gathered(tmp_path: Path) -> None:
    assert len(run_parts(tmp_path)[1].told["publish"]["inputs"]) == 7
