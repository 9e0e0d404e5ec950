"""The order of a chain: edges, levels, cycles, and what may begin next."""

from __future__ import annotations

from pathlib import Path

import pytest

from deb_mock.chain.graph import Graph, Node, make_graph
from deb_mock.chain.members import Member, identify, load_member
from deb_mock.chain.schedule import State, find_doomed, find_next, find_ready
from deb_mock.changelog import load_changelog
from deb_mock.config import choose
from deb_mock.source import DirectorySource
from debcore.errors import ConfigError

CHOICE = choose(preset="trixie", arch="amd64")


def member(
    place: Path, name: str, fields: str = "", *packages: str, version: str = "1.0", profiles: str = ""
) -> Member:
    """A source with these control fields and binary packages (`name` and further fields; default one of its name)."""
    tree = place / name
    (tree / "debian").mkdir(parents=True)
    (tree / "debian" / "changelog").write_text(
        f"{name} ({version}) trixie; urgency=medium\n\n  * X.\n\n -- T <t@e.org>  Thu, 01 Jan 2026 00:00:00 +0000\n"
    )
    binaries = "".join(
        f"\nPackage: {package}\nDescription: x\n" for package in packages or [f"{name}\nArchitecture: any"]
    )
    (tree / "debian" / "control").write_text(f"Source: {name}\n{fields}{binaries}")
    choice = choose(preset="trixie", arch="amd64", options=[f"build.profiles={profiles}"]) if profiles else CHOICE
    return load_member(DirectorySource(tree, load_changelog(tree)), choice)


def graph_of(*members: Member) -> Graph:
    return make_graph([one.node for one in members])


def test_levels_follow_build_dependencies(tmp_path: Path) -> None:
    app = member(tmp_path, "app", "Build-Depends: debhelper (>= 13), libb-dev\nBuild-Depends-Arch: tool\n")
    b = member(tmp_path, "bb", "Build-Depends: liba-dev (>= 1.0)\n", "libb-dev\nArchitecture: all")
    a = member(tmp_path, "aa", "", "liba1\nArchitecture: any", "liba-dev\nArchitecture: any")
    tool = member(tmp_path, "tool")
    graph = graph_of(app, b, a, tool)
    assert graph.levels() == (("aa", "tool"), ("bb",), ("app",))
    assert graph.closure("app") == {"aa", "bb", "tool"}
    assert [str(edge) for edge in graph.edges if edge.after == "bb"] == [
        "bb needs aa — Build-Depends: liba-dev (>= 1.0)"
    ]


@pytest.mark.parametrize(
    ("clause", "needs"),
    [
        ("liba-dev", True),
        ("liba-dev (>= 2)", False),  # the chain's is too old: the archive must have it
        ("other | liba-dev", True),
        ("liba-dev:native", True),
        ("liba-dev [arm64]", False),
        ("liba-dev <stage1>", False),
        ("liba-dev <!nocheck>", True),
        ("virtual", True),
        ("virtual (>= 1)", False),  # an unversioned Provides has no version
        ("versioned (= 3)", True),
        ("versioned (= 4)", False),
        ("foreign", False),
    ],
)
def test_a_clause_that_another_source_meets_is_an_edge(tmp_path: Path, clause: str, needs: bool) -> None:
    package = "liba-dev\nArchitecture: any\nProvides: virtual, versioned (= 3)"
    a = member(tmp_path, "aa", "", package, "foreign\nArchitecture: s390x")
    b = member(tmp_path, "bb", f"Build-Depends: {clause}\n")
    assert (graph_of(a, b).needs["bb"] == {"aa"}) is needs


def test_what_a_package_depends_on_must_be_built_too(tmp_path: Path) -> None:
    app = member(tmp_path, "app", "Build-Depends: libb-dev\n")
    b = member(
        tmp_path,
        "bb",
        "",
        "libb-dev\nArchitecture: any\nDepends: ${misc:Depends}, liba-dev (= ${binary:Version}), libc6-dev",
    )
    a = member(tmp_path, "aa", "", "liba-dev\nArchitecture: any")
    graph = graph_of(app, b, a)
    assert graph.needs == {"app": {"aa", "bb"}, "bb": frozenset(), "aa": frozenset()}
    assert [edge.via for edge in graph.edges] == ["", "libb-dev"]


def test_a_source_does_not_wait_for_itself(tmp_path: Path) -> None:
    assert graph_of(member(tmp_path, "gcc", "Build-Depends: gcc\n")).levels() == (("gcc",),)


