"""Which compose comes before: among siblings, named by the user, or found in a published repository."""

from __future__ import annotations

import json
import os
from dataclasses import replace
from pathlib import Path

import pytest

from deb_bootc_compose.compose import tell_before
from deb_bootc_compose.directory import ComposeDirectory
from deb_bootc_compose.earlier import Earlier
from deb_bootc_compose.graph import Node
from deb_bootc_compose.lock import Lock, LockedParent, write_lock
from deb_bootc_compose.previous import NONE, Previous, check_given, find_published
from debcore.errors import Failure

KEY, REF = "server.amd64", "test/server"
REFS = {KEY: REF}


def make_repo(path: Path, *commits: str) -> None:
    for commit in commits:
        (path / f"objects/{commit[:2]}").mkdir(parents=True, exist_ok=True)
        (path / f"objects/{commit[:2]}/{commit[2:]}.commit").touch()


def make_compose(target: Path, name: str, commit: str, *, status: str = "FINISHED", ref: str = REF) -> ComposeDirectory:
    compose = ComposeDirectory(target / name)
    compose.logs.mkdir(parents=True)
    (compose.path / "STATUS").write_text(status)
    (compose.path / "COMPOSE_ID").write_text(name)
    number = sum(1 for _ in target.iterdir())
    os.utime(compose.path / "COMPOSE_ID", (number, number))
    made = {"commit": commit, "ref": ref, "version": name, "repo": "compose/server/amd64/ostree/repo"}
    values: dict[str, object] = {f"commit.{KEY}": made, f"container.{KEY}": {"digest": "sha256:0", "path": "oci"}}
    (compose.path / "oci").mkdir()
    (compose.path / "oci/oci-layout").touch()
    layer = {
        "name": "etc",
        "diff_id": "a" * 64,
        "digest": "b" * 64,
        "media_type": "application/vnd.oci.image.layer.v1.tar+zstd",
    }
    (compose.path / "oci/layers.json").write_text(json.dumps({"plan": {"bin:00": ["a", "b"]}, "layers": [layer]}))
    values[f"tree.{KEY}"] = {"id": commit, **({"bootc": {"bootupd": True}} if name == "two" else {})}
    values[f"image.{KEY}"] = {"images": [{"path": "disk.raw"}, {"path": "disk.qcow2"}]}
    lines = [
        {"n": n, "at": "", "type": "task.finished", "task": task, "identity": "0", "seconds": 1.0, "files": [],
         "result": {"value": value}}
        for n, (task, value) in enumerate(values.items(), start=1)
    ]  # fmt: skip
    compose.journal_path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    make_repo(compose.path / made["repo"], commit)
    return compose


@pytest.fixture
def own(tmp_path: Path) -> ComposeDirectory:
    make_compose(tmp_path, "one", "1" * 64)
    make_compose(tmp_path, "two", "2" * 64)
    make_compose(tmp_path, "other", "3" * 64, ref="test/other")
    make_compose(tmp_path, "half", "4" * 64, status="FINISHED_INCOMPLETE")
    make_compose(tmp_path, "bad", "5" * 64, status="DOOMED")
    return make_compose(tmp_path, "own", "6" * 64, status="STARTED")


def test_the_newest_that_passed_its_gates_and_has_the_ref(own: ComposeDirectory) -> None:
    before = Previous(own)
    parent = before.find_parents(REFS)[KEY]
    assert (parent.compose, parent.commit, parent.digest) == ("two", "2" * 64, "sha256:0")
    assert before.find_repository(KEY, parent) == own.path.parent / "two/compose/server/amd64/ostree/repo"
    assert before.find_image(KEY, parent) is None
    assert parent.image is not None
    assert (parent.image.plan, parent.image.layers) == ({"bin:00": ("a", "b")}, {"a" * 64: "b" * 64})
    assert before.find_layout(KEY, parent) == own.path.parent / "two/oci"
    (own.path.parent / "two/disk.raw").touch()
    assert before.find_image(KEY, parent) == own.path.parent / "two/disk.raw"
    assert before.find_bootc(KEY, parent) == {"bootupd": True}
    assert before.find_bootc(KEY, parent.model_copy(update={"compose": "one"})) is None
    assert before.find_bootc(KEY, parent.model_copy(update={"compose": None})) is None
    assert before.find_parents({KEY: "test/unheard-of"}) == {}


