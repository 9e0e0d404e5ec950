"""What suites inherit, take and held, on both databases."""

from __future__ import annotations

import gzip
import hashlib
from concurrent.futures import ThreadPoolExecutor

import pytest

from deb_orchestrator.services import publish, queries, suite_content, suite_history, suite_packages, suites
from deb_orchestrator.services.hub import Conflict, NotFound
from debcore.aptrepo import PoolFile
from debcore.deb822 import make_stanza
from debcore.errors import Failure
from debcore.hub.suites import Moved, PackageAsk, RuleAsk, SuiteAsk
from tests.unit.orchestrator.services.farm import ADMIN, SUITE, Farm

SIDE = "side"


def digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def put(farm: Farm, suite: str, source: str, version: str) -> int:
    """A source and one binary of the same name."""
    sums = f"\n {digest(source)} 4 {source}_{version}.tar.xz"
    dsc = make_stanza([("Source", source), ("Version", version), ("Checksums-Sha256", sums)])
    new = publish.NewSource(dsc=dsc, dsc_file=PoolFile(name="x.dsc", size=3, sha256=digest(source + version)))
    fields = [("Package", source), ("Version", version), ("Architecture", "amd64"), ("Description", "x")]
    deb = publish.NewBinary(control=make_stanza(fields), sha256=digest(f"{source} {version} deb"), size=7)
    with farm.hub.db.write() as db:
        return publish.add_to_suite(db, suite, sources=[new], binaries=[deb])


def make(farm: Farm, name: str = SIDE, *parents: str) -> None:
    suites.make_suite(farm.hub, ADMIN, name, SuiteAsk(parents=parents or (SUITE,)))


def see(farm: Farm, suite: str, at: int | None = None) -> dict[str, tuple[str, str]]:
    """Source → its version and the suite that gives it; the binaries say the same."""
    packages = suite_content.get_content(farm.hub, suite, at).packages
    sources = {p.name: (p.version, p.suite) for p in packages if p.arch == "source"}
    assert {p.source: (p.version, p.suite) for p in packages if p.arch != "source"} == sources
    return sources


def served(farm: Farm, suite: str) -> str:
    """Packages of the live generation, as apt gets it."""
    path = f"dists/{suite}/main/binary-amd64/Packages.gz"
    file = publish.find_apt_file(farm.hub.db, farm.hub.blobs, path)
    assert file is not None
    data = file.data or (file.file.read_bytes() if file.file else b"")
    return gzip.decompress(data).decode()


def test_the_first_suite_of_the_order_gives_a_source(farm: Farm) -> None:
    make(farm)
    put(farm, SUITE, "hello", "2")
    put(farm, SUITE, "world", "1")
    before = put(farm, SIDE, "hello", "1")
    assert see(farm, SIDE) == {"hello": ("1", SIDE), "world": ("1", SUITE)}, "not the higher version: the nearer suite"
    assert see(farm, SUITE) == {"hello": ("2", SUITE), "world": ("1", SUITE)}
    suite_packages.remove_package(farm.hub, ADMIN, SIDE, "hello")
    assert see(farm, SIDE)["hello"] == ("2", SUITE)
    assert see(farm, SIDE, before)["hello"] == ("1", SIDE), "the past does not change"
    with pytest.raises(NotFound, match="holds nothing of hello"):
        suite_packages.remove_package(farm.hub, ADMIN, SIDE, "hello")


def test_priorities_and_diamonds(farm: Farm) -> None:
    make(farm, "a")
    make(farm, "b")
    make(farm, "leaf", "a", "b")
    assert suites.get_inheritance(farm.hub, "leaf").order == ("leaf", "a", SUITE, "b")
    put(farm, "b", "hello", "3")
    put(farm, SUITE, "hello", "1")
    n = put(farm, "a", "hello", "2")
    assert see(farm, "leaf") == {"hello": ("2", "a")}
    suites.set_parents(farm.hub, ADMIN, "leaf", ["b", "a"])
    assert see(farm, "leaf") == {"hello": ("3", "b")}
    assert see(farm, "leaf", n) == {"hello": ("2", "a")}, "inheritance too is as it was then"
    assert suites.get_inheritance(farm.hub, "leaf", n).parents == ("a", "b")