def test_a_cycle_is_explained_with_its_clauses(tmp_path: Path) -> None:
    a = member(tmp_path, "aa", "Build-Depends: bb (>= 1.0), debhelper\n")
    b = member(tmp_path, "bb", "Build-Depends: cc\n")
    c = member(tmp_path, "cc", "Build-Depends-Arch: aa <!stage1>\n")
    d = member(tmp_path, "dd", "Build-Depends: aa\n")
    with pytest.raises(ConfigError, match="aa → bb → cc → aa") as error:
        graph_of(d, a, b, c).levels()
    assert "cc needs aa — Build-Depends-Arch: aa <!stage1>" in str(error.value)
    assert "dd needs" not in str(error.value)
    assert "-P stage1" in error.value.hint


def test_the_profile_that_the_hint_names_breaks_the_cycle(tmp_path: Path) -> None:
    a = member(tmp_path, "aa", "Build-Depends: bb\n", profiles="stage1")
    b = member(tmp_path, "bb", "Build-Depends: aa <!stage1>\n", profiles="stage1")
    assert graph_of(a, b).levels() == (("bb",), ("aa",))


def test_a_cycle_without_profiles_names_the_clause_that_closes_it(tmp_path: Path) -> None:
    a, b = member(tmp_path, "aa", "Build-Depends: bb\n"), member(tmp_path, "bb", "Build-Depends: aa\n")
    with pytest.raises(ConfigError) as error:
        graph_of(a, b).levels()
    assert "Build-Depends: aa closes it" in error.value.hint


def test_two_makers_of_one_package_are_refused(tmp_path: Path) -> None:
    a = member(tmp_path, "aa", "", "same\nArchitecture: all")
    b = member(tmp_path, "bb", "", "same\nArchitecture: all")
    with pytest.raises(ConfigError, match="aa and bb both build same"):
        graph_of(a, b)
    with pytest.raises(ConfigError, match="given twice"):
        graph_of(a, a)


def diamond() -> Graph:
    """left and right need top; bottom needs both; alone needs nothing."""
    from deb_mock.chain.graph import Clause, Edge

    edges = [("left", "top"), ("right", "top"), ("bottom", "left"), ("bottom", "right")]
    nodes = [Node(name, "1", (), ()) for name in ("alone", "bottom", "left", "right", "top")]
    return Graph(tuple(nodes), tuple(Edge(x, y, Clause("Build-Depends", y, y, ())) for x, y in edges))


W, R, B, F = State.WAITING, State.RUNNING, State.BUILT, State.FAILED


@pytest.mark.parametrize(
    ("top", "left", "right", "ready", "following", "doomed"),
    [
        (W, W, W, ["top", "alone"], [], []),  # most wait for top
        (R, W, W, ["alone"], ["left", "right"], []),
        (B, R, W, ["right", "alone"], [], []),
        (B, R, B, ["alone"], ["bottom"], []),
        (B, F, R, ["alone"], [], ["bottom"]),
        (F, W, W, ["alone"], [], ["bottom", "left", "right"]),
    ],
)
def test_what_may_begin(
    top: State, left: State, right: State, ready: list[str], following: list[str], doomed: list[str]
) -> None:
    states = {"alone": W, "bottom": W, "left": left, "right": right, "top": top}
    assert find_ready(diamond(), states) == ready
    assert find_next(diamond(), states) == following
    assert find_doomed(diamond(), states) == doomed


def test_identity_changes_with_what_is_needed_and_nothing_else(tmp_path: Path) -> None:
    def identities(place: Path) -> dict[str, str]:
        place.mkdir()
        found = [member(place, "aa"), member(place, "bb", "Build-Depends: aa\n"), member(place, "cc")]
        graph = graph_of(*found)
        by_name = {one.name: one for one in found}
        return {one.name: identify(one, graph, by_name, CHOICE) for one in found}

    first = identities(tmp_path / "1")
    tree = tmp_path / "1" / "aa"
    (tree / "new").write_text("content")
    a = load_member(DirectorySource(tree, load_changelog(tree)), CHOICE)
    b, c = (
        load_member(DirectorySource(t, load_changelog(t)), CHOICE)
        for t in (tmp_path / "1" / "bb", tmp_path / "1" / "cc")
    )
    graph, by_name = graph_of(a, b, c), {"aa": a, "bb": b, "cc": c}
    again = {name: identify(one, graph, by_name, CHOICE) for name, one in by_name.items()}
    assert {name for name in first if first[name] != again[name]} == {"aa", "bb"}
    slower = choose(preset="trixie", arch="amd64", options=["limits.time=1h", "archive.max_age=1h"])
    assert identify(c, graph, by_name, slower) == again["cc"]
    other = choose(preset="trixie", arch="amd64", options=["build.options=nocheck"])
    assert identify(c, graph, by_name, other) != again["cc"]
