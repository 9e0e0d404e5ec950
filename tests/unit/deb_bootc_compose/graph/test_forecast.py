"""What a compose would do, and why, told from the journals of others."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from deb_bootc_compose.directory import ComposeDirectory, make_compose_directory
from deb_bootc_compose.forecast import forecast
from deb_bootc_compose.graph import Node, OnlyIf, identify
from deb_bootc_compose.journal import Journal
from deb_bootc_compose.manifest.model import Compose, Release

COMPOSE = Compose(
    schema_="deb-bootc-compose/1", suite="trixie", release=Release(name="Example", short="Example", version="13")
)


def plan(*, packages: tuple[str, ...] = ("ssh",), level: int = 3, **more: Any) -> list[Node]:
    return [
        Node(id="lock", kind="lock", params={"variants": {"s.amd64": {"packages": packages}}}),
        Node(id="tree.s.amd64", kind="tree", needs=("lock",)),
        Node(id="commit.s.amd64", kind="commit", params={"level": level}, needs=("tree.s.amd64",), **more),
        Node(id="image.s.amd64", kind="image", needs=("commit.s.amd64",)),
        Node(id="publish", kind="publish", needs=("lock", "image.s.amd64"), again=True),
    ]


def record(directory: ComposeDirectory, nodes: list[Node], *, until: str = "publish", fails: str = "") -> None:
    """As if *nodes* had been run: the journal, and what each was told."""
    journal, results = Journal(directory.journal_path), dict[str, Mapping[str, Any]]()
    for node in nodes:
        inputs = {need: results[need] for need in node.needs}
        identity = identify(node, inputs)
        journal.append("task.started", task=node.id, identity=identity)
        if node.id == fails:
            journal.append("task.failed", task=node.id, identity=identity, seconds=1, error={"message": "oh\nno"})
            break
        told = directory.work / "tasks" / node.id / "input.json"
        told.parent.mkdir(parents=True, exist_ok=True)
        told.write_text(json.dumps({"params": dict(node.params), "inputs": inputs}))
        (directory.path / node.id).write_text("")
        files = [{"path": node.id, "size": 0}]
        results[node.id] = {"value": {"made": node.id}, "files": files}
        journal.append(
            "task.finished", task=node.id, identity=identity, seconds=1, result=results[node.id], files=files
        )
        if node.id == until:
            break
    journal.close()


@pytest.fixture
def before(tmp_path: Path) -> ComposeDirectory:
    made = make_compose_directory(tmp_path, COMPOSE, now=datetime(2026, 11, 22, tzinfo=UTC))
    record(made, plan())
    return made


def tell(own: ComposeDirectory, nodes: list[Node], **more: Any) -> dict[str, tuple[str, str]]:
    return {one.task: (one.verdict, one.reason) for one in forecast([(node, "") for node in nodes], own, **more)}


def test_where_nothing_was_made_all_runs(tmp_path: Path) -> None:
    told = tell(ComposeDirectory(tmp_path / "-"), plan())
    assert told["lock"] == ("runs", "it was never done here")
    assert told["tree.s.amd64"] == ("runs", "after lock, which runs")
    assert {verdict for verdict, _ in told.values()} == {"runs"}
    assert list(tmp_path.iterdir()) == []


def test_where_nothing_changed_the_archive_is_asked_and_the_rest_taken(before: ComposeDirectory) -> None:
    name = before.path.name
    assert tell(ComposeDirectory(before.path.parent / "-"), plan()) == {
        "lock": ("asks", f"it looks at the archive; all that it is told is as in {name}"),
        "tree.s.amd64": ("asks", f"it looks at the store; all that it is told is as in {name}"),
        "commit.s.amd64": ("taken", f"as in {name}"),
        "image.s.amd64": ("taken", f"as in {name}"),
        "publish": ("asks", f"it looks at what the others made; all that it is told is as in {name}"),
    }


def test_what_changed_is_named_and_what_follows_runs(before: ComposeDirectory) -> None:
    name, own = before.path.name, ComposeDirectory(before.path.parent / "-")
    told = tell(own, plan(packages=("ssh", "tree")))
    assert told["lock"] == ("runs", f"since {name} these changed: variants.s.amd64.packages")
    assert told["commit.s.amd64"] == ("runs", "after tree.s.amd64, which runs")
    told = tell(own, plan(packages=("ssh", "tree"), level=9))
    assert told["commit.s.amd64"] == ("runs", f"since {name} these changed: level")
    told = tell(own, plan(level=9))
    assert told["tree.s.amd64"][0] == "asks"
    assert told["commit.s.amd64"] == ("runs", f"since {name} these changed: level")


def test_files_that_went_are_not_taken(before: ComposeDirectory) -> None:
    (before.path / "image.s.amd64").unlink()
    told = tell(ComposeDirectory(before.path.parent / "-"), plan())
    assert told["commit.s.amd64"][0] == "taken"
    assert told["image.s.amd64"] == ("runs", f"its result is no longer in {before.path.name}")


def test_a_kind_that_is_asked_for_runs_with_all_that_follows(before: ComposeDirectory) -> None:
    told = tell(ComposeDirectory(before.path.parent / "-"), plan(), anew=frozenset({"image", "publish"}))
    assert told["commit.s.amd64"][0] == "taken"
    assert told["image.s.amd64"] == ("runs", "--from asks for it")


def test_what_is_not_for_this_image_is_said(before: ComposeDirectory) -> None:
    nodes = plan()
    gate = OnlyIf("tree.s.amd64", "bootc", "not applicable: the image has no bootc")
    nodes.insert(4, Node(id="bootc-install.s.amd64", kind="bootc-install", needs=("tree.s.amd64",), only_if=gate))
    told = tell(ComposeDirectory(before.path.parent / "-"), nodes)
    assert told["bootc-install.s.amd64"] == ("not applicable", "the image has no bootc")


def test_a_compose_that_goes_on(tmp_path: Path) -> None:
    own = make_compose_directory(tmp_path, COMPOSE, now=datetime(2026, 11, 22, tzinfo=UTC))
    record(own, plan(), fails="image.s.amd64")
    told = tell(own, plan())
    assert {told[name] for name in ("lock", "tree.s.amd64", "commit.s.amd64")} == {("done", "in this compose")}
    assert told["image.s.amd64"] == ("runs", "it failed: oh")
    (own.path / "tree.s.amd64").unlink()
    assert tell(own, plan())["tree.s.amd64"] == ("runs", "files that it made are gone")


def test_why_a_task_is_left_out_is_passed_on(tmp_path: Path) -> None:
    (told,) = forecast([(plan()[0], "--skip lock")], ComposeDirectory(tmp_path / "-"))
    assert (told.verdict, told.reason) == ("left out", "--skip lock")