def test_loops_are_refused_and_change_nothing(farm: Farm) -> None:
    make(farm, "a")
    make(farm, "b", "a")
    n = farm.events_so_far()
    for name, parents, says in [
        (SUITE, ["b"], f"in a loop: {SUITE} → b → a → {SUITE}"),
        ("a", ["a"], "in a loop: a → a"),
        ("a", [SUITE, SUITE], "only once"),
    ]:
        with pytest.raises(Failure, match=says) as failure:
            suites.set_parents(farm.hub, ADMIN, name, parents)
        assert failure.value.hint
    with pytest.raises(NotFound, match="no suite nowhere"):
        suites.set_parents(farm.hub, ADMIN, "a", ["nowhere"])
    with pytest.raises(NotFound, match="no suite nowhere"):
        suites.make_suite(farm.hub, ADMIN, "new", SuiteAsk(parents=("nowhere",)))
    with pytest.raises(NotFound):
        suites.get_inheritance(farm.hub, "new")
    assert farm.events_so_far() == n
    assert suites.get_inheritance(farm.hub, "b").order == ("b", "a", SUITE)


def test_two_who_close_a_loop_at_once(farm: Farm) -> None:
    names = ["one", "two", "three"]
    for name in names:
        make(farm, name)

    def inherit(n: int) -> bool:
        try:
            suites.set_parents(farm.hub, ADMIN, names[n], [names[(n + 1) % 3]])
        except Failure:
            return False
        return True

    with ThreadPoolExecutor(3) as pool:
        assert sorted(pool.map(inherit, range(3))) == [False, True, True]


def test_making_a_suite_again(farm: Farm) -> None:
    make(farm)
    n = farm.events_so_far()
    make(farm)
    assert farm.events_so_far() == n
    with pytest.raises(Conflict, match="other settings"):
        suites.make_suite(farm.hub, ADMIN, SIDE, SuiteAsk())


def test_the_package_list_is_inherited(farm: Farm) -> None:
    make(farm)
    put(farm, SUITE, "hello", "1")
    before = put(farm, SUITE, "world", "1")
    suites.set_rule(farm.hub, ADMIN, SUITE, "hello", RuleAsk(state="blocked", owner="team <x>"))
    assert see(farm, SIDE) == see(farm, SUITE) == {"world": ("1", SUITE)}
    suites.set_rule(farm.hub, ADMIN, SIDE, "hello", RuleAsk(state="allowed"))
    assert set(see(farm, SIDE)) == {"hello", "world"}, "the nearer suite's word counts"
    suites.set_rule(farm.hub, ADMIN, SIDE, "*", RuleAsk(state="blocked"))
    assert set(see(farm, SIDE)) == {"hello"}, "* is all without a rule"
    assert set(see(farm, SIDE, before)) == {"hello", "world"}
    rules = suites.list_rules(farm.hub, SIDE)
    assert [(r.source, r.state, r.owner, r.suite) for r in rules] == [
        ("hello", "allowed", "", SIDE), ("*", "blocked", "", SIDE)
    ]  # fmt: skip
    assert suites.list_rules(farm.hub, SUITE)[0].owner == "team <x>"
    suites.set_rule(farm.hub, ADMIN, SIDE, "*", None)
    suites.set_rule(farm.hub, ADMIN, SIDE, "hello", None)
    assert set(see(farm, SIDE)) == {"world"}
    with pytest.raises(NotFound, match="no rule for hello"):
        suites.set_rule(farm.hub, ADMIN, SIDE, "hello", None)


def test_what_the_list_blocks_is_not_built_nor_added(farm: Farm) -> None:
    put(farm, SUITE, "hello", "1")
    make(farm, "other", SUITE)
    suites.set_parents(farm.hub, ADMIN, "other", [])
    suites.set_rule(farm.hub, ADMIN, "other", "hello", RuleAsk(state="blocked"))
    with pytest.raises(Failure, match="package list of other blocks hello") as failure:
        suite_packages.add_package(farm.hub, ADMIN, "other", PackageAsk(source="hello", suite=SUITE))
    assert "suite allow" in failure.value.hint
    suites.set_rule(farm.hub, ADMIN, SUITE, "*", RuleAsk(state="blocked"))
    asked = farm.ask(farm.add_source("app"))
    farm.settle()
    assert farm.request(asked.id).failures[0].reason == (
        f"the package list of {SUITE} does not have app, and blocks all others"
    )


def test_packages_go_from_suite_to_suite(farm: Farm) -> None:
    make(farm)
    put(farm, SIDE, "hello", "1")
    put(farm, SIDE, "hello", "2")
    n = suite_packages.add_package(farm.hub, ADMIN, SUITE, PackageAsk(source="hello", suite=SIDE))
    assert see(farm, SUITE) == {"hello": ("2", SUITE)}
    assert see(farm, SUITE, n - 1) == {}
    with pytest.raises(Failure, match="which is newer than 1"):
        suite_packages.add_package(farm.hub, ADMIN, SUITE, PackageAsk(source="hello", version="1"))
    with pytest.raises(NotFound, match="there is no hello 3"):
        suite_packages.add_package(farm.hub, ADMIN, SUITE, PackageAsk(source="hello", version="3"))
    assert suite_packages.add_package(farm.hub, ADMIN, SUITE, PackageAsk(source="hello")) == n, "it is there"


