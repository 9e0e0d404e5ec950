"""Which path goes into which layer: what is apart, what is merged, what an update leaves where it was."""

from __future__ import annotations

import gzip
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deb_bootc_compose.oci.history import count_uploads, load_uploads, parse_uploads
from deb_bootc_compose.oci.plan import (
    ONE,
    PATIENCE,
    TAIL,
    Grouping,
    Packages,
    Plan,
    Rule,
    _Part,
    find_bin,
    make_plan,
    merging_costs,
    place_groups,
    quiet_week,
)
from deb_bootc_compose.oci.plan import Path as Planned
from deb_bootc_compose.tree.dpkg import Installed
from debcore.errors import Failure

OWNERS = {"usr/bin/big": "big", "usr/bin/a": "a", "usr/bin/b": "b", "usr/lib/python3/x.py": "a"}
PACKAGES = Packages(OWNERS, {"big": ["big-bin"], "a": ["a", "liba1"], "b": ["b"]}, {})


@pytest.mark.parametrize(
    ("name", "group"),
    [
        ("usr/lib/modules/6.12/vmlinuz", "kernel"),
        ("usr/lib/modules/6.12/initramfs.img", "initramfs"),
        ("usr/lib/udev/hwdb.bin", "hwdb"),
        ("usr/lib/sysimage/dpkg/status", "database"),
        ("etc/motd", "etc"),
        ("usr/bin/a", "source:a"),
        ("usr/lib/python3/__pycache__/x.cpython-313.pyc", "source:a"),
        ("usr/share/own", "files"),
    ],
)
def test_paths_belong_to_groups(name: str, group: str) -> None:
    assert Grouping(PACKAGES).find(name) == group


def test_the_manifest_has_layers_of_its_own() -> None:
    rules = [Rule("mine", packages=("liba*",)), Rule("models", paths=("/usr/share/models/*", "/etc/models.conf"))]
    grouping = Grouping(PACKAGES, rules)
    names = ("usr/bin/a", "usr/lib/python3/x.py", "usr/bin/b", "usr/share/models/x/y", "etc/models.conf")
    assert [grouping.find(name) for name in names] == ["own:mine", "own:mine", "source:b", "own:models", "own:models"]
    plan = make_plan([Planned("usr/bin/a", 1), Planned("usr/bin/b", 1)], PACKAGES, grouping=grouping)
    assert plan.layers == ("source:b", "own:mine")
    with pytest.raises(Failure, match="layer none: no package of the image is called gone"):
        Grouping(PACKAGES, [Rule("none", packages=("gone",))])
    with pytest.raises(Failure, match="leave no room"):
        place_groups({"own:1": 1, "own:2": 1, "source:a": 1}, {}, previous={}, max_layers=8)


def planned(*names: str, size: int = 10) -> list[Planned]:
    return [Planned(name, size) for name in sorted(names)]


def many(count: int) -> dict[str, str]:
    return {f"usr/bin/{i:03d}": f"s{i:03d}" for i in range(count)}


def homes(plan: Plan) -> dict[str, str]:
    return {source: layer for layer, sources in plan.sources.items() for source in sources}


def test_where_there_is_room_each_source_has_a_layer() -> None:
    plan = make_plan(planned("usr/bin/a", "usr/bin/b", "usr/bin/big", "etc/x"), PACKAGES)
    assert plan.layers == ("source:a", "source:b", "source:big", "etc")


def test_what_is_quiet_and_small_is_merged_and_what_changes_often_stays_alone() -> None:
    sizes = {f"source:s{i:02d}": 1000 + i for i in range(40)} | {"source:large": 10_000_000, "source:busy": 3_000_000}
    uploads = {f"s{i:02d}": 0 for i in range(40)} | {"large": 4, "busy": 40}
    names = place_groups(sizes, uploads, previous={}, max_layers=len(TAIL) + 4)
    assert len(set(names.values())) == 4
    assert names["source:large"] == "source:large"
    assert names["source:busy"] == "source:busy"


def test_a_new_package_moves_nobody_else_and_one_that_goes_neither() -> None:
    owners = many(100)
    before = make_plan(planned(*owners), Packages(owners), max_layers=20)
    assert len(before.layers) == 20 - len(TAIL)
    more = {**owners, "usr/bin/new": "new"}
    del more["usr/bin/050"]
    after = make_plan(planned(*more), Packages(more), previous=before.sources, max_layers=20)
    was, now = homes(before), homes(after)
    del was["s050"]
    assert {source: now[source] for source in was} == was
    assert now["new"] in set(was.values())


def test_the_plan_before_holds_whatever_the_sizes_and_uploads_are_now() -> None:
    owners = many(80)
    before = make_plan(planned(*owners), Packages(owners), max_layers=24)
    uploads = {source: number % 9 for number, source in enumerate(owners.values())}
    after = make_plan(
        planned(*owners, size=5000), Packages(owners, {}, uploads), previous=before.sources, max_layers=24
    )
    assert homes(after) == homes(before)


