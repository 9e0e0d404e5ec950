"""Git repositories in chains: exported, kept, taken again where they lie on this host; and chains as values."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from deb_mock import acquire
from deb_mock.api import ask_chain, load_chain, plan_chain
from deb_mock.chain.calls import make_absolute
from deb_mock.chain.journal import Asked, Journal
from deb_mock.chain.plan import plan_chain as plan_sources
from deb_mock.changelog import Entry
from deb_mock.git.export import GitTree
from deb_mock.git.kept import find_export, keep_export, open_export
from deb_mock.source import ExportSource, GitSource
from debcore.errors import ConfigError, Failure

CONTROL = """Source: {name}
Build-Depends: {needs}
Maintainer: A Tester <t@example.org>

Package: {name}-dev
Architecture: any
Description: x
"""


def make_tree(directory: Path, name: str, *, needs: str = "", commit: str = "1" * 40, suite: str = "trixie") -> GitTree:
    entry = Entry(name, "1.0-1", suite, "Thu, 01 Jan 2026 00:00:00 +0000")
    (directory / "tree.tar").write_bytes(f"tree of {commit}".encode())
    orig = directory / f"{name}_1.0.orig.tar.gz"
    orig.write_bytes(b"upstream")
    control = CONTROL.format(name=name, needs=needs).encode()
    return GitTree(commit, entry, control, directory / "tree.tar", {orig.name: orig}, ("a note",))


def test_what_is_kept_is_what_was_exported(tmp_path: Path) -> None:
    tree = make_tree(tmp_path, "libfoo")
    assert find_export(tmp_path) is None
    keep_export(tree, "https://example.org/libfoo.git", tmp_path)
    found = find_export(tmp_path)
    assert found == ExportSource(tmp_path, "https://example.org/libfoo.git", tree.commit, tree.entry)
    assert open_export(found) == tree


@pytest.mark.parametrize("name", ["tree.tar", "control", "libfoo_1.0.orig.tar.gz", "export.json"])
def test_what_is_not_whole_any_more_is_refused(tmp_path: Path, name: str) -> None:
    keep_export(make_tree(tmp_path, "libfoo"), "x", tmp_path)
    source = find_export(tmp_path)
    assert source is not None
    (tmp_path / name).unlink()
    with pytest.raises(Failure, match="does not hold the whole export"):
        open_export(source)


def test_a_record_that_leads_out_is_refused(tmp_path: Path) -> None:
    keep_export(make_tree(tmp_path, "libfoo"), "x", tmp_path)
    record = tmp_path / "export.json"
    record.write_text(record.read_text().replace("libfoo_1.0.orig.tar.gz", "../outside"))
    source = find_export(tmp_path)
    assert source is not None
    with pytest.raises(Failure):
        open_export(source)


@pytest.fixture
def exports(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """Repositories by name: what take_commit finds there; `taken` counts."""
    known: dict[str, Any] = {"taken": []}

    def take(_store: Any, source: GitSource, _choice: Any, target: Path) -> GitTree:
        known["taken"].append(source.name)
        return make_tree(target, source.name, **known[source.name])

    monkeypatch.setattr(acquire, "take_commit", take)
    return known


def test_a_remote_repository_is_taken_once_and_one_of_this_host_each_time(
    exports: dict[str, Any], tmp_path: Path
) -> None:
    (tmp_path / "here").mkdir()
    exports |= {"libfoo": {}, "here": {"needs": "libfoo-dev (>= 1.0)"}}
    asked = ask_chain(["https://example.org/libfoo.git", f"{tmp_path}/here#HEAD"], preset="trixie")
    journal = Journal(tmp_path / "chain")
    first = plan_sources(asked, journal, None)  # type: ignore[arg-type]
    assert first.levels == (("libfoo",), ("here",))
    assert exports["taken"] == ["libfoo", "here"]
    exports["here"] = {"needs": "libfoo-dev", "commit": "2" * 40}
    exports["libfoo"] = {"commit": "3" * 40}  # moved on, and nobody looks
    second = plan_sources(asked, journal, None)  # type: ignore[arg-type]
    assert exports["taken"] == ["libfoo", "here", "here"]
    assert first.identities["libfoo"] == second.identities["libfoo"]
    assert first.identities["here"] != second.identities["here"]


def test_the_changelog_of_a_repository_chooses_the_suite(exports: dict[str, Any]) -> None:
    exports["libfoo"] = {"suite": "bookworm"}
    asked = ask_chain(["https://example.org/libfoo.git"], arch="amd64")
    plan = plan_chain(asked, store=object())  # type: ignore[arg-type]
    assert (plan.levels, plan.versions) == ((("libfoo",),), {"libfoo": "1.0-1"})
    exports["other"] = {"suite": "trixie"}
    asked = ask_chain(["https://example.org/libfoo.git", "https://example.org/other.git"])
    with pytest.raises(Failure, match="different suites"):
        plan_chain(asked, store=object())  # type: ignore[arg-type]


def test_a_chain_is_a_value_that_its_directory_keeps(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "tree").mkdir()
    asked = ask_chain(
        ["tree", "./tree#main", "hostname", "https://example.org/x.git#a"], jobs=2,
        settings={"build.profiles": ["nocheck"], "plugins.ccache.max_size": "1G"},
    )  # fmt: skip
    assert asked.what == (f"{tmp_path}/tree", f"{tmp_path}/tree#main", "hostname", "https://example.org/x.git#a")
    assert asked.options == {"build": {"profiles": ["nocheck"]}, "plugins": {"ccache": {"max_size": "1G"}}}
    Journal(tmp_path).write_asked(asked)
    assert load_chain(tmp_path) == asked == Asked.model_validate_json(asked.model_dump_json())
    with pytest.raises(ConfigError):
        ask_chain(["tree"], settings={"build.profile": ["nocheck"]})


def test_a_file_with_a_hash_in_its_name_is_that_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "a#b").mkdir()
    assert make_absolute("a#b") == f"{tmp_path}/a#b"


@pytest.mark.parametrize(
    ("setting", "same"),
    [("root.tmpfs=yes", True), ("root.max_fs_size=2G", True), ("limits.time=9h", True), ("build.options=x", False)],
)
def test_where_a_root_lies_does_not_decide_what_it_builds(
    exports: dict[str, Any], tmp_path: Path, setting: str, same: bool
) -> None:
    exports["libfoo"] = {}
    what = ["https://example.org/libfoo.git"]
    found = []
    for settings in ([], [setting]):
        asked = ask_chain(what, preset="trixie", settings=settings)
        found.append(plan_sources(asked, Journal(tmp_path / "chain"), None).identities)  # type: ignore[arg-type]
    assert (found[0] == found[1]) is same
