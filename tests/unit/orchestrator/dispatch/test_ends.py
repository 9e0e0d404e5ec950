"""The pure parts of the dispatch: the policy of blame, offers, grants, the clock."""

from __future__ import annotations

import re
import time
from pathlib import Path
from typing import Any, cast

import pytest

from deb_orchestrator.dispatch.grants import derive_grant, hash_secret, make_salt
from deb_orchestrator.domain import jobs
from deb_orchestrator.domain.ends import End, Record, choose_end
from deb_orchestrator.domain.hosts import find_refusal
from deb_orchestrator.domain.jobs import REPORTED, TERMINAL, TRANSITIONS, Offer, Outcome, Policy, Requirement, State
from deb_orchestrator.store.clock import as_datetime, make_monotonic_clock

ROOT = Path(__file__).parents[4]
FRESH = Record(losses=0, max_attempts=3)
LAST = Record(losses=2, max_attempts=3)


@pytest.mark.parametrize(
    ("outcome", "record", "end"),
    [
        (Outcome.SUCCEEDED, FRESH, End(jobs.SUCCEEDED, Outcome.SUCCEEDED)),
        (Outcome.FAILED, FRESH, End(jobs.FAILED, Outcome.FAILED)),
        (Outcome.INVALID, FRESH, End(jobs.FAILED, Outcome.INVALID)),
        (Outcome.LIMIT, FRESH, End(jobs.FAILED, Outcome.LIMIT)),
        (Outcome.DEPS, FRESH, End(jobs.WAITING, Outcome.DEPS)),
        (Outcome.DEPS, Record(losses=0, max_attempts=3, waits=False), End(jobs.FAILED, Outcome.DEPS)),
        (Outcome.HOST, FRESH, End(jobs.HOST_FAULT, Outcome.HOST, loses=True)),
        (Outcome.HOST, LAST, End(jobs.FAILED, Outcome.HOST, loses=True)),
        (
            Outcome.HOST,
            Record(losses=1, max_attempts=9, faulty_builders=2),
            End(jobs.FAILED, Outcome.SUSPECT, loses=True),
        ),
        (Outcome.LOST, FRESH, End(jobs.LEASE_LOST, Outcome.LOST, loses=True)),
        (Outcome.LOST, LAST, End(jobs.FAILED, Outcome.LOST, loses=True)),
        (Outcome.CANCELLED, FRESH, End(jobs.GIVEN_BACK, Outcome.LOST, loses=True)),
        (Outcome.CANCELLED, LAST, End(jobs.FAILED, Outcome.LOST, loses=True)),
    ],
)
def test_what_becomes_of_a_job(outcome: Outcome, record: Record, end: End) -> None:
    assert choose_end(outcome, record) == end


@pytest.mark.parametrize("outcome", [*sorted(REPORTED), Outcome.LOST])
def test_a_cancel_that_was_asked_for_wins(outcome: Outcome) -> None:
    record = Record(losses=9, max_attempts=3, cancel_asked=True, faulty_builders=5)
    assert choose_end(outcome, record) == End(jobs.CANCELLED, Outcome.CANCELLED)


@pytest.mark.parametrize("outcome", [Outcome.SUSPECT, Outcome.DEPENDENCY])
def test_no_attempt_ends_as_what_the_hub_alone_decides(outcome: Outcome) -> None:
    with pytest.raises(ValueError, match="no attempt ends"):
        choose_end(outcome, FRESH)


def test_more_builders_may_be_asked_for_before_a_job_is_suspect() -> None:
    record = Record(losses=1, max_attempts=9, faulty_builders=2)
    assert choose_end(Outcome.HOST, record, Policy(suspect_builders=3)).transition is jobs.HOST_FAULT


def test_no_transition_leaves_a_terminal_state() -> None:
    assert not [one for one in TRANSITIONS if TERMINAL & set(one.sources)]
    assert {one.target for one in TRANSITIONS} == set(State)
    assert len({one.name for one in TRANSITIONS}) == len(TRANSITIONS)


@pytest.mark.parametrize(
    ("requirement", "fits"),
    [
        (Requirement(), True),
        (Requirement(arch="amd64"), True),
        (Requirement(arch="arm64"), False),
        (Requirement(pool="hub"), False),
        (Requirement(capabilities=frozenset({"kvm"})), True),
        (Requirement(capabilities=frozenset({"kvm", "big"})), False),
    ],
)
def test_an_offer_fits_what_it_covers(requirement: Requirement, fits: bool) -> None:
    offer = Offer(arches=frozenset({"amd64", "i386"}), capabilities=frozenset({"kvm", "tmpfs"}))
    assert (find_refusal(offer, requirement) == "") is fits


def test_a_grant_follows_from_claim_and_salt_and_is_not_its_hash() -> None:
    salt = make_salt()
    grant = derive_grant("claim", salt)
    assert grant == derive_grant("claim", salt)
    assert len({grant, derive_grant("claim", make_salt()), derive_grant("other", salt), hash_secret(grant)}) == 4


def test_the_clock_of_sqlite_is_wall_time_that_nobody_can_set_back(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = make_monotonic_clock()
    connection = cast(Any, None)
    assert abs(clock(connection) - time.time() * 1000) < 1000
    monkeypatch.setattr(time, "time_ns", lambda: 0)
    assert abs(as_datetime(clock(connection)).timestamp() - time.time()) < 2


def test_each_invariant_of_the_documentation_names_tests_that_exist() -> None:
    text = (ROOT / "docs/explanation/leases.md").read_text()
    tests = "".join(path.read_text() for path in (ROOT / "tests").glob("*/orchestrator/**/test_*.py"))
    invariants = re.findall(r"^\*\*I(\d+)\b.*?(?=^\*\*I\d|^## |\Z)", text, re.M | re.S)
    assert [int(number) for number in invariants] == list(range(1, 21))
    for block in re.split(r"^(?=\*\*I\d+)", text, flags=re.M)[1:]:
        named = re.findall(r"`(test_\w+)`", block)
        assert named, f"names no test: {block[:80]}"
        missing = [name for name in named if f"def {name}(" not in tests]
        assert not missing, f"no such test: {missing}"


def test_the_documentation_holds_the_whole_table() -> None:
    text = (ROOT / "docs/explanation/leases.md").read_text()
    for one in TRANSITIONS:
        for source in one.sources:
            assert f"| {one.name} | {source} | {one.target} |" in text
