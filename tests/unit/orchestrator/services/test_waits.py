"""From a proof to what is waited for, and what meets it."""

from __future__ import annotations

import pytest

from deb_orchestrator.domain.waits import MOST, Wait, find_waits, is_dep_wait, is_met, parse_clause, parse_provides
from debcore.job import Unmet, UnmetStep


def missing(clause: str, package: str = "build-dependencies", *chain: str) -> Unmet:
    steps = tuple(UnmetStep(package=name, depends="x") for name in chain)
    return Unmet(kind="missing", package=package, clause=clause, chain=steps)


CONFLICT = Unmet(kind="conflict", package="liba 1", clause="libb", other="libb 2")


def test_a_missing_build_dependency_is_waited_for_by_its_alternatives() -> None:
    unmet = [missing("libz-dev (>= 1:2~) | liby-dev:any")]
    assert find_waits(unmet) == (Wait("liby-dev"), Wait("libz-dev", ">=", "1:2~"))
    assert [str(wait) for wait in find_waits(unmet)] == ["liby-dev", "libz-dev (>= 1:2~)"]
    assert is_dep_wait(unmet)


def test_the_packages_of_a_chain_and_of_a_conflict_may_change() -> None:
    deep = missing("libz1 (= 3)", "libc 1.10", "build-dependencies", "libd 2")
    assert find_waits([deep]) == (Wait("libc"), Wait("libd"), Wait("libz1", "=", "3"))
    assert find_waits([CONFLICT]) == (Wait("liba"), Wait("libb"))
    assert not is_dep_wait([deep])
    assert not is_dep_wait([missing("libz-dev"), CONFLICT])
    assert not is_dep_wait([])


def test_what_cannot_be_read_or_is_too_much_is_not_waited_for_one_by_one() -> None:
    assert find_waits([missing("Robert'); DROP TABLE job; --")]) == ()
    assert find_waits([missing(f"lib{n}") for n in range(MOST + 1)]) == ()


@pytest.mark.parametrize(
    ("clause", "version", "met"),
    [
        ("aa", "1", True), ("aa", None, True), ("aa (>= 2)", "1.9", False), ("aa (>= 2)", "2", True),
        ("aa (>= 2~)", "2~~", False), ("aa (<< 2)", "2~", True), ("aa (= 1.0)", "1.0", True), ("aa (>> 2)", "2", False),
        ("aa (<= 9)", "10", False), ("aa (>= 2)", None, False),
    ],
)  # fmt: skip
def test_versions_are_compared_as_dpkg_does(clause: str, version: str | None, met: bool) -> None:
    (wait,) = parse_clause(clause)
    assert is_met(wait, version) is met


def test_provides() -> None:
    assert [*parse_provides("liba-dev (= 2), libb-dev,\n libc-dev")] == [
        ("liba-dev", "2"), ("libb-dev", None), ("libc-dev", None)
    ]  # fmt: skip