def test_history_differences_and_going_back(farm: Farm) -> None:
    make(farm)
    first = put(farm, SIDE, "hello", "1")
    put(farm, SIDE, "hello", "2")
    put(farm, SUITE, "world", "1")
    suites.set_rule(farm.hub, ADMIN, SIDE, "gone", RuleAsk(state="blocked"))
    suites.set_parents(farm.hub, ADMIN, SIDE, [])
    last = farm.events_so_far()
    changes = suite_history.list_history(farm.hub, SIDE)
    assert [c.type for c in changes] == ["suite.inherits", "suite.rule", "suite.changed", "suite.changed", "suite.made"]
    assert changes[0].parents == ()
    assert changes[1].rules[0].source == "gone"
    assert changes[2].packages == (
        Moved(name="hello", arch="amd64", old="1", new="2"), Moved(name="hello", arch="source", old="1", new="2")
    )  # fmt: skip
    assert [c.event for c in suite_history.list_history(farm.hub, SIDE, before=first, limit=1)] == [changes[4].event]
    diff = suite_history.diff_suite(farm.hub, SIDE, first)
    assert (diff.new, diff.order_before, diff.order_after) == (last, (SIDE, SUITE), (SIDE,))
    assert {(m.name, m.old, m.new) for m in diff.packages} == {("hello", "1", "2")}
    n = suite_history.revert_suite(farm.hub, ADMIN, SIDE, first)
    assert n > last
    assert see(farm, SIDE) == {"hello": ("1", SIDE), "world": ("1", SUITE)}, "what it inherits is today's"
    assert suites.list_rules(farm.hub, SIDE) == []
    assert suite_history.revert_suite(farm.hub, ADMIN, SIDE, first) == farm.events_so_far(), "nothing is left to do"
    suite_history.revert_suite(farm.hub, ADMIN, SIDE, last)
    assert suite_history.diff_suite(farm.hub, SIDE, last).packages == ()
    for at in (-1, farm.events_so_far() + 1):
        with pytest.raises(Failure, match="has not happened"):
            suite_history.revert_suite(farm.hub, ADMIN, SIDE, at)


def test_going_back_cannot_close_a_loop(farm: Farm) -> None:
    make(farm, "a")
    make(farm, "b", "a")
    then = farm.events_so_far()
    suites.set_parents(farm.hub, ADMIN, "b", [])
    suites.set_parents(farm.hub, ADMIN, SUITE, ["b"])
    with pytest.raises(Failure, match="in a loop"):
        suite_history.revert_suite(farm.hub, ADMIN, "b", then)
    assert suites.get_inheritance(farm.hub, "b").parents == ()


def test_content_comes_in_pages_of_one_event(farm: Farm) -> None:
    for n in range(4):
        put(farm, SUITE, f"package{n}", "1")
    page = suite_content.get_content(farm.hub, SUITE, limit=5)
    assert (len(page.packages), page.next) == (5, 5)
    put(farm, SUITE, "aaa", "1")
    rest = suite_content.get_content(farm.hub, SUITE, page.event, offset=5, limit=5)
    names = [p.name for p in (*page.packages, *rest.packages)]
    assert names == sorted(f"package{n}" for n in range(4) for _ in range(2))
    assert rest.next is None


def test_a_change_of_a_parent_is_published_in_its_heirs(farm: Farm) -> None:
    make(farm)
    make(farm, "leaf", SIDE)
    farm.settle()
    asked = farm.ask(farm.add_source("hello"))
    claimed = farm.claim()
    assert claimed is not None
    farm.finish_well(claimed)
    farm.settle()
    assert farm.request(asked.id).state == "ready"
    for name in (SUITE, SIDE, "leaf"):
        assert "Package: hello\n" in served(farm, name)
    suites.set_rule(farm.hub, ADMIN, SIDE, "hello", RuleAsk(state="blocked"))
    farm.settle()
    assert "Package: hello\n" not in served(farm, "leaf")
    assert "Package: hello\n" in served(farm, SUITE)
    generations = {s.name: s.generation for s in queries.list_suites(farm.hub, base_url="http://x")}
    suites.set_parents(farm.hub, ADMIN, "leaf", [])
    farm.settle()
    after = {s.name: s.generation for s in queries.list_suites(farm.hub, base_url="http://x")}
    assert {name for name in after if after[name] != generations[name]} == {"leaf"}
