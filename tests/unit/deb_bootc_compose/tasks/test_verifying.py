"""What `verify` takes of a compose, what it compares, and that it leaves nothing."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
from click.testing import CliRunner

from deb_bootc_compose.cli import group
from deb_bootc_compose.compose import load_started
from deb_bootc_compose.directory import ComposeDirectory
from deb_bootc_compose.journal import Journal
from deb_bootc_compose.plan import make_nodes
from deb_bootc_compose.verifying import Row, verify
from debcore.errors import BuildFailed, Failure
from debroot.store import Store
from tests.unit.deb_bootc_compose.report.world import COMMIT, DIGEST, KEY, PACKAGES, make_compose


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Store:
    monkeypatch.setenv("DEBOOTC_STORE", str(tmp_path / "store"))
    made = Store.open()
    deb = made.pool_path(PACKAGES[0].sha256)
    deb.parent.mkdir(parents=True)
    deb.write_bytes(b"deb")
    return made


class Again:
    """In the place of composing: it leaves these results, and remembers what it was given."""

    def __init__(self, commit: str = COMMIT) -> None:
        self.commit = commit

    def __call__(self, compose: ComposeDirectory) -> None:
        started = load_started(compose)
        self.kinds = {node.kind for node in make_nodes(started.manifest, started.options, started.digests)}
        self.lock = (compose.work / "tasks/lock/given-lock.json").read_bytes()
        self.store = Store.open()
        self.pool = {path.name for path in (self.store.path / "pool").rglob("*") if path.is_file()}
        journal = Journal(compose.journal_path)
        for task, value in {
            f"commit.{KEY}": {"commit": self.commit},
            f"container.{KEY}": {"digest": DIGEST},
            f"image.{KEY}": {"images": [{"type": "raw", "sha256": "e" * 64}]},
        }.items():
            result = {"value": value, "files": []}
            journal.append("task.finished", task=task, identity="0", seconds=1, result=result, files=[])
        journal.close()


def test_all_is_compared_and_only_debs_are_taken(store: Store, tmp_path: Path) -> None:
    compose, again = make_compose(tmp_path / "world"), Again()
    rows = verify(compose, compose=again)
    assert rows == [
        Row(KEY, "commit", COMMIT, COMMIT),
        Row(KEY, "container", DIGEST, DIGEST),
        Row(KEY, "raw disk", f"sha256:{'e' * 64}", f"sha256:{'e' * 64}"),
    ]
    assert all(row.equal for row in rows)
    assert again.kinds == {"lock", "tree", "commit", "container", "image"}, "no machine, nothing published"
    assert again.lock == compose.lock_path.read_bytes()
    assert again.store.path != store.path
    assert again.pool == {PACKAGES[0].sha256}
    assert os.environ["DEBOOTC_STORE"] == str(store.path)
    assert [path.name for path in compose.path.parent.iterdir()] == [compose.id]


@pytest.mark.usefixtures("store")
def test_what_differs_is_named(tmp_path: Path) -> None:
    rows = verify(make_compose(tmp_path / "world"), compose=Again(commit="9" * 64))
    assert [row.what for row in rows if not row.equal] == ["commit"]


@pytest.mark.usefixtures("store")
def test_a_compose_that_fails_leaves_nothing_unless_it_is_kept(tmp_path: Path) -> None:
    compose = make_compose(tmp_path / "world")

    def fail(_: ComposeDirectory) -> None:
        raise Failure("the tools root `tree` is not the lock's")

    for keep in (False, True):
        with pytest.raises(Failure, match="not the lock's"):
            verify(compose, compose=fail, keep=keep)
        assert len([path for path in compose.path.parent.iterdir() if path.name.startswith(".verify-")]) == keep


@pytest.mark.usefixtures("store")
def test_a_compose_that_made_nothing_has_nothing_to_compare(tmp_path: Path) -> None:
    with pytest.raises(Failure, match="has made nothing to compare"):
        verify(make_compose(tmp_path / "world", fail=f"tree.{KEY}"), compose=Again())


@pytest.mark.usefixtures("store")
def test_the_verb_says_what_differs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    compose = make_compose(tmp_path / "world")
    monkeypatch.setattr("deb_bootc_compose.cli.verify.composing", lambda again, **_: Again(commit="9" * 64)(again))
    called = CliRunner().invoke(group, ["verify", str(compose.path)])
    assert isinstance(called.exception, BuildFailed)
    assert f"not the same: commit of {KEY}" in str(called.exception)
    assert f"{COMMIT}  differs: {'9' * 64}" in called.output
    monkeypatch.setattr("deb_bootc_compose.cli.verify.composing", lambda again, **_: Again()(again))
    told = json.loads(CliRunner().invoke(group, ["verify", str(compose.path), "--json"]).output)
    assert told["equal"] is True
    assert [one["what"] for one in told["outputs"]] == ["commit", "container", "raw disk"]
