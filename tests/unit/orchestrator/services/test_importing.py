"""Builders lie: what contradicts the source is refused, and nothing of it comes near the suite."""

from __future__ import annotations

import pytest

from debcore.hub.model import BuildState
from tests.unit.orchestrator.services.farm import Farm, make_changes, make_deb, only

GOOD = make_deb("hello", "1.0")

LIES = {
    "another source's binary": (
        {"bash_1.0_amd64.deb": make_deb("bash", "1.0", source="hello")}, "makes no package bash"
    ),
    "another source": (
        {"hello_1.0_amd64.deb": make_deb("hello", "1.0", source="evil")}, "says it is from evil 1.0"
    ),
    "another version": ({"hello_2.0_amd64.deb": make_deb("hello", "2.0")}, "says it is from hello 2.0"),
    "another architecture": (
        {"hello_1.0_arm64.deb": make_deb("hello", "1.0", arch="arm64")}, "is for arm64, and amd64 was asked for"
    ),
    "another name": ({"hello_1.0_all.deb": GOOD}, "should be named hello_1.0_amd64.deb"),
    "no package": ({"notes.txt": b"x"}, "made no package"),
    "no .deb at all": ({"hello_1.0_amd64.deb": b"MZ this is no ar archive"}, "no sound .deb"),
    "a .changes of another source's binaries": (
        {"hello_1.0_amd64.deb": GOOD,
         "hello_1.0_amd64.changes": make_changes("hello", "1.0", {"hello_1.0_amd64.deb": GOOD}, binary="hello bash")},
        "makes no package bash",
    ),
    "a .changes of another source": (
        {"hello_1.0_amd64.deb": GOOD,
         "hello_1.0_amd64.changes": make_changes("evil", "1.0", {"hello_1.0_amd64.deb": GOOD})},
        "is of evil 1.0",
    ),
    "a .changes with another hash": (
        {"hello_1.0_amd64.deb": GOOD,
         "hello_1.0_amd64.changes": make_changes("hello", "1.0", {"hello_1.0_amd64.deb": GOOD + b"\n"})},
        "another hash or size",
    ),
    "a .changes that hides a package": (
        {"hello_1.0_amd64.deb": GOOD, "hello_1.0_amd64.changes": make_changes("hello", "1.0", {}, binary="hello")},
        "is not in the .changes",
    ),
}  # fmt: skip


@pytest.mark.parametrize("lie", LIES)
def test_a_lie_is_refused(farm: Farm, lie: str) -> None:
    files, reason = LIES[lie]
    asked = farm.ask(farm.add_source("hello"))
    farm.finish(only(farm.claim()), "built", files=files)
    farm.settle()
    failed = farm.request(asked.id)
    assert failed.state == "failed"
    assert failed.failures[0].status == "refused"
    assert reason in failed.failures[0].reason
    build = farm.build(asked.builds[0])
    assert (build.state, build.arches[0].artifacts) == (BuildState.FAILED, ())
    assert "suite.changed" not in farm.story(asked.id)


def test_debug_symbols_are_the_sources_own(farm: Farm) -> None:
    asked = farm.ask(farm.add_source("hello"))
    farm.finish_well(only(farm.claim()), "hello", "hello-dbgsym")
    farm.settle()
    assert farm.request(asked.id).state == "ready"


def test_the_same_package_with_other_content_is_refused(farm: Farm) -> None:
    farm.ask(farm.add_source("hello"))
    farm.finish_well(only(farm.claim()))
    farm.settle()
    # Another source that says it makes the same package of the same version.
    asked = farm.ask(farm.add_source("copy", binaries=["hello"], tarball=b"y"))
    forged = make_deb("hello", "1.0", source="copy", extra="Section: misc\n")
    farm.finish(only(farm.claim()), "built", files={"hello_1.0_amd64.deb": forged})
    farm.settle()
    assert "exists with other content" in farm.request(asked.id).failures[0].reason