def test_a_compose_that_is_named_and_none(own: ComposeDirectory) -> None:
    given = check_given(str(own.path.parent / "one"))
    assert Previous(own, given).find_parents(REFS)[KEY].commit == "1" * 64
    assert Previous(own, check_given(NONE)).find_parents(REFS) == {}
    with pytest.raises(Failure, match="half is FINISHED_INCOMPLETE"):
        check_given(str(own.path.parent / "half"))
    with pytest.raises(Failure, match="neither a compose nor an OSTree repository"):
        check_given(str(own.path.parent / "half/logs"))


def test_damage_is_not_passed_over(own: ComposeDirectory) -> None:
    commit = "2" * 64
    (own.path.parent / f"two/compose/server/amd64/ostree/repo/objects/22/{commit[2:]}.commit").unlink()
    with pytest.raises(Failure, match=r"two, is damaged: its commit 222222222222 is missing") as caught:
        Previous(own).find_parents(REFS)
    assert "--previous" in caught.value.hint
    (own.path.parent / "two/logs/journal.jsonl").write_text("{}\n")
    with pytest.raises(Failure, match="two, is damaged"):
        Previous(own).find_parents(REFS)


def test_damage_found_later_is_told_to_the_task_that_needs_what_is_gone(own: ComposeDirectory) -> None:
    """As where the lock, and so its parents, stayed those of another compose."""
    before = Previous(own)
    parent = before.find_parents(REFS)[KEY]
    write_lock(own.lock_path, make_lock(parent))
    node = Node(id=f"commit.{KEY}", kind="commit", params={"key": KEY})
    assert tell_before(node, own, before, locked=False) == {
        "parent": str(own.path.parent / "two/compose/server/amd64/ostree/repo"), "locked": False,
    }  # fmt: skip
    with (own.path.parent / "two/logs/journal.jsonl").open("ab") as file:
        file.write(b"[1]\n")
    for find in (before.find_repository, before.find_layout, before.find_image):
        with pytest.raises(Failure, match=r"two, is damaged: .*line 5 is damaged") as caught:
            find(KEY, parent)
        assert "--previous" in caught.value.hint
    found = {"commit": ("parent",), "container": ("previous",), "update": ("image", "repo"), "lint": ()}
    for kind, words in found.items():
        told = tell_before(replace(node, kind=kind), own, before, locked=False)
        assert [told.get(word) for word in words] == [None for _ in words]
        assert ("damage" in told) == bool(words)


def test_nothing_is_taken_from_a_damaged_compose_and_that_is_said_once(
    own: ComposeDirectory, caplog: pytest.LogCaptureFixture
) -> None:
    with (own.path.parent / "two/logs/journal.jsonl").open("ab") as file:
        file.write(b'{"n": 4, "at": "", "type": "task.finished", "task": "lint"}\n')
    earlier = Earlier(own)
    assert earlier.find("1") is None
    found = earlier.find("0")
    assert found is not None
    assert found["path"] != str(own.path.parent / "two")
    (said,) = caplog.messages
    assert "two is damaged, nothing is taken from it" in said
    assert "line 5" in said


def make_lock(parent: LockedParent) -> Lock:
    return Lock(
        schema="deb-bootc-compose-lock/1", suite="trixie", timestamp=1, version="13", releases={}, variants={},
        parents={KEY: parent},
    )  # fmt: skip


def test_a_published_repository(own: ComposeDirectory, tmp_path: Path) -> None:
    repo = tmp_path / "www"
    make_repo(repo, "7" * 64)
    for name, commit in ((REF, "7"), (f"versions/13.1/{REF}", "8"), (f"versions/13.2/{REF}", "7")):
        (repo / "refs/heads" / name).parent.mkdir(parents=True, exist_ok=True)
        (repo / "refs/heads" / name).write_text(commit * 64 + "\n")
    before = Previous(own, check_given(str(repo)))
    parent = before.find_parents(REFS)[KEY]
    assert (parent.commit, parent.version, parent.compose) == ("7" * 64, "13.2", None)
    assert before.find_repository(KEY, parent) == repo
    assert before.find_image(KEY, parent) is None
    assert find_published(repo, "test/other") is None
    (repo / "refs/heads" / REF).write_text("8" * 64)
    with pytest.raises(Failure, match="names no commit that is there"):
        before.find_parents(REFS)