def test_fewer_layers_are_made_by_merging_those_of_before() -> None:
    owners = many(60)
    before = make_plan(planned(*owners), Packages(owners), max_layers=30)
    after = make_plan(planned(*owners), Packages(owners), previous=before.sources, max_layers=12)
    assert len(after.layers) == 12 - len(TAIL)
    together = {frozenset(sources) for sources in after.sources.values()}
    assert all(any(set(old) <= new for new in together) for old in before.sources.values())


@given(
    st.dictionaries(st.text("abc", min_size=1, max_size=4), st.integers(0, 1 << 30), min_size=1, max_size=40),
    st.integers(8, 128), st.booleans(),
)  # fmt: skip
def test_every_group_has_one_place_and_there_are_never_too_many(sizes: dict[str, int], most: int, named: bool) -> None:
    groups = {f"source:{name}": size for name, size in sizes.items()} | dict.fromkeys(TAIL, 1)
    uploads = {name: size % 50 for name, size in sizes.items()}
    once = place_groups(groups, uploads, previous={}, by_name=named, max_layers=most)
    assert set(once) == set(groups)
    assert len(set(once.values())) <= most
    assert all(once[name] == name for name in TAIL)
    again = place_groups(dict(reversed(groups.items())), uploads, previous=memory(once), by_name=named, max_layers=most)
    assert again == once


def memory(names: Mapping[str, str]) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for group, layer in names.items():
        if group.startswith("source:"):
            found.setdefault(layer, []).append(group.removeprefix("source:"))
    return found


def test_by_name_large_sources_are_alone_and_the_rest_is_hashed() -> None:
    sizes = {"source:big": 5 << 20, "source:a": 10, "source:b": 10}
    names = place_groups(sizes, {}, previous={"bin:99": ["a", "b"]}, by_name=True)
    assert names == {"source:big": "source:big"} | {g: find_bin(g, 16) for g in ("source:a", "source:b")}


def test_all_names_of_a_file_are_in_one_layer() -> None:
    plan = make_plan([Planned("usr/bin/a", 1, (1, 2)), Planned("usr/bin/big", 1, (1, 2))], PACKAGES)
    assert len(set(plan.assigned.values())) == 1


def test_costs_are_what_a_client_fetches() -> None:
    never, always = _Part(("a",), 100, ONE), _Part(("b",), 10, 0)
    assert merging_costs(never, always) == 100 * ONE  # the quiet one is fetched each week
    assert merging_costs(always, always) == 0
    known = _Part(("b",), 10, 0, "source:b", 10)
    assert merging_costs(known, always) == 10 * ONE // PATIENCE
    assert quiet_week(0) > quiet_week(1) > quiet_week(50) > 0


CHANGELOG = """demo (2) trixie; urgency=medium

  * Second.

 -- A B <a@example.org>  Tue, 10 Nov 2026 10:00:00 +0000

demo (1) trixie; urgency=medium

 -- A B <a@example.org>  Mon, 10 Nov 2025 09:00:00 +0000
 -- A B <a@example.org>  no date
"""


def test_uploads_of_a_year_are_counted_from_the_newest_of_all() -> None:
    found = list(parse_uploads(CHANGELOG))
    assert found == [datetime(2026, 11, 10, 10, tzinfo=UTC), datetime(2025, 11, 10, 9, tzinfo=UTC)]
    assert count_uploads({"demo": found, "old": [found[1]], "none": []}) == {"demo": 1, "old": 0, "none": 0}
    assert count_uploads({"old": [found[1]]}) == {"old": 1}
    assert count_uploads({}) == {}


def test_changelogs_are_read_from_the_tree(tmp_path: Path) -> None:
    def package(name: str, source: str) -> Installed:
        return Installed(name, "1", "amd64", source, "1", "install ok installed")

    for name, file in (("demo", "changelog.Debian.gz"), ("native", "changelog.gz"), ("broken", "changelog.Debian.gz")):
        (tmp_path / "usr/share/doc" / name).mkdir(parents=True)
        with gzip.open(tmp_path / "usr/share/doc" / name / file, "wt") as out:
            out.write(CHANGELOG)
    broken = tmp_path / "usr/share/doc/broken/changelog.Debian.gz"
    broken.write_bytes(broken.read_bytes()[:-12])
    (tmp_path / "usr/share/doc/link").symlink_to("demo")
    names = [("link", "demo"), ("demo", "demo"), ("native", "native"), ("broken", "broken"), ("gone", "gone")]
    assert load_uploads(tmp_path, [package(*one) for one in names]) == {"demo": 1, "native": 1}
