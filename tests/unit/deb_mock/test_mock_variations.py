"""Choosing variations as reprotest's users expect, and finding the guilty one."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from deb_mock.reproduce import Check, compare, leave_out_the_impossible
from deb_mock.surroundings import STANDARD
from deb_mock.variations import VARIATIONS, choose_variations, find_guilty, surroundings_for
from debcore.errors import ConfigError
from debroot.store import Store

ALL = tuple(sorted(VARIATIONS))


@pytest.mark.parametrize(
    ("specs", "chosen"),
    [
        ((), ALL),
        (("+all",), ALL),
        (("-build_path",), tuple(name for name in ALL if name != "build_path")),
        (("-path,+umask",), tuple(name for name in ALL if name != "build_path")),
        (("-all,+umask",), ("umask",)),
        (("-all", "+umask", "+cpus"), ("num_cpus", "umask")),
        (("umask,home",), ("home", "umask")),
        (("-all",), ()),
        (("-time",), ALL),
    ],
    ids=str,
)
def test_variations_are_chosen_as_in_reprotest(specs: Sequence[str], chosen: tuple[str, ...]) -> None:
    assert choose_variations(specs) == chosen


@pytest.mark.parametrize(("spec", "said"), [("+time", "false clock"), ("-phase", "no v")])
def test_what_cannot_be_varied_is_refused_with_its_reason(spec: str, said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        choose_variations([spec])


@pytest.mark.parametrize("name", ALL)
def test_each_variation_changes_the_surroundings(name: str) -> None:
    assert surroundings_for([name]) != STANDARD


def test_all_variations_go_together() -> None:
    place = surroundings_for(ALL)
    assert place.wrapper == ["setarch", "--addr-no-randomize", "--uname-2.6", "taskset", "0x1"]
    assert place.environment()["TZ"] == "GMT-14"
    assert place.environment()["USER"] == "second"


@pytest.mark.parametrize("guilty", [(), ("umask",), ("aslr", "user_group"), ALL], ids=str)
def test_the_guilty_ones_are_found_by_halving(guilty: tuple[str, ...]) -> None:
    builds: list[tuple[str, ...]] = []

    def differs(names: Sequence[str]) -> bool:
        builds.append(tuple(names))
        return bool(set(names) & set(guilty))

    assert find_guilty(ALL, differs) == guilty
    assert len(builds) <= 1 + 2 * max(1, len(guilty)) * len(ALL).bit_length()


def test_artifacts_are_compared_by_name_and_hash() -> None:
    first, second = {"a": "1", "b": "2", "c": "3"}, {"a": "1", "b": "9", "d": "4"}
    assert compare(first, second) == {"a": "equal", "b": "differs", "c": "missing", "d": "extra"}


@pytest.mark.parametrize("alike", [False, True])
def test_what_a_host_cannot_vary_is_left_out_and_said(alike: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("deb_mock.listing.is_listed_alike", lambda _store: alike)
    check, note = leave_out_the_impossible(Check(), Store.__new__(Store))
    assert ("fileordering" in check.vary) != alike
    assert ("was not varied" in note) == alike
    assert set(ALL) - set(check.vary) <= {"fileordering"}


def test_nothing_is_tried_that_nobody_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("deb_mock.listing.is_listed_alike", lambda _store: pytest.fail("it was tried"))
    asked = Check(vary=("umask",))
    assert leave_out_the_impossible(asked, Store.__new__(Store)) == (asked, "")
