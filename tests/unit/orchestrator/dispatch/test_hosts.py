"""Which builder may take what, what is thought of one, and who makes room."""

from __future__ import annotations

from typing import Any

import pytest

from deb_orchestrator.domain.hosts import (
    Running,
    Standing,
    Waiting,
    can_spare,
    find_refusal,
    is_canary_time,
    judge,
    plan_yields,
)
from deb_orchestrator.domain.jobs import Offer, Outcome, Policy, Requirement

OFFER = Offer(
    pools=frozenset({"default", "big"}), arches=frozenset({"amd64"}), emulated=frozenset({"arm64"}),
    capabilities=frozenset({"check"}), memory_mb=4096, disk_mb=20000, trusts={"big": 5},
)  # fmt: skip
POLICY = Policy(streak=3, quarantine_s=100, quarantine_most_s=250)


@pytest.mark.parametrize(
    ("wants", "words"),
    [
        ({}, ""),
        ({"arch": "amd64", "memory_mb": 4096, "disk_mb": 20000, "capabilities": frozenset({"check"})}, ""),
        ({"arch": "arm64"}, "only emulates arm64, and the target does not take that"),
        ({"arch": "arm64", "emulated": True}, ""),
        ({"arch": "riscv64", "emulated": True}, "does not build for riscv64"),
        ({"pool": "other"}, "is not of the pool other"),
        ({"pool": "big", "trust": 5}, ""),
        ({"trust": 5}, "is trusted with 0, and 5 is needed"),
        ({"memory_mb": 4097}, "has 4096 MB of memory, and 4097 MB are needed"),
        ({"disk_mb": 30000}, "has 20000 MB of free disk, and 30000 MB are needed"),
        ({"capabilities": frozenset({"kvm", "check", "a"})}, "cannot a and kvm"),
    ],
)
def test_what_a_builder_may_take(wants: dict[str, Any], words: str) -> None:
    assert find_refusal(OFFER, Requirement(**wants)) == words


def test_what_a_builder_does_not_say_is_not_believed() -> None:
    assert "unknown amount of memory" in find_refusal(Offer(), Requirement(memory_mb=1))


def test_a_streak_of_faults_ends_in_quarantine_and_a_canary_decides() -> None:
    standing = Standing()
    for n in range(2):
        standing = judge(standing, Outcome.HOST, at=0, may_quarantine=True, policy=POLICY)
        assert (standing.streak, standing.is_suspect) == (n + 1, False)
    standing = judge(standing, Outcome.HOST, at=0, may_quarantine=True, policy=POLICY)
    assert standing.until == 100_000
    assert [is_canary_time(standing, at=at, running=n) for at, n in ((99_999, 0), (100_000, 0), (100_000, 1))] == [
        False, True, False
    ]  # fmt: skip
    for until in (300_000, 350_000, 350_000):  # twice as long, and never longer than the most
        standing = judge(standing, Outcome.HOST, at=100_000, may_quarantine=False, policy=POLICY)
        assert standing.until == until
    assert judge(standing, Outcome.FAILED, at=400_000, may_quarantine=True) == Standing(), "the package's fault is none"


def test_a_pool_spares_a_quarter_of_its_builders() -> None:
    assert [can_spare(size, 0) for size in (1, 3, 4, 8)] == [False, False, True, True]
    assert [can_spare(8, gone) for gone in (1, 2)] == [True, False]
    spared = judge(Standing(streak=9), Outcome.HOST, at=0, may_quarantine=False, policy=POLICY)
    assert (spared.streak, spared.is_suspect) == (10, False)


def test_room_is_made_by_the_youngest_that_helps_and_only_where_it_is_needed() -> None:
    running = [
        Running(1, agent=7, claimed_at=10),
        Running(2, agent=7, claimed_at=20),
        Running(3, agent=8, claimed_at=30),
    ]
    seven = frozenset({7})
    assert plan_yields([Waiting(50, seven)], running, {}) == {2: 50}
    assert plan_yields([Waiting(50, seven)], running, {7: 1}) == {}, "a slot is free"
    assert plan_yields([Waiting(50, seven), Waiting(51, seven), Waiting(52, seven)], running, {}) == {2: 50, 1: 51}
    assert plan_yields([Waiting(50, frozenset())], running, {}) == {}
    asked = [Running(2, agent=7, claimed_at=20, asked=True), Running(1, agent=7, claimed_at=10)]
    assert plan_yields([Waiting(50, seven)], asked, {}) == {}, "room is being made already"
